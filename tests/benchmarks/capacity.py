"""How many bytes of the database a chunk, a retrieval and an answer take, with their indexes, their record and its seal.

    python -m tests.benchmarks.capacity [--documents 200] [--retrievals 1000] [--answers 500]

Sends documents through the API, asks, lets a sealer and its index of the log catch up, and compares what all tables take before
and after. Writes bench-results/capacity.json.
"""

import argparse
import asyncio
import itertools
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
from rich.console import Console
from rich.progress import track
from rich.table import Table

from backend.audit.indexer import Indexer
from backend.database import open_pool
from backend.demo import content
from backend.migration import store_context_key
from backend.policies import SCHEMAS
from backend.tenancy import ContextSigner
from tests.benchmarks.deployment import RESULTS
from tests.benchmarks.sealing import database
from tests.service import Database, Secrets, Service, Tenant, running, sealing, settings_for

Sizes: TypeAlias = dict[str, int]

CHUNKS = 10  # of a document
CHARACTERS = 1_000  # of a chunk, as the parser makes them of prose
WARM_UP = 20  # documents and questions before anything is counted: every table then has its first pages
SHOWN = 3  # tables that take most of it
# A partition is counted as its table.
TAKEN = """
select coalesce(i.inhparent, c.oid)::regclass::text as name, sum(pg_total_relation_size(c.oid))::bigint as bytes
from pg_class c left join pg_inherits i on i.inhrelid = c.oid
where c.relkind = 'r' and c.relnamespace::regnamespace::text = any ($1) group by 1
"""

console = Console()


def texts() -> Iterator[str]:
    """Yields chunks of prose without end: paragraphs of the demo's documents, drawn and numbered so that no two are alike."""
    paragraphs = [
        text for slug in ("meridian-bank", "harbor-insurance") for doc in content.load(slug) for text in doc.paragraphs
    ]
    drawn = random.Random(7)
    for number in itertools.count():
        text = f"Section {number}."
        while len(text) < CHARACTERS:
            text += f" {drawn.choice(paragraphs)}"
        yield text[:CHARACTERS]


def questions() -> Iterator[str]:
    """Yields questions without end, which the texts answer."""
    return itertools.cycle(
        (
            "What is the overdraft fee?",
            "What does an outgoing domestic wire cost?",
            "What does a stop payment order cost?",
        )
    )


class Measuring:
    """Does one thing after the other on a database, and says what each has added to it."""

    def __init__(self, service: Service, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        self._service, self._tenant, self._superuser = service, tenant, superuser
        self._texts, self._questions, self._documents = texts(), questions(), itertools.count()

    async def ingest(self, documents: int) -> None:
        """Sends documents of ten chunks."""
        for number in track(list(itertools.islice(self._documents, documents)), "documents", console=console):
            chunks = [{"text": text} for text in itertools.islice(self._texts, CHUNKS)]
            body = {
                "doc_id": f"document-{number}",
                "source_type": "policy",
                "title": f"Document {number}",
                "chunks": chunks,
            }
            (await self._service.post("/documents/versions", self._tenant, "editor", body)).raise_for_status()

    async def ask(self, path: str, field: str, times: int) -> None:
        """Asks as many questions of a route."""
        for question in track(list(itertools.islice(self._questions, times)), path, console=console):
            answer = await self._service.post(path, self._tenant, "analyst", {field: question})
            assert not answer.raise_for_status().json().get("refused"), question  # a refusal takes less

    async def taken(self) -> Sizes:
        """Returns the bytes of every table with its indexes, once the log is sealed and indexed, without what can be used again."""
        waiting = "select exists (select from audit.unsealed) or exists (select from audit.unindexed)"
        while await self._superuser.fetchval(waiting):
            await asyncio.sleep(0.2)
        await self._superuser.execute("vacuum")
        return {row["name"]: row["bytes"] for row in await self._superuser.fetch(TAKEN, list(SCHEMAS))}


def growth(before: Sizes, after: Sizes, things: int) -> dict[str, Any]:
    """Returns the bytes that each of so many things took, and the tables that take most of that."""
    added = {name: (size - before.get(name, 0)) / things for name, size in after.items()}
    most = sorted(added, key=lambda name: -added[name])[:SHOWN]
    return {"things": things, "bytes": round(sum(added.values())), "most": {name: round(added[name]) for name in most}}


async def measure(documents: int, retrievals: int, answers: int) -> dict[str, Any]:
    """Measures a database of its own."""
    folder = Path(tempfile.mkdtemp(prefix="affidavit-capacity-"))
    async with database(folder) as urls:
        known, target = Secrets(), Database(**urls)
        await store_context_key(urls["owner_url"], ContextSigner(known.context_key))
        superuser = await asyncpg.connect(urls["superuser_url"])
        pool = await open_pool(urls["sealer_url"], size=1, timeout=5)
        indexer = asyncio.create_task(Indexer(pool).run())
        async with running(settings_for(target, known, folder), target) as service, sealing(target):
            measuring = Measuring(service, await service.create_tenant(), superuser)
            await measuring.ingest(WARM_UP)
            await measuring.ask("/retrieve", "query", WARM_UP)
            await measuring.ask("/answer", "question", WARM_UP)
            sizes = [await measuring.taken()]
            await measuring.ingest(documents)
            sizes.append(await measuring.taken())
            await measuring.ask("/retrieve", "query", retrievals)
            sizes.append(await measuring.taken())
            await measuring.ask("/answer", "question", answers)
            sizes.append(await measuring.taken())
        indexer.cancel()
        await asyncio.gather(indexer, return_exceptions=True)
        await pool.close()
        await superuser.close()
    things = {"chunk": documents * CHUNKS, "retrieval": retrievals, "answer": answers}
    return {
        name: growth(before, after, number)
        for (name, number), (before, after) in zip(things.items(), itertools.pairwise(sizes), strict=True)
    }


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--retrievals", type=int, default=1_000)
    parser.add_argument("--answers", type=int, default=500)
    asked = parser.parse_args()
    found = asyncio.run(measure(asked.documents, asked.retrievals, asked.answers))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "capacity.json").write_text(json.dumps(found, indent=2))
    table = Table("one more", "KB", "most of it, bytes", "measured over")
    for name, figures in found.items():
        most = ", ".join(f"{of} {size:,}" for of, size in figures["most"].items())
        table.add_row(name, f"{figures['bytes'] / 1000:.2f}", most, f"{figures['things']:,}")
    console.print(table)


if __name__ == "__main__":
    main()
