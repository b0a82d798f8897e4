"""Tampering as superuser with every trigger disabled: each is detected, and named for what it is.

One log is sealed and exported once; each case then changes the database, exports again, and undoes the change.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import orjson
import pytest
from uuid_utils.compat import uuid7

from backend.audit.canonical import canonical_json
from backend.audit.details import timestamp
from backend.ledger import verifier
from backend.ledger.checkpoints import SigningKey, open_checkpoint
from backend.ledger.merkle import Frontier, leaf_hash
from backend.review.events.service import first_id_at
from tests.factories import ingest
from tests.ledger.sealed_log import KEY, SealedLog, kinds
from tests.service import Database, Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sealed(service: Service, database: Database, tmp_path: Path) -> SealedLog:
    """A fresh tenant whose log has been sealed three times."""
    log = SealedLog(service, await service.create_tenant(), database, tmp_path)
    await ingest(service, log.tenant, "fees", "A wire transfer costs 25 dollars.")
    for _ in range(3):
        log.end = datetime.now(UTC)
        await log.act(3)
        await log.seal()
    return log


async def test_an_untouched_log_verifies_with_every_text_revealed(sealed: SealedLog) -> None:
    report = await sealed.verify()
    assert report.ok, list(report.lines())
    assert report.events >= 9


async def test_a_filtered_export_verifies_and_says_that_it_does_not_prove_completeness(sealed: SealedLog) -> None:
    path = await sealed.export(action="retrieval:executed", reveal=False)
    report = verifier.verify(path, str(KEY.verifier_key))
    assert report.ok, list(report.lines())
    assert any("complete" in line.lower() for line in report.lines())


Tamper = Callable[[SealedLog], Awaitable[None]]


def statement(sql: str) -> Tamper:
    async def tamper(log: SealedLog) -> None:
        await log.execute(sql.format(tenant=log.tenant.id))

    return tamper


MIDDLE = (
    "(select id from audit.event where tenant_id = '{tenant}' and action = 'retrieval:executed' order by id limit 1)"
)
NEWEST = "(select event_id from audit.leaf where tenant_id = '{tenant}' order by index desc limit 1)"


async def rewrite_everything_consistently(log: SealedLog) -> None:
    """Changes an envelope, and then its leaf, every node and the right edge, as a careful forger would."""
    await log.execute(
        f"update audit.event set envelope = replace(envelope, 'succeeded', 'failed') where id = {MIDDLE}".format(
            tenant=log.tenant.id
        )
    )
    connection = await asyncpg.connect(log.database.superuser_url)
    rows = await connection.fetch(
        "select l.index, e.envelope from audit.leaf l join audit.event e on e.id = l.event_id and e.tenant_id = l.tenant_id"
        " where l.tenant_id = $1 order by index",
        log.tenant.id,
    )
    await connection.close()
    frontier, changes = Frontier(), []
    for row in rows:
        hashed = leaf_hash(row["envelope"].encode())
        changes.append(
            f"update audit.leaf set hash = '\\x{hashed.hex()}' where tenant_id = '{log.tenant.id}' and index = {row['index']}"
        )
        changes += [
            f"update audit.node set hash = '\\x{node.hash.hex()}' where tenant_id = '{log.tenant.id}'"
            f" and level = {node.level} and position = {node.position}"
            for node in frontier.append(hashed)[1:]
        ]
    await log.execute(*changes)


async def sign_with_another_key(log: SealedLog) -> None:
    await log.act(1)
    await log.seal(SigningKey.generate("affidavit-test"))


async def truncate_the_partition(log: SealedLog) -> None:
    partition = await log.partition()
    await log.execute(f"alter table {partition} disable trigger all", f"truncate {partition}")


async def insert_a_forged_past_event(log: SealedLog) -> None:
    """Dated three days back in everything that says when it was: id, time, and so its place among the ids."""
    when = datetime.now(UTC) - timedelta(days=3)
    event_id = UUID(int=first_id_at(when).int | 7 << 76 | 8 << 60 | uuid7().int & (1 << 60) - 1)
    genuine = orjson.loads(str(await log.fetchval(f"select envelope from audit.event where id = {MIDDLE}".format(tenant=log.tenant.id))))  # fmt: skip
    forged = canonical_json({**genuine, "id": str(event_id), "time": timestamp(when)})
    await log.execute(f"insert into audit.event (id, envelope) values ('{event_id}', $json${forged}$json$)")
    log.end = datetime.now(UTC)
    await log.seal()


EDITED = "update audit.event set envelope = {change} where id = " + MIDDLE.replace("{", "{{").replace("}", "}}")


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        pytest.param(
            statement(EDITED.format(change="replace(envelope, 'retrieval:executed', 'document:read')")),
            "INVALID leaf [0-9]+: was changed after it was sealed", id="edit an envelope, the source of a generated column",
        ),
        pytest.param(
            statement(EDITED.format(change="regexp_replace(envelope, '\"time\":\"20..', '\"time\":\"2019')")),
            "INVALID leaf [0-9]+: was changed after it was sealed", id="shift the clock of an event",
        ),
        pytest.param(
            statement(f"update audit.payload set ciphertext = set_byte(ciphertext, 60, get_byte(ciphertext, 60) # 1) where event_id = {MIDDLE}"),
            "INVALID leaf [0-9]+: .*payload", id="edit a payload",
        ),
        pytest.param(
            statement(f"delete from audit.payload where event_id = {MIDDLE}"),
            "MISSING leaf [0-9]+: payload 'query' of [0-9a-f-]+ is marked as erased, but no erasure lists it", id="delete a payload",
        ),
        pytest.param(
            statement(f"delete from audit.event where id = {MIDDLE}"),
            "MISSING leaf [0-9]+: was sealed, but its event is gone", id="delete a middle event",
        ),
        pytest.param(
            statement(f"delete from audit.event where id = {NEWEST}"),
            "MISSING leaf [0-9]+: was sealed, but its event is gone", id="delete the newest event",
        ),
        pytest.param(
            statement(
                "create temp table two as select * from audit.leaf where tenant_id = '{tenant}' and index in (4, 5);"
                "delete from audit.leaf where tenant_id = '{tenant}' and index in (4, 5);"
                "insert into audit.leaf select tenant_id, 9 - index, event_id, hash from two"
            ),
            "INVALID events: leaves [0-9]+ to [0-9]+ do not hash to the root signed at size [0-9]+", id="swap two events",
        ),
        pytest.param(
            insert_a_forged_past_event,
            "INVALID leaf [0-9]+: clock: .* contradicts", id="insert a forged past event",
        ),
        pytest.param(truncate_the_partition, "MISSING leaf 0: was sealed, but its event is gone", id="truncate a partition"),
        pytest.param(
            rewrite_everything_consistently,
            "INVALID events: leaves [0-9]+ to [0-9]+ do not hash to the root signed at size [0-9]+",
            id="rewrite leaves and nodes consistently",
        ),
        pytest.param(
            sign_with_another_key,
            "INVALID checkpoint [0-9]+: of size [0-9]+ is proven by a log that is not signed by the given key", id="sign with another key",
        ),
    ],
)  # fmt: skip
async def test_tampering_is_detected_and_named(sealed: SealedLog, tamper: Tamper, named: str) -> None:
    await tamper(sealed)
    report = await sealed.verify()
    assert not report.ok
    assert any(re.match(named, line) for line in report.lines()), list(report.lines())


TAMPERED_LEAF = "tenant_id = '{tenant}' and index = 3"
WITH_ITS_LEAF = [
    "delete from audit.event where tenant_id = '{tenant}' and id = (select event_id from audit.leaf where "
    + TAMPERED_LEAF
    + ")",
    "delete from audit.leaf where " + TAMPERED_LEAF,
]


@pytest.mark.parametrize(
    "also",
    [
        pytest.param([], id="alone"),
        pytest.param(["delete from audit.node where tenant_id = '{tenant}' and level = 1 and position = 1"], id="and the node"),
        pytest.param(
            ["delete from audit.checkpoint where tenant_id = '{tenant}' and size = (select min(size) from audit.checkpoint where tenant_id = '{tenant}')"],
            id="and the checkpoint row",
        ),
        pytest.param(["delete from audit.node where tenant_id = '{tenant}'"], id="and every node"),
    ],
)  # fmt: skip
async def test_an_event_that_is_deleted_with_its_leaf_is_named_in_every_export(
    sealed: SealedLog, also: list[str]
) -> None:
    await sealed.execute(*(sql.format(tenant=sealed.tenant.id) for sql in [*WITH_ITS_LEAF, *also]))
    assert "GAP     events: leaves 3 to 3 are not in the bundle" in (await sealed.verify()).lines()
    filtered = verifier.verify(await sealed.export(action="retrieval:executed", reveal=False), str(KEY.verifier_key))
    assert filtered.events > 0


async def test_a_leaf_that_is_deleted_is_named_although_its_event_is_there(sealed: SealedLog) -> None:
    await sealed.execute(
        WITH_ITS_LEAF[1].format(tenant=sealed.tenant.id)
    )  # fmt: skip
    assert "GAP     events: leaves 3 to 3 are not in the bundle" in (await sealed.verify()).lines()


async def test_a_detached_partition_is_missed(sealed: SealedLog) -> None:
    partition = await sealed.partition()
    bounds = await sealed.fetchval(
        "select pg_get_expr(relpartbound, oid) from pg_class where oid = $1::text::regclass", partition
    )
    await sealed.execute(f"alter table audit.event detach partition {partition}")
    try:
        report = await sealed.verify()
    finally:
        await sealed.execute(f"alter table audit.event attach partition {partition} {bounds}")
    assert "MISSING leaf 0: was sealed, but its event is gone" in report.lines()
    assert report.counts[verifier.Kind.MISSING] == report.events
    assert (await sealed.verify()).ok


async def put_back(log: SealedLog, size: int) -> None:
    """Puts the tenant's log back to a size that it had, as a backup of then would."""
    hashes = await log.fetchval(
        "select array_agg(hash order by index) from audit.leaf where tenant_id = $1 and index < $2", log.tenant.id, size
    )
    assert isinstance(hashes, list)
    frontier, nodes = Frontier(), []
    for hashed in hashes:
        nodes += frontier.append(hashed)[1:]
    edge = ",".join(f"'\\x{element.hex()}'::bytea" for element in frontier.hashes)
    own = f"tenant_id = '{log.tenant.id}'"
    positions = ",".join(f"({node.level}, {node.position})" for node in nodes)
    await log.execute(
        f"delete from audit.event where {own} and id in (select event_id from audit.leaf where {own} and index >= {size})",
        f"delete from audit.leaf where {own} and index >= {size}",
        f"delete from audit.node where {own} and (level, position) not in ({positions})",
        f"delete from audit.checkpoint where {own} and size > {size}",
        f"update audit.log set size = {size}, frontier = array[{edge}] where {own}",
    )


