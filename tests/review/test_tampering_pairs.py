"""Each tampering, alone and together with others that would hide it, is named by the check of the live database and ends no export.

One log is sealed once. Each case changes the database as superuser with triggers off, has it checked and exported, and puts
back every row of the log.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import pytest

from backend.audit.indexer import Indexer
from backend.database import open_pool
from backend.ledger.verifier import Report
from backend.operation.checking import LogReader, check_checkpoints
from backend.review.exports.export import ExportFormat
from backend.review.exports.service import NothingSealed
from backend.review.verification.live import convicting
from backend.self_check import check
from tests.factories import ingest
from tests.ledger.sealed_log import KEY, SealedLog
from tests.service import Database, Service

pytestmark = pytest.mark.anyio

TABLES = (
    "event",
    "leaf",
    "node",
    "checkpoint",
    "payload",
    "payload_term",
    "data_key",
    "event_document",
    "archive",
    "log",
)
OWN = "tenant_id = '{tenant}'"
EVENT = f"{OWN} and id = '{{event}}'"
LEAF = f"{OWN} and index = {{leaf}}"
OF_EVENT = f"{OWN} and event_id = '{{event}}'"
COVERING = f"{OWN} and id = (select id from audit.checkpoint where {OWN} and size > {{leaf}} order by size, id limit 1)"
ABOVE = f"{OWN} and level = 1 and position = {{leaf}} / 2"


@dataclass(frozen=True)
class Tampering:
    """What somebody does to the event in question or beside it, and what is then found."""

    name: str
    sql: str
    named: str
    of_leaf: bool = True  # found by the leaf, so that only the gap is if that is deleted as well


TAMPERINGS = [
    Tampering("an envelope is edited", f"update audit.event set envelope = replace(envelope, 'hybrid', 'lexical') where {EVENT}",
              "INVALID leaf {leaf}: was changed after it was sealed"),
    Tampering("an envelope is broken over two lines",
              f"update audit.event set envelope = replace(envelope, ',\"id\":', E',\\n\"id\":') where {EVENT}",
              "INVALID leaf {leaf}: was changed after it was sealed"),
    Tampering("an event is deleted", f"delete from audit.event where {EVENT}",
              "MISSING leaf {leaf}: was sealed, but its event is gone"),
    Tampering("all events are deleted", f"delete from audit.event where {OWN}",
              "MISSING leaf {leaf}: was sealed, but its event is gone"),
    Tampering("the newest event is deleted with its leaf",
              f"delete from audit.leaf where {OWN} and index = {{last}}; delete from audit.event where {OWN} and id = '{{newest}}'",
              "MISSING log: had {size} leaves, and has no more than {last}", of_leaf=False),
    Tampering("two events are swapped",
              f"update audit.leaf set event_id = gen_random_uuid() where {LEAF};"
              f"update audit.leaf set event_id = '{{event}}' where {OWN} and index = {{leaf}} + 1;"
              f"update audit.leaf set event_id = '{{next}}' where {LEAF}",
              "INVALID leaf {leaf}: was changed after it was sealed"),
    Tampering("the hash of a leaf is changed", f"update audit.leaf set hash = sha256(hash) where {LEAF}",
              "INVALID events: leaves [0-9]+ to [0-9]+ do not hash to the root signed at size [0-9]+"),
    Tampering("a node is changed", f"update audit.node set hash = sha256(hash) where {ABOVE}",
              "(INVALID|MISSING) node {above} of level 1: is "),
    Tampering("every node is deleted", f"delete from audit.node where {OWN}",
              "MISSING node 0 of level 1 to [0-9]+: is gone", of_leaf=False),
    Tampering("the newest checkpoint is deleted", f"delete from audit.checkpoint where {OWN} and size = {{size}}",
              "MISSING checkpoints: that of the log's {size} leaves is gone", of_leaf=False),
    Tampering("every checkpoint is deleted", f"delete from audit.checkpoint where {OWN}",
              "MISSING checkpoints: that of the log's {size} leaves is gone: there is none", of_leaf=False),
    Tampering("a checkpoint is dated back", f"update audit.checkpoint set note = replace(note, 'time 1', 'time 0') where {OWN}",
              "INVALID (bundle: checkpoint 1 cannot be read|checkpoint [0-9a-f-]+: .* changed after it was signed)", of_leaf=False),
    Tampering("the proof of a checkpoint is changed", f"update audit.checkpoint set note = replace(note, E'\\nindex ', E'\\nindex 1') where {OWN}",
              "INVALID checkpoint [0-9a-f-]+: .* is not in the log of all checkpoints that was signed at size [0-9]+", of_leaf=False),
    Tampering("checkpoints are said to be of other sizes", f"update audit.checkpoint set size = {{size}} - size + 1 where {OWN}",
              "INVALID checkpoint .* is said to be of another size", of_leaf=False),
    Tampering("a payload is edited",
              f"update audit.payload set ciphertext = set_byte(ciphertext, 60, get_byte(ciphertext, 60) # 1) where {OF_EVENT} and name = 'query'",
              "INVALID leaf {leaf}: payload 'query' is not the text that was committed to"),
    Tampering("payloads are swapped",
              "update audit.payload p set ciphertext = o.ciphertext from audit.payload o where p.tenant_id = '{tenant}'"
              " and p.event_id = '{event}' and o.tenant_id = p.tenant_id and o.event_id = '{other}' and o.name = p.name",
              "INVALID leaf {leaf}: payload 'query' is not the text that was committed to"),
    Tampering("a payload is deleted", f"delete from audit.payload where {OF_EVENT} and name = 'query'",
              "MISSING leaf {leaf}: payload 'query' of .* is marked as erased, but no erasure lists it"),
    Tampering("a payload is added",
              f"insert into audit.payload select tenant_id, event_id, 'other', key_id, ciphertext from audit.payload where {OF_EVENT} and name = 'query'",
              "INVALID leaf {leaf}: payload 'other' is stored, but not one of the event's"),
    Tampering("a data key is deleted",
              f"delete from audit.data_key where {OWN} and id = (select key_id from audit.payload where {OF_EVENT} limit 1)",
              "MISSING data key .*: is gone, so that [0-9]+ texts cannot be opened", of_leaf=False),
    Tampering("data keys are swapped",
              f"update audit.data_key k set wrapped = o.wrapped from audit.data_key o where k.{OWN} and o.{OWN} and o.id <> k.id",
              "INVALID leaf {leaf}: payload 'query' is not the text that was committed to"),
    Tampering("an event is taken out of the index of documents", f"delete from audit.event_document where {OF_EVENT}",
              "MISSING leaf {leaf}: is not in the index of the document 'fees'"),
    Tampering("a text is taken out of the index of words", f"delete from audit.payload_term where {OF_EVENT}",
              "MISSING leaf {leaf}: words of payload 'query' are not in the index"),
    Tampering("the right edge is deleted", f"delete from audit.log where {OWN}", "MISSING log: its right edge is gone", of_leaf=False),
    Tampering("the right edge is put back", f"update audit.log set size = size - 1 where {OWN}",
              "INVALID log: has {size} leaves, although its right edge is that of", of_leaf=False),
]  # fmt: skip

BESIDES = [
    Tampering("and the leaf", f"delete from audit.leaf where {LEAF}", "GAP     log: [0-9]+ leaves are gone, the first of them {leaf}"),
    Tampering("and the node", f"delete from audit.node where {ABOVE}", "MISSING node ({above}|0) of level 1.*: is gone"),
    Tampering("and the checkpoint row", f"delete from audit.checkpoint where {OWN} and id = '{{checkpoint}}'",
              "MISSING checkpoint {checkpoint}: was signed as [0-9]+ of all, and is gone"),
    Tampering("and the archive",
              "insert into audit.archive (tenant_id, month, first_leaf, end_leaf, events, sha256, size, left_at)"
              " values ('{tenant}', date_trunc('month', now()), 0, {size}, 1, sha256('forged'), 1, now())",
              "INVALID archive of [0-9-]+: is said to hold leaves 0 to {last}, but no event of the log says that they left for it"),
]  # fmt: skip


@dataclass
class SharedLog:
    """The log that all cases share, with a connection that may do anything to it."""

    log: SealedLog
    superuser: asyncpg.Connection
    names: dict[str, object]

    async def run(self, sql: str) -> None:
        await self.superuser.execute(sql.format(**self.names))

    async def check(self) -> Report:
        """What `affidavit audit check` finds, of the checkpoints and of this log."""
        own = self.log.service.services

        async def progress(_done: int, _total: int) -> None:
            return

        keys = str(KEY.verifier_key)
        report = await LogReader(own.tenancy, own.payloads).check(self.log.tenant.id, keys, (), progress)
        for finding in (await check_checkpoints(self.log.database.sealer_url, keys)).findings:
            report.add(*finding)
        return report

    async def put_back(self) -> None:
        for table in TABLES:
            await self.run(f"delete from audit.{table} where {OWN}")
            columns = await self.superuser.fetchval(
                "select string_agg(quote_ident(attname), ', ') from pg_attribute where attrelid = $1::text::regclass"
                " and attnum > 0 and not attisdropped and attgenerated = ''",
                f"audit.{table}",
            )
            await self.superuser.execute(f"insert into audit.{table} ({columns}) select {columns} from kept.{table}")


@pytest.fixture(scope="module")
async def shared(
    service: Service, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SharedLog]:
    log = SealedLog(service, await service.create_tenant(), database, tmp_path_factory.mktemp("tampering"))
    await ingest(service, log.tenant, "fees", "A wire transfer costs 25 dollars.")
    for asking in ("analyst", "approver", "analyst"):
        for number in range(2):
            body = {"query": f"question {number} about fees"}
            assert (await service.post("/retrieve", log.tenant, asking, body)).status_code == 200
        await log.seal()
    log.end = datetime.now(UTC)
    async with await open_pool(database.sealer_url, size=1, timeout=5) as pool:
        await Indexer(pool).index()
    superuser = await asyncpg.connect(database.superuser_url)
    await superuser.execute("set session_replication_role = replica; create schema kept")
    for table in TABLES:
        await superuser.execute(
            f"create table kept.{table} as select * from audit.{table} where tenant_id = '{log.tenant.id}'"
        )
        await superuser.execute(f"alter table audit.{table} disable trigger all")
    leaves = await superuser.fetch(
        "select index, event_id, action from audit.leaf join audit.event on id = event_id order by index"
    )
    asked = next(leaf for leaf in leaves if leaf["action"] == "retrieval:executed" and leaf["index"] % 2 == 0)
    names = {
        "tenant": log.tenant.id, "leaf": asked["index"], "event": asked["event_id"], "above": asked["index"] // 2,
        "other": next(leaf["event_id"] for leaf in reversed(leaves) if leaf["action"] == "retrieval:executed"),
        "next": leaves[asked["index"] + 1]["event_id"], "size": len(leaves), "last": len(leaves) - 1, "newest": leaves[-1]["event_id"],
    }  # fmt: skip
    names["checkpoint"] = await superuser.fetchval(f"select id from audit.checkpoint where {COVERING}".format(**names))
    yield SharedLog(log, superuser, names)
    await superuser.close()


@pytest.fixture
async def tampered(shared: SharedLog) -> AsyncIterator[SharedLog]:
    yield shared
    await shared.put_back()


def cases() -> Iterator[object]:
    """Yields each tampering alone, each of those that would hide it alone, and each pair of them."""
    for first in (*TAMPERINGS, *BESIDES):
        yield pytest.param((first,), id=first.name)
    for first in TAMPERINGS:
        for second in BESIDES:
            yield pytest.param((first, second), id=f"{first.name} {second.name}")


def expected(case: tuple[Tampering, ...]) -> list[str]:
    """Returns what is found of a case. Of an event without its leaf only the gap is left."""
    hidden = len(case) > 1 and case[1].sql.startswith("delete from audit.leaf") and case[0].of_leaf
    return [one.named for one in (case[1:] if hidden else case)]


async def test_an_untouched_log_is_sound(shared: SharedLog) -> None:
    report = await shared.check()
    assert convicting(report) == 0, list(report.lines())
    assert await forged_archives(shared) is None


async def forged_archives(shared: SharedLog) -> str | None:
    """What `doctor` and readiness say of archives."""
    connection = await asyncpg.connect(shared.log.database.runtime_url)
    try:
        return next(finding.problem for finding in await check(connection) if finding.check == "audit archives")
    finally:
        await connection.close()


@pytest.mark.parametrize("case", list(cases()))
async def test_every_tampering_is_named(tampered: SharedLog, case: tuple[Tampering, ...]) -> None:
    for one in case:
        await tampered.run(one.sql)
    found = list((await tampered.check()).lines())
    for named in expected(case):
        assert any(re.match(named.format(**tampered.names), line) for line in found), (named, found)


async def test_no_tampering_ends_an_export(tampered: SharedLog) -> None:
    for one in (*TAMPERINGS, *BESIDES):
        await tampered.run(one.sql)
        for asked in ({"action": "retrieval:executed"}, {"format": ExportFormat.JSONL}, {"format": ExportFormat.CSV}):
            try:
                await tampered.log.export(**asked)
            except NothingSealed:
                assert one.name == "every checkpoint is deleted"
        await tampered.put_back()


async def test_what_is_missing_has_its_line_in_exports_that_prove_nothing(tampered: SharedLog) -> None:
    leaf, event = tampered.names["leaf"], tampered.names["event"]
    await tampered.run(f"delete from audit.event where {EVENT}; delete from audit.leaf where {OWN} and index = 0")
    lines = (await tampered.log.export(format=ExportFormat.JSONL, reveal=False)).read_text().splitlines()
    assert json.loads(lines[1]) == {"leaf": 0, "end_leaf": 1, "missing": "leaves"}
    assert {"leaf": leaf, "missing": str(event)} in map(json.loads, lines)
    rows = (await tampered.log.export(format=ExportFormat.CSV, reveal=False)).read_text()
    assert f"\n{leaf},{event},,missing" in rows.replace("\r", "")


async def test_an_event_that_was_removed_is_not_taken_for_an_archived_one(tampered: SharedLog) -> None:
    own = tampered.log
    await tampered.run(BESIDES[-1].sql + f"; delete from audit.event where {EVENT}")
    for path in (f"/audit/events/{tampered.names['event']}", f"/audit/events/{tampered.names['event']}/proof"):
        answer = await own.service.get(path, own.tenant, "compliance")
        assert answer.status_code == 409, answer.text
        assert f"sealed as leaf {tampered.names['leaf']} and is not in the log any more" in answer.json()["detail"]
    assert (await own.service.get("/audit/archives", own.tenant, "compliance")).json() == {"archives": []}
    assert await forged_archives(tampered) == "one is in no event of its log: run `affidavit audit check`"
