"""Seals committed events: appends them to their tenant's Merkle log, and signs one checkpoint of all logs.

A trigger enters every event into a queue, in the event's own transaction; the transaction that appends its leaf takes it out.
So nothing depends on the order in which transactions commit, nor on their ids, which a restored database counts anew. A
cursor on event ids would lose those that commit out of order. One sealing is one transaction, which first locks the state
and checks the epoch, so a leader that was thought dead can neither seal twice nor fork a log.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import structlog
from uuid_utils.compat import uuid7

from backend.database import UNREACHABLE, Connection, Pool, Queries, end_if_cancelled, fetch_rows
from backend.ledger.checkpoints import Checkpoint, log_origin, sign_checkpoint
from backend.ledger.history import META_LOG, META_LOG_NAME, Forked, compare
from backend.ledger.keyring import Keyring
from backend.ledger.merkle import Frontier
from backend.ledger.rounds import GrowingLog, entry_of, hidden, proven, signed_round, whole_round
from backend.ledger.sinks import CheckpointSink, CheckpointsNotKept

queries = Queries.beside(__file__)
log = structlog.get_logger()

LEASE_SECONDS = 5.0
INTERVAL_SECONDS = 0.3
REST_SECONDS = 0.5  # between two checkpoints of a tenant; an event is to be sealed within a second
HEARTBEAT_SECONDS = 60.0
PARTITIONS_SECONDS = 3600.0
PARTITIONS_AGAIN_SECONDS = 5.0  # while no event can be written
BATCH_EVENTS = 10_000
HALT_SECONDS = 5.0  # until a sealer that has stopped looks again


class LeadLost(Exception):
    """Another sealer leads."""


@dataclass(frozen=True, slots=True)
class UnsealedEvent:
    """A committed event in the queue; `sealed` says that replication brought its leaf before it."""

    tenant_id: UUID
    event_id: UUID
    envelope: str
    sealed: bool


@dataclass(frozen=True, slots=True)
class Sealing:
    """What one round sealed, and the notes to be kept outside the database."""

    events: int
    notes: Sequence[str]
    more: bool
    tenants: Collection[UUID] = ()


class _Rests:
    """Lets the log of a tenant rest once it was signed, so that events which come one after the other share a checkpoint.

    Nobody rests while a backlog is worked off: each checkpoint then covers thousands of events.
    """

    def __init__(self) -> None:
        self._until: dict[UUID, float] = {}

    def begin(self, sealing: Sealing) -> None:
        """Has those rest that were sealed."""
        end = time.monotonic() + REST_SECONDS
        self._until = {} if sealing.more else self._until | dict.fromkeys(sealing.tenants, end)

    def now(self) -> list[UUID]:
        """Returns who rests, and forgets who does no more."""
        now = time.monotonic()
        self._until = {tenant: until for tenant, until in self._until.items() if until > now}
        return list(self._until)


class Sealer:
    """One of possibly several processes that seal; at most one leads.

    With `sign_each` the checkpoint of each log is signed by itself, as verifiers of version 0.1.0 read it.
    """

    def __init__(
        self, pool: Pool, keys: Keyring, sinks: Sequence[CheckpointSink] = (), *, sign_each: bool = False
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._sinks = sinks
        self._sign_each = sign_each
        self._behind: set[CheckpointSink] = set()
        self._edge: bytes | None = None  # the root of the meta-log as this sealer left it
        self._grown: bytes | None = None
        self._name = f"{socket.gethostname()}:{os.getpid()}:{uuid7()}"
        self._last_heartbeat = 0.0
        self._partitions_due = 0.0

    async def run(self) -> None:
        """Seals until cancelled, whatever becomes of the database or of other sealers."""
        while True:
            try:
                await self._lead()
            except LeadLost:
                log.info("another sealer leads, or the database is not the one that was sealed last")
            except CheckpointsNotKept as error:
                log.warning("sealing paused: the log cannot be compared with what was kept", cause=str(error))
            except (asyncpg.PostgresError, *UNREACHABLE) as error:
                end_if_cancelled()
                log.warning("sealing paused", cause=type(error).__name__)
            await asyncio.sleep(1)

    async def take_lead(self) -> int | None:
        """Returns the epoch in which this sealer leads; None when another does."""
        async with self._transaction() as connection:
            epoch: int | None = await connection.fetchval(queries.take_lead, self._name, LEASE_SECONDS)
            return epoch

    async def seal(self, epoch: int, resting: Collection[UUID] = ()) -> Sealing:
        """Seals one batch of committed events, but for those of tenants that rest.

        Raises LeadLost when another sealer has begun a new epoch, or when the log is not as this one left it.
        """
        async with self._transaction() as connection:
            if await connection.fetchval(queries.keep_lead, epoch, LEASE_SECONDS) is None:
                raise LeadLost
            waiting = await fetch_rows(connection, UnsealedEvent, queries.unsealed_events, BATCH_EVENTS, list(resting))
            events = [event for event in waiting if not event.sealed]
            beat = time.monotonic() - self._last_heartbeat >= HEARTBEAT_SECONDS
            newcomers = await connection.fetch(queries.newcomers)
            notes = await self._append(connection, events, adopt=bool(newcomers)) if events or beat or newcomers else []
            if newcomers:
                await connection.execute(queries.note_adopted, [row["newcomer"] for row in newcomers])
            if waiting:
                places = [(event.tenant_id, event.event_id) for event in waiting]
                await connection.execute(queries.take_out, *map(list, zip(*places, strict=True)))
        if notes:
            self._last_heartbeat = time.monotonic()
            self._edge = self._grown
        tenants = {event.tenant_id for event in events}
        return Sealing(len(events), notes, len(waiting) == BATCH_EVENTS, tenants)

    async def _lead(self) -> None:
        epoch = await self.take_lead()
        if epoch is None:
            return
        self._edge = None
        # Whatever may keep it from sealing: after months at rest, no event of this month has a place yet.
        await self._create_partitions()
        try:
            async with self._transaction() as connection:
                await compare(connection, self._sinks, self._keys.verifying)
                await connection.execute(queries.go_on, epoch)
                await self._hand_over(connection)
        except Forked as fork:
            await self._halt(epoch, str(fork))
            return
        except CheckpointsNotKept:
            await self._resign(epoch)
            raise
        log.info("sealing", epoch=epoch)
        # Whoever led before may have died between sealing and publishing.
        self._behind = set(self._sinks)
        entering = asyncio.create_task(self._keep_entering())
        rests = _Rests()
        try:
            while True:
                await self._create_partitions()
                sealing = await self.seal(epoch, rests.now())
                rests.begin(sealing)
                if sealing.notes:
                    await self._publish(sealing.notes)
                if not sealing.more:
                    await asyncio.sleep(INTERVAL_SECONDS)
        except asyncio.CancelledError:
            await asyncio.shield(self._resign(epoch))
            raise
        finally:
            entering.cancel()
            await asyncio.gather(entering, return_exceptions=True)

    async def _hand_over(self, connection: Connection) -> None:
        """Stores a handover of the previous key to the current one, once for these two; sinks get it with what they lack."""
        made = self._keys.handover(datetime.now(UTC))
        if made is not None:
            keys = [line for line in made.split("\n") if line.startswith("key ")]
            await connection.execute(queries.add_handover, uuid7(), made, "\n".join(keys))

    async def _halt(self, epoch: int, reason: str) -> None:
        """Seals nothing until the database is no longer behind, or somebody has declared what it lost."""
        log.error("sealing has stopped", reason=reason)
        async with self._transaction() as connection:
            await connection.execute(queries.halt, epoch, reason)
        await asyncio.sleep(HALT_SECONDS)

    async def enter_unsealed(self) -> int:
        """Enters events into the queue that came into the database without, and returns their number.

        Those are events of a schema before the queue, and events that were copied without it.
        """
        entered = 0
        for month in await self._months():
            begin = datetime.strptime(month, "%Y_%m").replace(tzinfo=UTC)
            end = (begin + timedelta(days=31)).replace(day=1)
            async with self._transaction() as connection:
                done = await connection.execute(queries.enter_unsealed, _first_id_at(begin), _first_id_at(end))
            entered += int(done.rpartition(" ")[2])
        if entered:
            log.info("events entered that were not sealed", events=entered)
        return entered

    async def _keep_entering(self) -> None:
        """Enters them beside the sealing, however often the database ends that."""
        while True:
            try:
                await self.enter_unsealed()
            except (asyncpg.PostgresError, *UNREACHABLE) as error:
                end_if_cancelled()
                log.warning("events not yet entered that were not sealed", cause=type(error).__name__)
                await asyncio.sleep(1)
            else:
                return

    async def _create_partitions(self) -> None:
        """Creates the partitions of the coming months, now and every hour; long before they are needed, so it may fail.

        After months at rest the one of this month is needed: then it is tried again soon.
        """
        if time.monotonic() < self._partitions_due:
            return
        self._partitions_due = time.monotonic() + PARTITIONS_SECONDS
        try:
            async with self._transaction() as connection:
                await connection.execute(queries.create_coming_partitions)
        except asyncpg.LockNotAvailableError:
            log.warning("no partitions created: the log is being written")
            if f"{datetime.now(UTC):%Y_%m}" not in await self._months():
                self._partitions_due = time.monotonic() + PARTITIONS_AGAIN_SECONDS

    async def _months(self) -> list[str]:
        """Returns the months, as YYYY_MM, in which events have partitions."""
        async with self._transaction() as connection:
            return [row["month"] for row in await connection.fetch(queries.months)]

    async def _publish(self, notes: Sequence[str]) -> None:
        """Publishes notes; to a sink that missed some, the newest of every log, which vouch for those before.

        Sealing goes on without a sink: what is sealed late can be tampered with meanwhile.
        """
        for sink in self._sinks:
            try:
                await sink.publish(await self._newest_notes() if sink in self._behind else notes)
                self._behind.discard(sink)
            except CheckpointsNotKept as error:
                self._behind.add(sink)
                log.warning("checkpoints not kept", sink=type(sink).__name__, cause=str(error))

    async def _newest_notes(self) -> list[str]:
        async with self._transaction() as connection:
            return [row["note"] for row in await connection.fetch(queries.newest_notes)]

    async def _resign(self, epoch: int) -> None:
        async with self._transaction() as connection:
            await connection.execute(queries.resign, epoch)

    async def _append(
        self, connection: Connection, events: Sequence[UnsealedEvent], *, adopt: bool = False
    ) -> list[str]:  # fmt: skip
        """Appends events to the logs of their tenants, and the checkpoints of those to the meta-log.

        `adopt` appends to that as well what tenants brought from another cell, whose sealer signed it.
        """
        touched = {event.tenant_id for event in events}
        logs = {tenant: GrowingLog(Frontier()) for tenant in (*touched, META_LOG)}
        for row in await connection.fetch(queries.logs, list(logs)):
            logs[row["tenant_id"]] = GrowingLog(Frontier(row["size"], list(row["frontier"])))
        all_logs = logs[META_LOG]
        # A pool connects anew without a word, also to a replica that was promoted before it had everything.
        if self._edge is not None and self._edge != all_logs.frontier.root():
            raise LeadLost
        for event in events:
            logs[event.tenant_id].append(event.event_id, event.envelope.encode())
        for brought in await connection.fetch(queries.newcomers_checkpoints, META_LOG) if adopt else ():
            all_logs.append(brought["id"], entry_of(brought["note"]))
        first = await connection.fetchval(queries.first_leaf, META_LOG)
        checkpoints, kept = self._checkpoints(touched, logs, first)
        self._grown = all_logs.frontier.root()
        await _store(connection, logs)
        await connection.execute(queries.add_checkpoints, *map(list, zip(*checkpoints, strict=True)))
        return kept

    def _checkpoints(
        self, touched: Collection[UUID], logs: Mapping[UUID, GrowingLog], first: bytes | None
    ) -> tuple[list[tuple[UUID, UUID, int, str]], list[str]]:
        """Returns the checkpoints of a round as they are stored, and what is kept of them outside.

        The signed checkpoint of all logs is kept by itself as well: it is what a sealer looks for before it seals.
        """
        all_logs, moment = logs[META_LOG], int(time.time() * 1000)
        before = Frontier(all_logs.frontier.size, list(all_logs.frontier.hashes))
        made = []
        for tenant in touched:
            checkpoint = self._checkpoint(str(tenant), logs[tenant].frontier, moment)
            text = sign_checkpoint(checkpoint, *self._keys.signing) if self._sign_each else hidden(checkpoint)
            identifier = uuid7()
            made.append((tenant, identifier, checkpoint.size, text, all_logs.append(identifier, text.encode())))
        signed = self._checkpoint(META_LOG_NAME, all_logs.frontier, moment)
        note = signed_round(signed, first or next((leaf[2] for leaf in all_logs.leaves), None), *self._keys.signing)
        stored = [
            (tenant, identifier, size, text if self._sign_each else proven(text, index, all_logs.proof(index), note))
            for tenant, identifier, size, text, index in made
        ]
        texts = [text for *_, text, _ in made]
        kept = [whole_round(texts, before, note)] if texts and not self._sign_each else texts
        return [*stored, (META_LOG, uuid7(), signed.size, note)], [*kept, note]

    def _checkpoint(self, name: str, frontier: Frontier, moment: int) -> Checkpoint:
        return Checkpoint(log_origin(self._keys.name, name), frontier.size, frontier.root(), moment)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with self._pool.acquire(timeout=LEASE_SECONDS) as connection, connection.transaction():
            yield connection


def _first_id_at(moment: datetime) -> UUID:
    """Returns the smallest UUIDv7 of a moment."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def _store(connection: Connection, logs: Mapping[UUID, GrowingLog]) -> None:
    leaves = [(tenant, *leaf) for tenant, grown in logs.items() for leaf in grown.leaves]
    nodes = [(tenant, *node) for tenant, grown in logs.items() for node in grown.nodes]
    edges = [(tenant, grown.frontier.size, b"".join(grown.frontier.hashes)) for tenant, grown in logs.items()]
    for statement, rows in ((queries.add_leaves, leaves), (queries.add_nodes, nodes), (queries.store_logs, edges)):
        if rows:
            await connection.execute(statement, *map(list, zip(*rows, strict=True)))
