"""Measures sealing: lag while 2,000 events a second are offered, capacity when catching up, and what recording costs.

Run: python -m tests.benchmarks.sealing
"""

import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from rich.console import Console
from rich.table import Table
from uuid_utils.compat import uuid7

from backend.audit.canonical import canonical_json
from backend.audit.events import Action, Event, envelope
from backend.audit.notes import SigningKey
from backend.audit.sealer import Sealer
from backend.database import Connection, open_pool
from backend.embedded_postgres import EmbeddedPostgres, Passwords
from backend.identity.caller import Caller
from backend.migration import migrate, store_context_key
from backend.tenancy import ContextSigner
from tests.benchmarks.deployment import RESULTS
from tests.conftest import Database, Secrets, running, settings_for

RATE, SECONDS, WRITERS, TENANTS = 2_000, 20, 32, 200
BACKLOG = 30_000
RETRIEVALS = 100
TENANT_IDS = [uuid7() for _ in range(TENANTS)]


def made(number: int) -> tuple[UUID, str]:
    """Returns id and envelope of an event of about 1 KB, as a retrieval's."""
    actor = Caller(TENANT_IDS[number % TENANTS], "bench", None, "operator", "", str(uuid7()))
    event_id = uuid7()
    details = {"retrieval": {"chunks": [{"id": str(uuid7()), "rank": rank, "sha256": "0" * 64} for rank in range(5)]}}
    event = Event(Action.RETRIEVAL_EXECUTED, details=details)
    return event_id, canonical_json(envelope(event_id, datetime.now(UTC), actor, event, {}))


async def offer(url: str, writer: int) -> list[tuple[UUID, float]]:
    """Commits events one by one at a writer's share of the rate; returns when each was committed."""
    connection = await asyncpg.connect(url)
    committed, share, started = [], RATE / WRITERS, time.time()
    for number in range(int(share * SECONDS)):
        await asyncio.sleep(max(0.0, started + number / share - time.time()))
        event_id, text = made(writer + WRITERS * number)
        await connection.execute("insert into audit.event (id, envelope) values ($1, $2)", event_id, text)
        committed.append((event_id, time.time()))
    await connection.close()
    return committed


class WatchedSealer(Sealer):
    """Notes when each sealing was committed, and how many leaves there were then."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sealings: list[tuple[float, int]] = []

    async def seal(self, epoch: int) -> Any:
        sealing = await super().seal(epoch)
        if sealing.events:
            self.sealings.append((time.time(), sealing.events))
        return sealing


async def seal_lag(urls: dict[str, str], superuser: Connection) -> dict[str, float]:
    """Returns the time from an event's commit to that of the checkpoint that covers it, while the rate is offered."""
    pool = await open_pool(urls["sealer_url"], size=2, timeout=5)
    sealer = WatchedSealer(pool, SigningKey.generate("bench"))
    running = asyncio.create_task(sealer.run())
    started = time.time()
    committed = [
        event for part in await asyncio.gather(*(offer(urls["owner_url"], n) for n in range(WRITERS))) for event in part
    ]
    took = time.time() - started
    await asyncio.sleep(3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await pool.close()
    order = [row["id"] for row in await superuser.fetch("select id from audit.event order by xid, id")]
    moments = [moment for moment, events in sealer.sealings for _ in range(events)]
    sealed_at = dict(zip(order, moments, strict=False))
    lags = [sealed_at[event_id] - moment for event_id, moment in committed if event_id in sealed_at]
    return {
        "offered_per_second": RATE, "committed_per_second": round(len(committed) / took), "events": len(committed),
        "not_sealed": len(committed) - len(lags), "lag_p50_s": round(percentile(lags, 50), 3),
        "lag_p99_s": round(percentile(lags, 99), 3),
    }  # fmt: skip


async def capacity(urls: dict[str, str]) -> dict[str, float]:
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
    sealer, sealed, started = Sealer(pool, SigningKey.generate("bench")), 0, time.perf_counter()
    epoch = await sealer.take_lead()
    assert epoch is not None
    while (sealing := await sealer.seal(epoch)).events:
        sealed += sealing.events
    took = time.perf_counter() - started
    await pool.close()
    return {"backlog": sealed, "sealed_per_second": round(sealed / took)}


async def cost_of_recording(urls: dict[str, str], home: Path) -> dict[str, float]:
    """Returns the medians of POST /retrieve as it is, and with a recorder that records nothing, asked alternately.

    In one process, over 200 chunks: a small corpus makes retrieval cheap and the share of the record large.
    """
    known, target = Secrets(), Database(**urls)
    await store_context_key(urls["owner_url"], ContextSigner(known.context_key))
    async with running(settings_for(target, known, home), target) as service:
        tenant = await service.create_tenant()
        chunks = [
            {
                "doc_id": f"d{n}",
                "chunk_text": f"A wire transfer to country {n} costs {n} dollars.",
                "source_type": "policy",
            }
            for n in range(200)
        ]
        answer = await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})
        answer.raise_for_status()
        recorder = service.app.state.recorder
        taken: dict[bool, list[float]] = {True: [], False: []}
        for number in range(2 * RETRIEVALS):
            recorded = number % 2 == 0
            if recorded:
                vars(recorder).pop("record", None)
            else:
                recorder.record = record_nothing
            started = time.perf_counter()
            answer = await service.post(
                "/retrieve", tenant, "analyst", {"query": f"fees of transfers to country {number % 50}"}
            )
            answer.raise_for_status()
            taken[recorded].append((time.perf_counter() - started) * 1000)
    with_record, without = statistics.median(taken[True]), statistics.median(taken[False])
    return {
        "retrieve_p50_ms": round(with_record, 2), "unrecorded_p50_ms": round(without, 2),
        "share_percent": round(100 * (with_record - without) / without, 1),
    }  # fmt: skip


async def record_nothing(*_arguments: object, event_id: UUID | None = None) -> UUID:
    """Stands where the recorder is, to measure what is left."""
    return event_id or uuid7()


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


async def measure() -> dict[str, dict[str, float]]:
    """Measures everything on one database."""
    folder = Path(tempfile.mkdtemp(prefix="affidavit-sealing-"))
    async with database(folder) as urls:
        superuser = await asyncpg.connect(urls["superuser_url"])
        lag = await seal_lag(urls, superuser)
        recording = await cost_of_recording(urls, folder)
        catching_up = await capacity(urls)
        await superuser.close()
        return {"seal lag": lag, "catching up": catching_up, "recording": recording}


def main() -> None:
    """Measures, prints a table and writes JSON."""
    results = asyncio.run(measure())
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "sealing.json").write_text(json.dumps(results, indent=2))
    table = Table("measurement", "figure", "value")
    for name, figures in results.items():
        for figure, value in figures.items():
            table.add_row(name, figure, f"{value:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
