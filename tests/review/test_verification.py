"""A reviewer has the whole log verified in the database, by a job whose result is an event of the log as well."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from backend.identity.callers.permissions import Permission
from backend.jobs.worker import Worker
from backend.ledger import sealer
from backend.ledger.checkpoints import Checkpoint, SigningKey, log_origin, sign_checkpoint
from backend.review.verification.live import LiveLog, convicting
from tests.factories import ingest
from tests.ledger.sealed_log import KEY, SealedLog
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def service(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    settings = settings_for(database, run_secrets, model_home, checkpoint_public_key=str(KEY.verifier_key))
    async with running(settings, database) as started:
        yield started


@pytest.fixture
async def log(service: Service, database: Database, tmp_path: Path) -> SealedLog:
    """A sealed log with a retrieval."""
    log = SealedLog(service, await service.create_tenant(), database, tmp_path)
    await ingest(service, log.tenant, "fees", "A wire transfer costs 25 dollars.")
    await log.act(2)
    log.end = datetime.now(UTC)
    await log.seal()
    return log


async def verify(log: SealedLog, **asked: Any) -> dict[str, Any]:
    """Asks for a verification, has it done, and returns it."""
    answer = await log.service.post("/audit/verifications", log.tenant, "compliance", asked)
    assert answer.status_code == 202, answer.text
    own = log.service.services
    worker = Worker(own.tenancy, own.job_handlers())
    while await worker.work_once():
        pass  # another test may have left a job that is older
    path = f"/audit/verifications/{answer.json()['id']}"
    done: dict[str, Any] = (await log.service.get(path, log.tenant, "compliance")).json()
    assert done["status"] == "succeeded", done
    return done


async def recorded(log: SealedLog) -> dict[str, Any]:
    [event] = await log.service.events(log.tenant, action="audit:verified")
    return event


@pytest.mark.parametrize("texts", [False, True])
async def test_a_sound_log_is_found_sound_and_that_is_on_record(log: SealedLog, *, texts: bool) -> None:
    done = await verify(log, texts=texts)
    assert (done["ok"], done["texts"]) == (True, texts), done["findings"]
    assert done["leaves"] >= 4
    assert any(finding["subject"] == "payloads" and finding["kind"] == "OK" for finding in done["findings"]) == texts
    event = await recorded(log)
    assert (event["outcome"], event["event"]["proved"]["sound"]) == ("succeeded", True)


async def test_a_log_that_grows_while_it_is_verified_is_found_sound(log: SealedLog) -> None:
    grown = 0

    async def progress(_done: int, _of: int) -> None:
        nonlocal grown
        if not grown:
            grown = 1
            await log.act(8)
            await log.seal()

    verified = LiveLog(log.opened, log.tenant.id, str(KEY.verifier_key))
    report = await verified.verify(progress)
    assert grown
    assert not convicting(report), report.findings
    bogus = "select tenant_id, level, position + 1000, hash from audit.node"
    await log.execute(f"insert into audit.node {bogus} where tenant_id = '{log.tenant.id}' and level = 1 limit 1")
    assert convicting(await verified.verify(progress))


async def test_a_log_that_was_sealed_on_after_the_clock_was_set_back_is_found_sound(
    log: SealedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a sealer starts again on a machine whose clock is an hour behind: its ids are smaller than those before."""
    before = (await log.service.get("/audit/checkpoint", log.tenant, "compliance")).json()
    hour = 3_600_000 << 80
    monkeypatch.setattr(sealer, "uuid7", lambda: UUID(int=uuid7().int - hour))
    await log.act(2)
    await log.seal()
    after = (await log.service.get("/audit/checkpoint", log.tenant, "compliance")).json()
    assert int(after["checkpoint"].split("\n")[1]) > int(before["checkpoint"].split("\n")[1])
    done = await verify(log)
    assert done["ok"], done["findings"]


async def test_a_tampering_is_named_first_and_is_on_record_as_a_failure(log: SealedLog) -> None:
    chosen = "select event_id from audit.event_document where tenant_id = $1 and doc_id = 'fees' limit 1"
    assert (await log.service.events(log.tenant, document="fees"))[0]
    event_id = await log.fetchval(chosen, log.tenant.id)
    await log.execute(f"delete from audit.event where id = '{event_id}'")
    done = await verify(log)
    assert not done["ok"]
    assert done["findings"][0]["kind"] == "MISSING"
    assert done["findings"][0]["detail"] == "was sealed, but its event is gone"
    event = await recorded(log)
    assert (event["outcome"], event["reason"]) == ("failed", "log:tampered")
    assert event["event"]["proved"]["findings"][0] == done["findings"][0]


async def test_a_kept_checkpoint_convicts_a_history_that_was_rewritten(log: SealedLog) -> None:
    other = Checkpoint(log_origin(KEY.name, str(log.tenant.id)), 2, bytes(32), int(log.end.timestamp() * 1000))
    done = await verify(log, checkpoints=[sign_checkpoint(other, KEY)])
    assert {
        "kind": "INVALID",
        "subject": "history",
        "detail": "forks: a kept checkpoint has another root at size 2",
    } in done["findings"]


async def test_the_proof_of_a_checkpoint_that_was_kept_is_held_against_the_log(
    log: SealedLog, other_tenant: Tenant
) -> None:
    note = (await log.service.get("/audit/checkpoint", log.tenant, "compliance")).json()["checkpoint"]
    assert "c2sp.org/tlog-proof@v1" in note
    done = await verify(log, checkpoints=[note])
    assert done["ok"]
    assert "agrees with 1 kept checkpoints" in [finding["detail"] for finding in done["findings"]]
    for tenant, refused in ((log.tenant, note.replace("\nindex ", "\nindex 1")), (other_tenant, note)):
        answer = await log.service.post("/audit/verifications", tenant, "compliance", {"checkpoints": [refused]})
        assert answer.status_code == 422, answer.text


async def test_checkpoints_of_others_and_what_is_none_are_refused(log: SealedLog, other_tenant: Tenant) -> None:
    foreign = Checkpoint(log_origin(KEY.name, str(other_tenant.id)), 2, bytes(32), 1)
    unsigned = Checkpoint(log_origin(KEY.name, str(log.tenant.id)), 2, bytes(32), 1)
    for note in (sign_checkpoint(foreign, KEY), sign_checkpoint(unsigned, SigningKey.generate(KEY.name)), "my notes"):
        answer = await log.service.post("/audit/verifications", log.tenant, "compliance", {"checkpoints": [note]})
        assert (answer.status_code, answer.json()["error"]) == (422, "invalid_input"), answer.text


async def test_texts_are_opened_only_for_who_may_reveal_them(log: SealedLog) -> None:
    async with log.service.operator() as acting:
        key = await acting.create_key(log.tenant.id, "reader", [Permission.AUDIT_READ], ["default"])
    headers = {"Authorization": f"Bearer {key}"}
    for texts, status in ((True, 403), (False, 202)):
        answer = await log.service.client.post("/audit/verifications", json={"texts": texts}, headers=headers)
        assert answer.status_code == status, answer.text


async def test_nobody_sees_the_verification_of_another_tenant_or_takes_another_job_for_one(
    log: SealedLog, other_tenant: Tenant
) -> None:
    done = await verify(log)
    path = f"/audit/verifications/{done['id']}"
    assert (await log.service.get(path, other_tenant, "compliance")).status_code == 404
    export = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
    job = (await log.service.post("/audit/exports", log.tenant, "compliance", export)).json()["job_id"]
    assert (await log.service.get(f"/audit/verifications/{job}", log.tenant, "compliance")).status_code == 404
