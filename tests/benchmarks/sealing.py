"""Measures sealing: lag while 2,000 events a second are offered, capacity when catching up, and what recording costs.

Also what 50 tenants of two events a second each have signed, stored and kept outside, with one signature a round and, as
before, with one of each log.

    python -m tests.benchmarks.sealing
    python -m tests.benchmarks.sealing --recording      # only what recording costs
"""

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import uvloop
from rich.console import Console
from rich.table import Table
from uuid_utils.compat import uuid7

from backend.audit.actions.retrieval import RecordedChunk, RecordedRetrieval, RetrievalExecuted
from backend.audit.canonical import canonical_json
from backend.audit.events import Event, envelope
from backend.audit.indexer import Indexer
from backend.database import Connection, open_pool
from backend.embedded_postgres import EmbeddedPostgres, Passwords
from backend.identity.callers.caller import Caller
from backend.ledger.checkpoints import SigningKey
from backend.ledger.keyring import Keyring
from backend.ledger.sealer import Sealer, Sealing, UnsealedEvent
from backend.migration import migrate, store_context_key
from backend.retrieval.embedding.minilm import MINILM
from backend.tenancy import ContextSigner
from tests.benchmarks.deployment import write_results
from tests.benchmarks.synthetic import Corpus, Topics, load
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

Figures: TypeAlias = dict[str, float]

RATE, SECONDS, WRITERS, TENANTS = 2_000, 20, 32, 200
FEW_RATE, FEW_TENANTS = 100, 50
BACKLOG = 30_000
SIZES = (1_000, 20_000)
RETRIEVALS, WARM_UP = 150, 20
# With what the index is to know of it, as the service writes it.
ADD_EVENT = """
with unindexed as (
  insert into audit.unindexed (tenant_id, event_id, doc_ids, action, outcome)
  select ($2::json ->> 'tenant')::uuid, $1::uuid, array['d' || n, 'e' || n, 'f' || n], 'retrieval:executed', 'succeeded'
  from (select ('x' || right($1::uuid::text, 4))::bit(16)::int % 500 as n) as document
)
insert into audit.event (id, envelope) values ($1::uuid, $2)
"""
WAYS = {"each log signed": True, "one signature a round": False}
TENANT_IDS = [uuid7() for _ in range(TENANTS)]


def made(number: int, tenants: int = TENANTS) -> tuple[UUID, str]:
    """Returns id and envelope of an event of about 1 KB, as a retrieval's."""
    actor = Caller(TENANT_IDS[number % tenants], "bench", None, "operator", "", str(uuid7()))
    event_id = uuid7()
    chunks = [
        RecordedChunk(id=uuid7(), doc_id="d", version=1, rank=rank, score_micros=0, sha256="0" * 64, used=True)
        for rank in range(5)
    ]
    found = RecordedRetrieval(
        mode="hybrid",
        k=5,
        filtered=False,
        embedding_model="m",
        index="exact",
        chunk_count=5,
        chunks=chunks,
        milliseconds=9,
    )
    event = Event(RetrievalExecuted(retrieval=found))
    return event_id, canonical_json(envelope(event_id, datetime.now(UTC), actor, event, {}))


async def offer(url: str, writer: int, rate: int = RATE, tenants: int = TENANTS) -> list[tuple[UUID, float]]:
    """Commits events one by one at a writer's share of the rate; returns when each was committed."""
    connection = await asyncpg.connect(url)
    committed, share, started = [], rate / WRITERS, time.time()
    for number in range(int(share * SECONDS)):
        await asyncio.sleep(max(0.0, started + number / share - time.time()))
        event_id, text = made(writer + WRITERS * number, tenants)
        await connection.execute(ADD_EVENT, event_id, text)
        committed.append((event_id, time.time()))
    await connection.close()
    return committed


