"""How long reviewers wait for a page of a large log, by every combination of filters, through the HTTP API.

    python -m tests.benchmarks.audit_log [--events 5000000] [--tenants 200] [--runs 20] [--folder DIR]

Asks as the largest tenant, the tenth and the hundredth: for the newest page, the next and one of weeks ago. Takes about
20 GB of disk for 5,000,000 events. Writes bench-results/audit_log.json.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from backend.audit.search_words import SearchWords
from backend.database import Queries
from backend.identity.callers.permissions import Role
from backend.operation.service import operator
from backend.review.analysis.service import Dimension
from backend.review.events.service import encode_cursor, first_id_at
from tests.benchmarks.cost import cpu_seconds
from tests.benchmarks.deployment import PASSWORD, RESULTS, Deployment, deployment, latencies

TARGET_MS = 100
BATCH = 100_000
VOCABULARY = 1_000
ASKING = (0, 9, 99)  # ranks by size of the tenants that are asked as
TABLES = ("event", "event_document", "payload_term")

console = Console()
queries = Queries(Path(__file__).with_suffix(".sql"))


async def fill(deployed: Deployment, secret: str, tenants: list[UUID], events: int) -> None:
    """Writes the log as a superuser; neither sealed nor with the encrypted texts, which no page reads.

    What is generated from envelopes is written as such, and indexes are built afterwards: the rows are the same.
    """
    superuser = await asyncpg.connect(deployed.urls["superuser_url"], command_timeout=None)
    await superuser.execute("set synchronous_commit = off; set maintenance_work_mem = '2GB'; set work_mem = '256MB'")
    await superuser.execute("set session_replication_role = replica")
    definitions = await _without_indexes(superuser)
    await superuser.execute(queries.documents_of)
    for start in track(range(0, events, BATCH), "events", console=console):
        await superuser.execute(queries.events, tenants, start + 1, float(events), min(start + BATCH, events))
    await superuser.execute("create temporary table word (tenant_id uuid, number int, term bigint)")
    words = SearchWords(secret)
    rows = [
        (t, n, term) for t in tenants for n, term in enumerate(words.hashes(t, " ".join(map(word, range(VOCABULARY)))))
    ]
    await superuser.copy_records_to_table("word", records=rows)
    await superuser.execute("analyze word")
    await superuser.execute(queries.documents)
    await superuser.execute(queries.terms)
    for definition in track(definitions, "indexes", console=console):
        await superuser.execute(definition)
    await superuser.execute(queries.generate)
    for table in TABLES:
        await superuser.execute(f"vacuum (analyze) audit.{table}")
    await superuser.close()


async def _without_indexes(superuser: asyncpg.Connection) -> list[str]:
    """Drops indexes, checks and generation of the tables to be filled; returns the statements that bring indexes back."""
    definitions: list[str] = []
    for drop, create in await superuser.fetch(queries.dropped, list(TABLES)):
        await superuser.execute(drop)
        if create:
            definitions.append(create)
    return definitions


def word(number: int) -> str:
    """Returns a word that is its own stem."""
    return f"w{number}x"


async def reviewer(deployed: Deployment, slug: str) -> UUID:
    """Creates a tenant with a compliance officer."""
    async with operator(deployed.urls["owner_url"]) as acting:
        tenant = await acting.create_tenant(slug, slug)
        await acting.create_user(tenant, "compliance", PASSWORD, [Role.COMPLIANCE])
    return tenant


def filters(actor: str) -> dict[str, dict[str, Any]]:
    """Returns every combination of the filters, each with a frequent and with a rare value where that matters."""
    now = datetime.now(UTC)
    reason = {"reason": "benchmark"}
    choices: dict[str, dict[str, dict[str, str]]] = {
        "time": {"a day": {"from": (now - timedelta(days=20)).isoformat(), "to": (now - timedelta(days=19)).isoformat()}},
        "actor": {"actor": {"actor": actor}},
        "action": {action: {"action": action} for action in ("retrieval:executed", "key:created")},
        "outcome": {outcome: {"outcome": outcome} for outcome in ("succeeded", "denied", "aborted")},
        "document": {name: {"document": name} for name in ("doc-0", "doc-900")},
        "q": {
            "frequent word": {"q": word(0), **reason}, "rare word": {"q": word(999), **reason},
            "three words": {"q": f"{word(0)} {word(1)} {word(900)}", **reason},
        },
    }  # fmt: skip
    combined: dict[str, dict[str, Any]] = {"nothing": {}, "request": {"request_id": "0" * 32}}
    for size in range(1, len(choices) + 1):
        for names in itertools.combinations(choices, size):
            for chosen in itertools.product(*(choices[name].items() for name in names)):
                label = ", ".join(name for name, _ in chosen)
                combined[label] = {key: value for _, asked in chosen for key, value in asked.items()}
    return combined


@dataclass
class Answers:
    """Milliseconds that a client waited for each, and of processor time that service and database took on average."""

    waited: list[float]
    used: float

    def figures(self) -> dict[str, float]:
        """Returns what is reported."""
        p50, p95 = statistics.median(self.waited), statistics.quantiles(self.waited, n=20, method="inclusive")[-1]
        return {"p50": p50, "p95": p95, "max": max(self.waited), "cpu": self.used}


class Auditor:
    """Asks for pages as a reviewer of one tenant."""

    def __init__(self, deployed: Deployment, server: int, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        """`server` is the process id of the database."""
        self._deployed, self._server, self._client, self._headers = deployed, server, client, headers

    async def pages(self, asked: dict[str, Any], runs: int) -> Answers:
        """Fetches the first page, the second, and one of weeks ago, by turns."""
        first = (await self._get("/audit/events", asked)).json()
        weeks_ago = encode_cursor(first_id_at(datetime.now(UTC) - timedelta(days=25)))
        cursors = [{"cursor": cursor} if cursor else {} for cursor in (None, first["next_cursor"], weeks_ago)]
        return await self._ask("/audit/events", [{**asked, **cursor} for cursor in cursors], runs)

    async def statistics(self, by: str, runs: int) -> Answers:
        """Counts the events of 30 days by day."""
        return await self._ask("/audit/statistics", [{"by": by, "interval": "day"}], runs)

    async def _ask(self, path: str, asked: list[dict[str, Any]], runs: int) -> Answers:
        async def ask(number: int) -> None:
            await self._get(path, asked[number % len(asked)])

        for number in range(len(asked)):
            await ask(number)
        before = self._processor_time()
        waited = await latencies(ask, runs, warm=0)
        return Answers(waited, (self._processor_time() - before) * 1000 / runs)

    async def _get(self, path: str, asked: dict[str, Any]) -> httpx.Response:
        return (await self._client.get(path, params=asked, headers=self._headers)).raise_for_status()

    def _processor_time(self) -> float:
        """Returns seconds that the service and the database have used."""
        backends = Path(f"/proc/{self._server}/task/{self._server}/children").read_text().split()
        return sum(map(cpu_seconds, [self._deployed.process.pid, *map(int, backends)]))


async def corpus(deployed: Deployment, folder: Path, options: argparse.Namespace) -> list[UUID]:
    """Returns the tenants of the log, which is written unless the folder holds it."""
    kept = folder / "tenants.json"
    if kept.exists():
        return [UUID(tenant) for tenant in json.loads(kept.read_text())]
    secret = json.loads((folder / "secrets.json").read_text())["payload_key"]
    tenants = [
        await reviewer(deployed, f"bench-{rank}") if rank in ASKING else uuid4() for rank in range(options.tenants)
    ]
    await fill(deployed, secret, tenants, options.events)
    kept.write_text(json.dumps(list(map(str, tenants))))
    return tenants


async def run(options: argparse.Namespace) -> None:
    """Builds the log if it is not there yet, asks, and reports."""
    folder = options.folder or Path(tempfile.mkdtemp(prefix="affidavit-bench-"))
    async with deployment(folder, keep=options.folder is not None) as deployed:
        tenants = await corpus(deployed, folder, options)
        server = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
        results: dict[str, dict[str, dict[str, float]]] = {}
        async with deployed.client() as client:
            for rank in ASKING:
                headers = await deployed.sign_in(client, f"bench-{rank}", "compliance")
                events, actor = await size_and_actor(deployed, tenants[rank])
                auditor, found = (
                    Auditor(deployed, server, client, headers),
                    results.setdefault(f"{events:,} events", {}),
                )
                for name, asked in track(filters(actor).items(), f"{events:,} events", console=console):
                    found[name] = (await auditor.pages(asked, options.runs)).figures()
                for by in Dimension:
                    found[f"statistics by {by}"] = (await auditor.statistics(by, options.runs)).figures()
    report(results, options)


async def size_and_actor(deployed: Deployment, tenant: UUID) -> tuple[int, str]:
    """Returns how many events a tenant has, and one of its principals."""
    connection = await asyncpg.connect(deployed.urls["superuser_url"])
    row = await connection.fetchrow(
        "select count(*), min(principal_id::text) from audit.event where tenant_id = $1 and principal_id is not null",
        tenant,
    )
    await connection.close()
    assert row is not None
    return row[0], row[1]


def report(results: dict[str, dict[str, dict[str, float]]], options: argparse.Namespace) -> None:
    """Prints the slowest combinations of each tenant and all statistics, and stores everything."""
    for tenant, found in results.items():
        table = Table("filters", "p50 ms", "p95 ms", "max ms", "processor ms", title=f"A tenant of {tenant}")
        pages = {name: figures for name, figures in found.items() if not name.startswith("statistics")}
        slowest = sorted(pages, key=lambda name: -pages[name]["p95"])[:15]
        for name in [*slowest, *(found.keys() - pages.keys())]:
            table.add_row(name, *(f"{found[name][figure]:.1f}" for figure in ("p50", "p95", "max", "cpu")))
        console.print(table)
        late, busy = (sum(figures[figure] > TARGET_MS for figures in pages.values()) for figure in ("p95", "cpu"))
        console.print(
            f"{len(pages)} combinations of filters; above {TARGET_MS} ms: p95 of {late}, processor time of {busy}"
        )
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "audit_log.json"
    path.write_text(
        json.dumps({"events": options.events, "tenants": options.tenants, "milliseconds": results}, indent=2)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="where the log is kept for another run")
    asyncio.run(run(parser.parse_args()))
