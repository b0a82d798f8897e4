"""How far POST /retrieve is from its floor: embedding the question, and the same SQL without row-level security or record."""

import time
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any

from rich.table import Table
from uuid_utils.compat import uuid7

from backend.identity.caller import queries
from backend.retrieval import search, service
from backend.retrieval.embedding import LocalEmbedder
from backend.retrieval.question import Ranking
from tests.benchmarks.cost import cpu_seconds, questions
from tests.benchmarks.deployment import latencies, p50
from tests.benchmarks.load_client import LoadClient, throughput
from tests.benchmarks.platforms import Platform, Subject

WARM_UP = 10


async def distance(
    platform: Platform, subject: Subject, embedder: LocalEmbedder, runs: int, seconds: float
) -> dict[str, Any]:
    """Returns floor, parts and whole of a retrieval in milliseconds, and how many the service answers in a second."""
    floor = await _floor(platform, subject, embedder, runs)
    parts = await _parts(platform, subject, runs)
    requests = questions(platform, subject, 200)
    client = await LoadClient.connect(platform.deployed.base_url)
    whole = p50(await latencies(lambda number: client.send(requests[number % len(requests)]), runs))
    client.close()
    answered = await throughput(platform.deployed.base_url, requests, connections=16, seconds=seconds)
    return {"floor": floor, "parts": parts, "p50": whole, "throughput": answered}


async def _floor(platform: Platform, subject: Subject, embedder: LocalEmbedder, runs: int) -> dict[str, float]:
    """Returns what embedding and the bare SQL of a retrieval take, by the clock and by the processor, in milliseconds.

    In turn, as a retrieval does them: a model that has just run leaves nothing of the table in the processor's caches.
    """
    caller = subject.caller()
    taken: dict[str, list[float]] = {"embedding": [], "sql": []}
    used: dict[str, float] = {"embedding": 0.0, "sql": 0.0}
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
        await timed("sql", search.search(platform.superuser, caller, question))
    return {
        "embedding": p50(taken["embedding"]), "sql": p50(taken["sql"]),
        "embedding_cpu": used["embedding"] / runs, "sql_cpu": used["sql"] / runs,
    }  # fmt: skip


async def _parts(platform: Platform, subject: Subject, runs: int) -> dict[str, float]:
    """Returns the median milliseconds of each step that the service adds to the floor."""
    caller, question = subject.caller(), platform.question(k=5)
    tenancy, recorder = platform.tenancy, platform.recorder
    async with tenancy.transaction(caller.claims(), reuse_plans=True) as connection:
        space = await search.survey(connection, caller, question.request)

    async def resolved(_: int) -> object:
        return await tenancy.ask(caller.claims(), queries.user_caller, uuid7())

    async def transaction(_: int) -> None:
        async with tenancy.transaction(caller.claims(), reuse_plans=True):
            pass

    async def searched(_: int) -> Ranking:
        async with tenancy.transaction(caller.claims(), reuse_plans=True) as connection:
            return await search.search(connection, caller, replace(platform.question(k=5), space=space))

    ranking = await searched(0)

    async def recorded(_: int) -> None:
        async with tenancy.transaction(caller.claims(), reuse_plans=True) as connection:
            await recorder.record(connection, caller, service.retrieval_event(question, ranking, 0))

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
