"""How far POST /retrieve is from its floor: embedding the question, and the same SQL without row-level security or record.

    python -m tests.benchmarks.floor

Asked for: a retrieval at most 1.5 times its floor at 1,000 chunks, and 1.3 times at 20,000. Writes bench-results/floor.json.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from uuid_utils.compat import uuid7

from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.identity.callers.rows import SessionUserRow, queries
from backend.retrieval import search
from backend.retrieval.embedding.embedder import LocalEmbedder
from backend.retrieval.record import retrieval_event
from backend.retrieval.stages import Found, Question, Ranking
from tests.benchmarks.cost import cpu_seconds, questions
from tests.benchmarks.deployment import latencies, p50, write_results
from tests.benchmarks.load_client import LoadClient, throughput
from tests.benchmarks.platforms import Platform, Size, Subject, platform

WARM_UP, RUNS = 10, 200
MOST = {1_000: 1.5, 20_000: 1.3}


async def distance(
    platform: Platform, subject: Subject, embedder: LocalEmbedder, runs: int, seconds: float
) -> dict[str, Any]:
    """Returns floor, parts and whole of a retrieval in milliseconds, and how many the service answers in a second."""
    requests = questions(platform, subject, 200)
    floor = await _floor(platform, subject, embedder, requests, runs)
    parts = await _parts(platform, subject, runs)
    answered = await throughput(platform.deployed.base_url, requests, connections=16, seconds=seconds)
    return {"floor": floor, "parts": parts, "p50": floor.pop("whole"), "throughput": answered}


async def _floor(
    platform: Platform, subject: Subject, embedder: LocalEmbedder, requests: Sequence[bytes], runs: int
) -> dict[str, float]:
    """Returns what embedding, the bare SQL and a whole retrieval take by the clock, and the first two by the processor, in ms.

    In turn, so that whatever else the machine does counts for each; and as a retrieval does them: a model that has just
    run leaves nothing of the table in the processor's caches.
    """
    caller = subject.caller()
    client = await LoadClient.connect(platform.deployed.base_url)
    taken: dict[str, list[float]] = {"embedding": [], "sql": [], "whole": []}
    used = dict.fromkeys(taken, 0.0)
    server = platform.superuser.get_server_pid()

    async def timed(name: str, act: Awaitable[object]) -> None:
        started, before = time.perf_counter(), time.process_time() + cpu_seconds(server)
        await act
        taken[name].append((time.perf_counter() - started) * 1000)
        used[name] += (time.process_time() + cpu_seconds(server) - before) * 1000

    for number in range(WARM_UP + runs):
        if number == WARM_UP:
            taken, used = {name: [] for name in taken}, dict.fromkeys(used, 0.0)
        question = platform.question(k=5)
        await timed("embedding", embedder.embed_query(question.request.query))
        await timed("sql", _searched(platform.superuser, caller, question))
        await timed("whole", client.send(requests[number % len(requests)]))
    client.close()
    return {
        "embedding": p50(taken["embedding"]), "sql": p50(taken["sql"]), "whole": p50(taken["whole"]),
        "embedding_cpu": used["embedding"] / runs, "sql_cpu": used["sql"] / runs,
    }  # fmt: skip


async def _searched(connection: Connection, caller: Caller, question: Question) -> Found:
    coverage = await search.survey(connection, caller, question.request, question.weights)
    return await search.search(connection, caller, question, coverage, question.request.k)


async def _parts(platform: Platform, subject: Subject, runs: int) -> dict[str, float]:
    """Returns the median milliseconds of each step that the service adds to the floor."""
    caller, question = subject.caller(), platform.question(k=5)
    tenancy, recorder = platform.tenancy, platform.recorder
    async with tenancy.transaction(caller.claims(), reuse_plans=True) as connection:
        coverage = await search.survey(connection, caller, question.request, question.weights)

    async def resolved(_: int) -> object:
        return await tenancy.ask(caller.claims(), SessionUserRow, queries.user_caller, uuid7())

    async def transaction(_: int) -> None:
        async with tenancy.transaction(caller.claims(), reuse_plans=True):
            pass

    async def searched(_: int) -> Found:
        async with tenancy.transaction(caller.claims(), reuse_plans=True) as connection:
            return await search.search(connection, caller, platform.question(k=5), coverage, 5)

    found = await searched(0)
    ranking = Ranking(found.hits, found.hits, found.plan, coverage)

    async def recorded(_: int) -> None:
        async with tenancy.transaction(caller.claims(), reuse_plans=True) as connection:
            await recorder.record(connection, caller, retrieval_event(question, ranking, 0))

    empty = p50(await latencies(transaction, runs))
    return {
        "resolving the caller": p50(await latencies(resolved, runs)),
        "a transaction bound to the caller": empty,
        "the search, under row-level security": p50(await latencies(searched, runs)) - empty,
        "the audit event and its commit": p50(await latencies(recorded, runs)) - empty,
    }


def table(measured: Mapping[str, Any]) -> Table:
    """Returns where the time of a retrieval goes."""
    times = Table("where the time of POST /retrieve goes, small tenant", "ms")
    floor, parts = measured["floor"], measured["parts"]
    # What a search covers is asked while the question is embedded, and so is part of the floor only.
    spent = {"embedding the question": floor["embedding"], **parts}
    rest = measured["p50"] - sum(spent.values())
    for name, milliseconds in {
        **spent,
        "HTTP, tokens, validation, JSON": rest,
        "all": measured["p50"],
        "the bare SQL": floor["sql"],
    }.items():
        times.add_row(name, f"{milliseconds:.2f}")
    return times


async def measure() -> dict[str, dict[str, float]]:
    """Returns by the number of a tenant's chunks what its floor and a whole retrieval take in milliseconds, and their ratio."""
    size = Size({f"with-{chunks}": chunks for chunks in MOST}, (), sum(MOST) + 1_000, len(MOST) + 10)
    found = {}
    with tempfile.TemporaryDirectory(prefix="affidavit-floor-") as folder:
        async with platform(Path(folder) / "platform", size, _untold, keep=False) as running:
            embedder = LocalEmbedder.load(Path(folder) / "platform" / "home" / "models")
            for subject in running.subjects.values():
                taken = await _floor(running, subject, embedder, questions(running, subject, 200), RUNS)
                ratio = taken["whole"] / (taken["embedding"] + taken["sql"])
                found[str(subject.chunks)] = {**taken, "ratio": ratio}
    return found


def _untold(_step: str, _done: int, _total: int) -> None:
    """Shows no progress of what takes seconds."""


def main() -> int:
    """Prints the ratios, writes them as JSON, and returns 1 when one is more than it may be."""
    found = asyncio.run(measure())
    for chunks, taken in found.items():
        print(f"{int(chunks):>6,} chunks: {taken['whole']:.2f} ms, {taken['embedding']:.2f} to embed the question and "
              f"{taken['sql']:.2f} for the SQL: {taken['ratio']:.2f} times (at most {MOST[int(chunks)]:.2f})")  # fmt: skip
    write_results("floor.json", found)
    return int(any(taken["ratio"] > MOST[int(chunks)] for chunks, taken in found.items()))


if __name__ == "__main__":
    sys.exit(main())