class WatchedSealer(Sealer):
    """Notes when each event was sealed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.rounds = self.kept_bytes = 0
        self.sealed_at: dict[UUID, float] = {}
        self._appended: list[UUID] = []

    async def seal(self, epoch: int, resting: Collection[UUID] = ()) -> Sealing:
        sealing = await super().seal(epoch, resting)
        self.sealed_at |= dict.fromkeys(self._appended, time.time())
        self.rounds += bool(sealing.notes)
        self.kept_bytes += sum(len(note) + 1 for note in sealing.notes)
        self._appended = []
        return sealing

    async def _append(
        self, connection: Connection, events: Sequence[UnsealedEvent], *, adopt: bool = False
    ) -> list[str]:
        self._appended = [event.event_id for event in events]
        return await super()._append(connection, events, adopt=adopt)


async def seal_lag(urls: dict[str, str], superuser: Connection) -> Figures:
    """Returns the time from an event's commit to that of the checkpoint that covers it, while the rate is offered."""
    pool = await open_pool(urls["sealer_url"], size=3, timeout=5)
    sealer = WatchedSealer(pool, Keyring(SigningKey.generate("bench")))
    running = asyncio.gather(sealer.run(), Indexer(pool).run())
    started = time.time()
    committed = [
        event
        for part in await asyncio.gather(*(offer(urls["superuser_url"], n) for n in range(WRITERS)))
        for event in part
    ]
    took = time.time() - started
    await asyncio.sleep(3)
    if running.done():
        await running  # raises what ended it
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await pool.close()
    lags = [sealer.sealed_at[event_id] - moment for event_id, moment in committed if event_id in sealer.sealed_at]
    return {
        "offered_per_second": RATE, "committed_per_second": round(len(committed) / took), "events": len(committed),
        "not_sealed": len(committed) - len(lags), "not_indexed": await superuser.fetchval("select count(*) from audit.unindexed"), "lag_p50_s": round(percentile(lags, 50), 3),
        "lag_p99_s": round(percentile(lags, 99), 3),
    }  # fmt: skip


async def signatures(urls: dict[str, str], superuser: Connection, *, sign_each: bool) -> Figures:
    """Returns what is signed and stored of each event of a few active tenants, and how late it is sealed."""
    pool = await open_pool(urls["sealer_url"], size=3, timeout=5)
    before = await superuser.fetchval("select count(*) from audit.checkpoint")
    sealer = WatchedSealer(pool, Keyring(SigningKey.generate("bench")), sign_each=sign_each)
    running = asyncio.gather(sealer.run())
    offering = (offer(urls["superuser_url"], writer, FEW_RATE, FEW_TENANTS) for writer in range(WRITERS))
    committed = [event for part in await asyncio.gather(*offering) for event in part]
    await asyncio.sleep(3)
    if running.done():
        await running  # raises what ended it
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await pool.close()
    lags = [sealer.sealed_at[event_id] - moment for event_id, moment in committed]
    checkpoints = await superuser.fetchval("select count(*) from audit.checkpoint") - before
    signed = checkpoints if sign_each else sealer.rounds
    stored = await superuser.fetchval(
        "select avg(pg_column_size(c.*))::int from (select * from audit.checkpoint order by id desc limit $1) c",
        checkpoints,
    )
    return {
        "events": len(committed), "rounds": sealer.rounds, "checkpoints_per_event": round(checkpoints / len(committed), 3),
        "signatures_per_event": round(signed / len(committed), 3), "stored_bytes_per_checkpoint": stored,
        "kept_bytes_per_event": round(sealer.kept_bytes / len(committed)),
        "lag_p50_s": round(percentile(lags, 50), 3), "lag_p99_s": round(percentile(lags, 99), 3),
    }  # fmt: skip


async def capacity(urls: dict[str, str]) -> Figures:
    """Returns how many events a second a sealer seals that finds a backlog."""
    connection = await asyncpg.connect(urls["owner_url"])
    for start in range(0, BACKLOG, 5_000):
        events = [made(start + number) for number in range(5_000)]
        await connection.execute(
            "insert into audit.event (id, envelope) select * from unnest($1::uuid[], $2::text[])",
            *map(list, zip(*events, strict=True)),
        )
    await connection.close()
    pool = await open_pool(urls["sealer_url"], size=2, timeout=5)
    sealer, sealed, started = Sealer(pool, Keyring(SigningKey.generate("bench"))), 0, time.perf_counter()
    epoch = await sealer.take_lead()
    assert epoch is not None
    while (sealing := await sealer.seal(epoch)).events:
        sealed += sealing.events
    took = time.perf_counter() - started
    await pool.close()
    return {"backlog": sealed, "sealed_per_second": round(sealed / took)}


