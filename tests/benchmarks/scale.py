"""Speed and scale of retrieval: what a tenant's searches cost, what they find, and where the time goes.

    python -m tests.benchmarks.scale                      # a million chunks of 2,000 tenants: half an hour, 10 GB
    python -m tests.benchmarks.scale --total 60000 --tenants 120 --large 20000 --medium 10000     # a few minutes

Two platforms run side by side: a young one of 10,000 chunks and an old one of them all. Every ratio is of figures measured
in turn. With `--folder`, both are kept there and need not be filled again. Writes bench-results/scale.json.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from backend.retrieval.embedding.embedder import LocalEmbedder
from tests.benchmarks import floor, index_recall
from tests.benchmarks.cost import costs
from tests.benchmarks.crossover import crossover
from tests.benchmarks.deployment import RESULTS
from tests.benchmarks.platforms import Platform, Size, Subject, platform
from tests.benchmarks.synthetic import Progress

YOUNG = Size({"small": 1_000}, (), 10_000, 10)

console = Console()


async def ingestion(running: Platform, subject: Subject, embedder: LocalEmbedder, chunks: int) -> dict[str, float]:
    """Returns chunks per second of the embedder alone and through POST /ingest/batch."""
    texts = [" ".join(running.topics.question()[0] for _ in range(8)) + f" {n} {time.time()}" for n in range(chunks)]
    started = time.perf_counter()
    await embedder.embed_passages(texts)
    alone = chunks / (time.perf_counter() - started)
    batches = [texts[start : start + 100] for start in range(0, chunks, 100)]
    async with running.deployed.client() as client:
        headers = await running.deployed.sign_in(client, subject.slug, "editor")
        limit = asyncio.Semaphore(2)

        async def send(number: int, batch: list[str]) -> None:
            body = [
                {"doc_id": f"new-{number}-{n}", "chunk_text": text, "source_type": "policy", "collection": "part-0"}
                for n, text in enumerate(batch)
            ]
            async with limit:
                (await client.post("/ingest/batch", json={"chunks": body}, headers=headers)).raise_for_status()

        started = time.perf_counter()
        await asyncio.gather(*(send(number, batch) for number, batch in enumerate(batches)))
    return {"embedder": alone, "service": chunks / (time.perf_counter() - started)}


async def measure(young: Platform, old: Platform, options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Runs everything; returns the results."""
    small = old.subjects["1k"]
    asked = {"1k on the young platform": (young, young.subjects["small"])}
    asked |= {slug: (old, subject) for slug, subject in old.subjects.items()}
    cost = await costs(asked, options.runs, progress)
    embedder = LocalEmbedder.load(old.deployed.data_folder.parent / "home" / "models")
    distance = await floor.distance(old, small, embedder, options.runs, options.seconds)
    line = await crossover(old, small, old.subjects["medium"], options.questions, progress)
    recall = await index_recall.recalls(old, options.questions, progress)
    ingested = await ingestion(young, young.subjects["small"], embedder, options.ingest)
    return {
        "options": vars(options), "cores": os.cpu_count(), "cost": cost, "distance": distance, "recall": recall, "crossover": line,
        "ingestion": ingested, "ratios": ratios(cost, distance, ingested),
    }  # fmt: skip


def ratios(
    cost: Mapping[str, Mapping[str, float]], distance: Mapping[str, Any], ingested: Mapping[str, float]
) -> dict[str, float]:
    """Returns each ratio asked for, by what it should be."""
    bottom, young = distance["floor"], cost["1k on the young platform"]
    return {
        "1,000-chunk tenant, old to young platform, p50 (≤ 1.2)": cost["1k"]["p50"] / young["p50"],
        "the same in processor time": cost["1k"]["cpu"] / young["cpu"],
        "largest to 1,000-chunk tenant, p50 (≤ 3)": cost["largest"]["p50"] / cost["1k"]["p50"],
        "the same in processor time ": cost["largest"]["cpu"] / cost["1k"]["cpu"],
        "POST /retrieve to embedding and bare SQL, p50 (≤ 1.5)": distance["p50"] / (bottom["embedding"] + bottom["sql"]),
        "throughput to 1 / CPU of the floor (≥ 0.6)":
            distance["throughput"] * (bottom["embedding_cpu"] + bottom["sql_cpu"]) / 1000,
        "ingestion to the embedder alone (≥ 0.9)": ingested["service"] / ingested["embedder"],
    }  # fmt: skip


def show(results: Mapping[str, Any]) -> None:
    """Prints the tables."""
    measured = Table("ratio", "measured")
    for name, ratio in results["ratios"].items():
        measured.add_row(name, f"{ratio:.2f}")
    each = Table("POST /retrieve of a tenant", "p50, ms", "processors, ms")
    for name, taken in results["cost"].items():
        each.add_row(name, f"{taken['p50']:.1f}", f"{taken['cpu']:.1f}")
    for table in (measured, each, floor.table(results["distance"]), index_recall.table(results["recall"])):
        console.print(table)
    console.print({name: results[name] for name in ("crossover", "distance", "ingestion")})


@contextmanager
def bars() -> Iterator[Progress]:
    """Shows every step with a bar of its own; on what is no terminal, only when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console) as shown:
        tasks = {}

        def tell(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = shown.add_task(step)
            shown.update(tasks[step], completed=done, total=total)
            if done == total and not console.is_terminal:
                console.print(f"{step}: {total} in {shown.tasks[tasks[step]].finished_time or 0:.0f} s")

        yield tell


async def main(options: argparse.Namespace) -> None:
    """Starts both platforms, measures them, and writes the results."""
    grown = {"50": 50, "1k": 1_000, "medium": options.medium, "largest": options.large}
    old_size = Size(grown, ("medium", "largest"), options.total, options.tenants)
    keep = options.folder is not None
    with tempfile.TemporaryDirectory(prefix="affidavit-scale-") as made, bars() as progress:
        folder = options.folder or Path(made)
        async with (
            platform(folder / "young", YOUNG, progress, keep=keep) as young,
            platform(folder / "old", old_size, progress, keep=keep) as old,
        ):
            results = await measure(young, old, options, progress)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scale.json").write_text(json.dumps(results, indent=2, default=str) + "\n")
    show(results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--total", type=int, default=1_000_000, help="chunks of the whole platform")
    parser.add_argument("--tenants", type=int, default=2_000)
    parser.add_argument("--large", type=int, default=200_000, help="chunks of the largest tenant measured")
    parser.add_argument("--medium", type=int, default=20_000, help="chunks of another large one")
    parser.add_argument("--ingest", type=int, default=600, help="chunks ingested over HTTP")
    parser.add_argument("--runs", type=int, default=200, help="repetitions of each latency")
    parser.add_argument("--questions", type=int, default=60, help="questions for each recall")
    parser.add_argument("--seconds", type=float, default=10, help="length of the throughput measurement")
    parser.add_argument("--folder", type=Path, help="where both databases are kept; unset means that they are removed")
    asyncio.run(main(parser.parse_args()))
