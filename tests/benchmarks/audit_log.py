"""How long reviewers wait for a page of a large log, by every combination of filters, through the HTTP API.

    python -m tests.benchmarks.audit_log [--events 5000000] [--tenants 200] [--runs 40] [--folder DIR]

Asks as the largest tenant, which has a fifth of all events, and as one of the others. Writes bench-results/audit_log.json.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from backend.audit.search_words import SearchWords
from backend.database import Queries
from backend.identity.permissions import Role
from backend.operation.service import operator
from tests.benchmarks.deployment import PASSWORD, RESULTS, Deployment, deployment, latencies

TARGET_MS = 100
BATCH = 100_000
VOCABULARY = 1_000

console = Console()
queries = Queries(Path(__file__).with_suffix(".sql"))


async def fill(deployed: Deployment, secret: str, tenants: list[UUID], events: int) -> None:
    """Writes the log as a superuser; no sealer follows."""
    superuser = await asyncpg.connect(deployed.urls["superuser_url"], command_timeout=None)
    ends = range(0, events, BATCH)
    for start in track(ends, "events", console=console):
        await superuser.execute(queries.events, tenants, start + 1, float(events), min(start + BATCH, events))
    await superuser.execute(
        "create temporary table word (tenant_id uuid, number int, term bigint, primary key (tenant_id, number))"
    )
    words = SearchWords(secret)
    rows = [
        (t, n, term) for t in tenants for n, term in enumerate(words.hashes(t, " ".join(map(word, range(VOCABULARY)))))
    ]
    await superuser.copy_records_to_table("word", records=rows)
    await superuser.execute(queries.documents)
    await superuser.execute(queries.keys, tenants)
    await superuser.execute("analyze word")
    # Foreign keys hold by construction; checking each would take longer than all the rest.
    await superuser.execute("set session_replication_role = replica")
    await superuser.execute(queries.payloads)
    await superuser.execute(queries.terms)
    for table in ("event", "event_document", "payload", "payload_term", "data_key"):
        await superuser.execute(f"vacuum (analyze) audit.{table}")
    await superuser.close()


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
    choices: dict[str, list[dict[str, str]]] = {
        "time": [{"from": (now - timedelta(days=20)).isoformat(), "to": (now - timedelta(days=19)).isoformat()}],
        "actor": [{"actor": actor}],
        "action": [{"action": "retrieval:executed"}, {"action": "key:created"}],
        "outcome": [{"outcome": "succeeded"}, {"outcome": "denied"}, {"outcome": "aborted"}],
        "document": [{"document": "doc-17"}],
        "q": [{"q": word(0), "reason": "benchmark"}, {"q": f"{word(0)} {word(1)} {word(900)}", "reason": "benchmark"}],
    }
    combined = {"nothing": {}}
    for size in range(1, len(choices) + 1):
        for names in itertools.combinations(choices, size):
            for chosen in itertools.product(*(choices[name] for name in names)):
                asked = {key: value for part in chosen for key, value in part.items()}
                combined[
                    " ".join(v[:18] if k != "from" else k for k, v in asked.items() if k not in {"to", "reason"})
                ] = asked
    combined["request_id"] = {"request_id": "0" * 32}
    return combined


async def measure(client: httpx.AsyncClient, headers: dict[str, str], asked: dict[str, Any], runs: int) -> list[float]:
    """Returns milliseconds of the first page and of a page behind a cursor, alternately."""
    first = await client.get("/audit/events", params=asked, headers=headers)
    first.raise_for_status()
    cursor = first.json()["next_cursor"]
    pages = [asked, {**asked, "cursor": cursor} if cursor else asked]

    async def page(number: int) -> None:
        (await client.get("/audit/events", params=pages[number % 2], headers=headers)).raise_for_status()

    return await latencies(page, runs, warm=2)


async def run(options: argparse.Namespace) -> None:
    """Builds the log, asks, and reports."""
    folder = options.folder or Path(tempfile.mkdtemp(prefix="affidavit-bench-"))
    async with deployment(folder) as deployed:
        secret = json.loads((folder / "secrets.json").read_text())["payload_key"]
        tenants = [await reviewer(deployed, f"bench-{number}") for number in range(options.tenants)]
        await fill(deployed, secret, tenants, options.events)
        results: dict[str, dict[str, float]] = {}
        async with deployed.client() as client:
            for label, number in (("largest", 0), ("typical", 1)):
                headers = await deployed.sign_in(client, f"bench-{number}", "compliance")
                connection = await asyncpg.connect(deployed.urls["superuser_url"])
                actor = await connection.fetchval(
                    "select principal_id::text from audit.event where tenant_id = $1 and action = 'retrieval:executed' limit 1",
                    tenants[number],
                )
                await connection.close()
                for name, asked in track(filters(actor).items(), label, console=console):
                    taken = await measure(client, headers, asked, options.runs)
                    results[f"{label}: {name}"] = {
                        "p50": statistics.median(taken), "p95": statistics.quantiles(taken, n=20)[-1],
                    }  # fmt: skip
    report(results, options)


def report(results: dict[str, dict[str, float]], options: argparse.Namespace) -> None:
    """Prints the slowest combinations and stores all."""
    table = Table("filters", "p50 ms", "p95 ms", title=f"{options.events:,} events of {options.tenants} tenants")
    slowest = sorted(results.items(), key=lambda item: -item[1]["p95"])
    for name, taken in slowest[:25]:
        table.add_row(name, f"{taken['p50']:.1f}", f"{taken['p95']:.1f}")
    console.print(table)
    late = sum(taken["p95"] > TARGET_MS for taken in results.values())
    console.print(f"{len(results)} combinations; p95 above {TARGET_MS} ms: {late}")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "audit_log.json"
    path.write_text(
        json.dumps({"events": options.events, "tenants": options.tenants, "milliseconds": results}, indent=2)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--folder", type=Path)
    asyncio.run(run(parser.parse_args()))
