"""Months leave the log for verified archives when every retention is over; nothing is lost, and every proof still holds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import asyncpg
import orjson
import pytest
from uuid_utils.compat import uuid7

from backend.ledger import verifier
from backend.ledger.checkpoints import open_checkpoint
from backend.operation.archiving import SHORTEST_RETENTION, NotArchived
from backend.review.exports.export import ExportFormat
from tests.ledger.rfc9162 import verify_consistency
from tests.ledger.sealed_log import KEY, kinds
from tests.operation.past_log import FEBRUARY, JANUARY, RETENTION, Interrupted, PastLog, begin, moment, rows_of
from tests.service import Database, Secrets, Service, Tenant
from tests.serving import affidavit

pytestmark = pytest.mark.anyio

TEXTS = ("payload", "payload_term", "event_document", "data_key")
EVIDENCE = [table for table in TEXTS if table != "payload_term"]  # an index of words, which the owner makes anew


@pytest.fixture
async def past(
    service: Service, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PastLog]:
    """The log of a tenant that was purged: its people are gone, and nobody asks for them here."""
    nobody = Tenant(uuid7(), "purged", "", {"compliance": uuid7()})
    async with begun(PastLog(service, nobody, database, tmp_path), monkeypatch) as log:
        yield log


@pytest.fixture
async def reviewed(
    service: Service, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PastLog]:
    """The log of a tenant with people."""
    async with begun(PastLog(service, await service.create_tenant(), database, tmp_path), monkeypatch) as log:
        yield log


@asynccontextmanager
async def begun(log: PastLog, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PastLog]:
    await begin(log, monkeypatch)
    yield log
    await log.execute(
        *(f"drop table if exists audit.event_{month:%Y_%m}" for month in (JANUARY, FEBRUARY)),
        "update audit.hold set released_at = now()",
    )


async def verified(log: PastLog, *archives: Path) -> verifier.Report:
    return verifier.verify_together([await log.export(), *archives], str(KEY.verifier_key))


async def test_months_whose_retention_is_over_leave_and_every_proof_still_holds(reviewed: PastLog) -> None:
    signed = open_checkpoint(await reviewed.seal(), [KEY.verifier_key])
    assert await reviewed.archive() == ["2018-01", "2018-02"]
    assert await reviewed.fetchval("select to_regclass('audit.event_2018_01')") is None
    assert await rows_of(reviewed, TEXTS) == dict.fromkeys(TEXTS, 0)
    await reviewed.act(1)
    await reviewed.seal()

    for month in (JANUARY, FEBRUARY):
        report = verifier.verify(reviewed.file(month), str(KEY.verifier_key))
        assert report.ok, list(report.lines())
    alone = await reviewed.verify()
    assert alone.ok, list(alone.lines())
    assert len([finding for finding in alone.findings if finding.kind is verifier.Kind.ARCHIVED]) == 2
    whole = await verified(reviewed, reviewed.file(JANUARY), reviewed.file(FEBRUARY))
    assert whole.ok, list(whole.lines())
    assert not any("not among the bundles" in line for line in whole.lines())

    grown = await reviewed.service.get("/audit/consistency", reviewed.tenant, "compliance", **{"from": 5})
    first, second = (open_checkpoint(grown.json()[f"{n}_checkpoint"], [KEY.verifier_key]) for n in ("first", "second"))
    path = [bytes.fromhex(element) for element in grown.json()["proof"]]
    assert second.size > signed.size
    assert verify_consistency(first.size, second.size, first.root, second.root, path)


async def test_a_reviewer_is_told_where_an_event_went_and_fetches_the_archive(
    reviewed: PastLog, other_tenant: Tenant
) -> None:
    await reviewed.archive()
    await reviewed.seal()
    reviewed.service.exchange(archives=reviewed.store)
    for path in (f"/audit/events/{reviewed.january[0]}", f"/audit/events/{reviewed.january[0]}/proof"):
        answer = await reviewed.service.get(path, reviewed.tenant, "compliance")
        assert (answer.status_code, answer.json()["error"]) == (410, "gone")
        assert sha256(reviewed.file().read_bytes()).hexdigest() in answer.json()["detail"]
        assert (await reviewed.service.get(path, other_tenant, "compliance")).status_code == 404
    listed = (await reviewed.service.get("/audit/archives", reviewed.tenant, "compliance")).json()["archives"]
    assert [(a["month"], a["events"]) for a in listed] == [("2018-01", 6), ("2018-02", 4)]
    assert (listed[0]["end_leaf"], listed[1]["first_leaf"]) == (8, 8)  # two of February were sealed with January's last
    fetched = await reviewed.service.get("/audit/archives/2018-01", reviewed.tenant, "compliance")
    assert fetched.content == reviewed.file().read_bytes()
    assert (await reviewed.service.get("/audit/archives/2018-01", other_tenant, "compliance")).status_code == 404
    for month in ("2018-03", "2018-13", "0000-01"):
        unknown = await reviewed.service.get(f"/audit/archives/{month}", reviewed.tenant, "compliance")
        assert unknown.status_code == (404 if month == "2018-03" else 422)

    recorded = await reviewed.service.events(reviewed.tenant, action="audit:archived")
    assert [event["event"]["archive"]["month"] for event in recorded] == ["2018-02", "2018-01"]
    assert recorded[0]["event"]["archive"]["sha256"] == listed[1]["sha256"]
    lines = (await reviewed.service.get("/audit/stream", reviewed.tenant, "compliance")).text.splitlines()
    assert orjson.loads(lines[0]) == {"leaf": 0, "archived": "2018-01"}
    header = orjson.loads((await reviewed.export(format=ExportFormat.JSONL, reveal=False)).read_bytes().splitlines()[0])
    assert [archive["month"] for archive in header["archived"]] == ["2018-01", "2018-02"]


STEPS = ["writing", "storing", "recording", "verifying", "dropping", "committing", "destroying"]


async def test_whoever_is_interrupted_at_a_step_goes_on_there_and_loses_nothing(past: PastLog) -> None:
    for step in STEPS:
        past.steps.clear()
        with pytest.raises(Interrupted):
            await past.archive(stop_at=step)
        left = await past.fetchval("select to_regclass('audit.event_2018_01')") is None
        assert left == (step == "destroying")
        if not left:
            assert not kinds(await past.verify()) & {"MISSING", "INVALID"}, step
            assert await rows_of(past, TEXTS) == dict.fromkeys(TEXTS, 1), step
        written = any("writing" in told and "2018-01" in told for told in past.steps)
        assert written == (step in STEPS[:4]), step
    assert await past.archive() == ["2018-02"]
    await past.seal()
    whole = await verified(past, past.file(JANUARY), past.file(FEBRUARY))
    assert not kinds(whole) & {"MISSING", "INVALID"}, list(whole.lines())
    assert whole.counts[verifier.Kind.ARCHIVED] == 2
    assert await rows_of(past, TEXTS) == dict.fromkeys(TEXTS, 0)
    recorded = "select count(*) from audit.event where tenant_id = $1 and action = 'audit:archived'"
    assert await past.fetchval(recorded, past.tenant.id) == 2


async def test_a_month_stays_while_a_hold_or_somebodys_retention_applies(reviewed: PastLog) -> None:
    held = await reviewed.service.post("/audit/holds", reviewed.tenant, "compliance", {"reason": "Subpoena 17"})
    with pytest.raises(NotArchived, match="2018-01 stays: legal holds of 1 tenants apply"):
        await reviewed.archive()
    await reviewed.service.release_hold(reviewed.tenant, held.json()["id"])
    longer = {"event_class": "answer", "days": 36_500}
    assert (await reviewed.service.post("/audit/retention", reviewed.tenant, "compliance", longer)).status_code == 200
    with pytest.raises(NotArchived, match="keeps its log for 36500 days"):
        await reviewed.archive()
    await reviewed.execute(f"delete from audit.retention where tenant_id = '{reviewed.tenant.id}'")
    await reviewed.record(12)
    with pytest.raises(NotArchived, match="1 events are not sealed"):
        await reviewed.archive()


async def test_a_month_younger_than_the_retention_of_the_deployment_stays(past: PastLog) -> None:
    async with past.archiver(retention=RETENTION * 2) as archiver:
        assert await archiver.due() == []
    async with past.archiver(retention=SHORTEST_RETENTION) as archiver:
        months = [month.first for month in await archiver.due()]
    assert months == [JANUARY, FEBRUARY]
    with pytest.raises(ValueError, match="366 days at least"):
        await past.archiver(retention=SHORTEST_RETENTION - timedelta(days=1)).__aenter__()


async def test_what_is_added_to_a_month_between_writing_and_dropping_is_not_lost(past: PastLog) -> None:
    with pytest.raises(Interrupted):
        await past.archive(stop_at="dropping")
    async with past.archiver() as archiver:
        (month, *_) = await archiver.due()
        (late,) = await past.record(15)
        with pytest.raises(NotArchived, match="changed meanwhile"):
            await archiver.archive(month)
    assert await past.fetchval("select count(*) from audit.event where id = $1", late) == 1


async def test_a_month_that_was_tampered_with_stays_unless_the_log_says_so(past: PastLog) -> None:
    await past.execute(f"delete from audit.payload where event_id = '{past.january[0]}'")
    edited = (
        f"update audit.event set envelope = replace(envelope, 'succeeded', 'failed') where id = '{past.january[1]}'"
    )
    await past.execute(edited)
    with pytest.raises(NotArchived, match="leaf 1: was changed after it was sealed"):
        await past.archive()
    assert await past.archive(despite_findings=True) == ["2018-01", "2018-02"]
    recorded = "select envelope from audit.event where tenant_id = $1 and action = 'audit:archived' order by id limit 1"
    january = orjson.loads(str(await past.fetchval(recorded, past.tenant.id)))["archive"]
    assert january["first_findings"][0].startswith("INVALID leaf 1")


async def test_an_archive_that_the_store_lost_or_changed_keeps_its_month_in_the_log(past: PastLog) -> None:
    with pytest.raises(Interrupted):
        await past.archive(stop_at="dropping")
    past.file().write_bytes(past.file().read_bytes()[:-1] + b"x")
    with pytest.raises(Exception, match="archive-2018-01"):
        await past.archive()
    past.file().unlink()
    assert await past.archive() == ["2018-01", "2018-02"]
    assert verifier.verify(past.file(), str(KEY.verifier_key)).ok


async def test_a_partition_that_is_dropped_without_a_record_convicts(past: PastLog) -> None:
    await past.execute("drop table audit.event_2018_01")
    report = await past.verify()
    assert "MISSING" in kinds(report)
    with pytest.raises(Interrupted):
        await past.archive(stop_at="verifying")  # a record of February alone excuses nothing of January
    assert not (await past.verify()).ok


async def test_only_the_owner_archives_and_even_it_destroys_no_text_of_what_is_in_the_log(past: PastLog) -> None:
    for url in (past.database.runtime_url, past.database.sealer_url, past.database.operator_url):
        connection = await asyncpg.connect(url)
        for statement in (
            "drop table audit.event_2018_01",
            "alter table audit.event detach partition audit.event_2018_01",
            "insert into audit.archive (tenant_id, month) values (gen_random_uuid(), '2018-01-01')",
            "update audit.archive set left_at = now()",
            "delete from audit.archive",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        await connection.close()
    owner = await asyncpg.connect(past.database.owner_url)
    for change in ("ciphertext = ''", "key_id = event_id", "name = 'other'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(f"update audit.payload set {change}")
    await past.execute("select audit.index_oldest_events(1000)")  # until then it sees whom an event names, and no text
    for table in EVIDENCE:
        assert await owner.execute(f"delete from audit.{table}") == "DELETE 0"
    young = "select count(*) from audit.event where occurred_at > $1 and action <> 'audit:archived'"  # those account for archives
    assert await owner.fetchval(young, moment(400)) == 0
    await past.archive()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await owner.execute("delete from audit.archive")
    assert await owner.execute("update audit.archive set sha256 = sha256('')") == "UPDATE 0"
    for table in EVIDENCE:
        assert await owner.execute(f"delete from audit.{table}") == "DELETE 0"
    await owner.close()


async def test_the_command_says_what_would_leave_and_lets_it(past: PastLog, run_secrets: Secrets) -> None:
    settings = {
        "AFFIDAVIT_HOME": str(past.folder), "AFFIDAVIT_DATABASE_URL": past.database.owner_url,
        "AFFIDAVIT_RUNTIME_DATABASE_URL": past.database.runtime_url,
        "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key,
        "AFFIDAVIT_CHECKPOINT_PUBLIC_KEY": str(KEY.verifier_key),
    }  # fmt: skip
    dry = affidavit("audit", "archive", "--dry-run", settings=settings)
    assert dry.returncode == 0, dry.stderr
    assert "2018-01 would leave" in dry.stdout
    assert not past.file().exists()
    done = affidavit("audit", "archive", settings=settings)
    assert done.returncode == 0, done.stderr
    assert "2018-02 left" in done.stdout
    assert verifier.verify(past.file(), str(KEY.verifier_key)).ok