async def test_a_backup_that_was_put_back_contradicts_a_kept_checkpoint(sealed: SealedLog) -> None:
    size = open_checkpoint(await sealed.seal(), [KEY.verifier_key]).size
    await sealed.act(2)
    kept = await sealed.seal()
    await put_back(sealed, size)
    sealed.end = datetime.now(UTC)
    assert "INVALID" not in kinds(await sealed.verify())  # nothing in the backup itself is wrong
    await sealed.act(1)
    await sealed.seal_at(timedelta(minutes=3))
    report = await sealed.verify(kept)
    rolled_back = f"INVALID history: was rolled back: it had {size + 2} leaves"
    assert any(line.startswith(rolled_back) for line in report.lines()), list(report.lines())


async def test_two_histories_shown_to_two_reviewers_contradict_each_other(sealed: SealedLog) -> None:
    size = open_checkpoint(await sealed.seal(), [KEY.verifier_key]).size
    await sealed.act(1)
    shown_to_one = await sealed.seal()
    await put_back(sealed, size)
    await sealed.act(1)
    shown_to_the_other = await sealed.seal()
    sealed.end = datetime.now(UTC)
    for note in (shown_to_one, shown_to_the_other):
        assert open_checkpoint(note, [KEY.verifier_key]).size == size + 1
    assert "INVALID" not in kinds(await sealed.verify(shown_to_the_other))
    report = await sealed.verify(shown_to_one)
    forked = f"INVALID history: forks: a kept checkpoint has another root at size {size + 1}"
    assert forked in list(report.lines())