async def cost_of_recording(urls: dict[str, str], superuser: asyncpg.Connection, home: Path) -> dict[str, Figures]:
    """Returns the medians of POST /retrieve as it is, and with a recorder that records nothing, asked alternately."""
    known, target, topics = Secrets(), Database(**urls), Topics(MINILM.name)
    await store_context_key(urls["owner_url"], ContextSigner(known.context_key))
    async with running(settings_for(target, known, home), target) as service:
        tenants = {size: await service.create_tenant() for size in SIZES}
        collections = "select id from documents.collection where tenant_id = $1 and slug = 'default'"
        corpora = [
            Corpus(tenant.id, await superuser.fetchval(collections, tenant.id), size)
            for size, tenant in tenants.items()
        ]
        await load(superuser, topics, corpora)
        return {
            f"recording, {size:,} chunks": await _cost_of_recording(service, tenant, topics)
            for size, tenant in tenants.items()
        }


async def _cost_of_recording(service: Service, tenant: Tenant, topics: Topics) -> Figures:
    recorder = service.services.recorder
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number in range(WARM_UP + 2 * RETRIEVALS):
        # Each first as often as second: whatever the machine does in turn would else count for one of them.
        recorded = number % 4 in {0, 3}
        if recorded:
            vars(recorder).pop("record", None)
            vars(recorder).pop("draft", None)
        else:
            vars(recorder).update(record=record_nothing, draft=draft_nothing)
        query = {"query": topics.question()[0]}
        started = time.perf_counter()
        answer = await service.post("/retrieve", tenant, "analyst", query)
        answer.raise_for_status()
        if number >= WARM_UP:
            taken[recorded].append((time.perf_counter() - started) * 1000)
    with_record, without = statistics.median(taken[True]), statistics.median(taken[False])
    return {
        "retrieve_p50_ms": round(with_record, 2), "unrecorded_p50_ms": round(without, 2),
        "share_percent": round(100 * (with_record - without) / without, 1),
    }  # fmt: skip


async def record_nothing(*_arguments: object) -> UUID:
    """Stands where the recorder is, to measure what is left."""
    return uuid7()


async def draft_nothing(*_arguments: object) -> None:
    """Drafts nothing."""


def percentile(values: Sequence[float], percent: int) -> float:
    """Returns a percentile by linear interpolation."""
    return statistics.quantiles(values, n=100)[percent - 1]


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[dict[str, str]]:
    """A migrated PostgreSQL of its own with durable commits; removed afterwards with its folder."""
    server = EmbeddedPostgres(
        folder / "data", Passwords.generate(), settings={"shared_buffers": "256MB", "max_wal_size": "4GB"}
    )
    await asyncio.to_thread(server.start)
    try:
        server.prepare_roles()
        await asyncio.to_thread(migrate, server.urls()["owner_url"])
        yield server.urls()
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(folder, ignore_errors=True)


async def measure(*, recording_only: bool) -> dict[str, Figures]:
    """Measures everything on one database, or only what recording costs a retrieval."""
    folder = Path(tempfile.mkdtemp(prefix="affidavit-sealing-"))
    async with database(folder) as urls:
        superuser = await asyncpg.connect(urls["superuser_url"])
        if recording_only:
            recording = await cost_of_recording(urls, superuser, folder)
            await superuser.close()
            return recording
        lag = await seal_lag(urls, superuser)
        few = {f"50 tenants, {how}": await signatures(urls, superuser, sign_each=each) for how, each in WAYS.items()}
        recording = await cost_of_recording(urls, superuser, folder)
        catching_up = await capacity(urls)
        await superuser.close()
        return {"seal lag": lag, **few, "catching up": catching_up, **recording}


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", action="store_true", help="measure only what the record costs a retrieval")
    results = uvloop.run(measure(recording_only=parser.parse_args().recording))  # as uvicorn does
    write_results("sealing.json", results)
    table = Table("measurement", "figure", "value")
    for name, figures in results.items():
        for figure, value in figures.items():
            table.add_row(name, figure, f"{value:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
