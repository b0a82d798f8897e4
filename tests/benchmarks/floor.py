"""How far POST /retrieve is from its floor: embedding the question, and the same SQL without row-level security or record."""

import time
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from backend.retrieval import search, service
from backend.retrieval.embedding import LocalEmbedder
from backend.retrieval.search import Ranking
from tests.benchmarks.cost import cpu_seconds, questions
from tests.benchmarks.deployment import latencies, p50
from tests.benchmarks.load_client import LoadClient, throughput
from tests.benchmarks.platforms import Platform, Subject


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
    """Returns what embedding and the bare SQL of a retrieval take, by the clock and by the processor, in milliseconds."""
    caller = subject.caller()

    async def embed(_: int) -> object:
        return await embedder.embed_query(platform.topics.question()[0])

    async def bare(_: int) -> Ranking:
        return await search.search(platform.superuser, caller, platform.question(k=5))

    def used() -> float:
        return time.process_time() + cpu_seconds(platform.superuser.get_server_pid())

    embedding, before = p50(await latencies(embed, runs)), time.process_time()
    await latencies(embed, runs, warm=0)
    embedding_cpu = (time.process_time() - before) / runs * 1000
    sql, before = p50(await latencies(bare, runs)), used()
    await latencies(bare, runs, warm=0)
    return {
        "embedding": embedding, "sql": sql, "embedding_cpu": embedding_cpu, "sql_cpu": (used() - before) / runs * 1000,
    }  # fmt: skip


async def _parts(platform: Platform, subject: Subject, runs: int) -> dict[str, float]:
    """Returns the median milliseconds of each step that the service adds to the floor."""
    caller, question = subject.caller(), platform.question(k=5)
    tenancy, recorder = platform.tenancy, platform.recorder

    async def transaction(_: int) -> None:
        async with tenancy.transaction(caller.claims()):
            pass

    async def searched(_: int) -> Ranking:
        async with tenancy.transaction(caller.claims()) as connection:
            return await search.search(connection, caller, platform.question(k=5))

    ranking = await searched(0)

    async def recorded(_: int) -> None:
        async with tenancy.transaction(caller.claims()) as connection:
            await recorder.record(connection, caller, service.retrieval_event(question, ranking, 0))

    empty = p50(await latencies(transaction, runs))
    return {
        "a transaction bound to the caller": empty,
        "the search under row-level security": p50(await latencies(searched, runs)) - empty,
        "the audit event and its commit": p50(await latencies(recorded, runs)) - empty,
    }


def table(measured: Mapping[str, Any]) -> Table:
    """Returns where the time of a retrieval goes."""
    times = Table("where the time of POST /retrieve goes, small tenant", "ms")
    floor, parts = measured["floor"], measured["parts"]
    spent = {
        "embedding the question": floor["embedding"], "the bare SQL": floor["sql"],
        "row-level security": parts["the search under row-level security"] - floor["sql"],
        "resolving the caller: a transaction": parts["a transaction bound to the caller"],
        "the transaction of the search": parts["a transaction bound to the caller"],
        "the audit event and its commit": parts["the audit event and its commit"],
    }  # fmt: skip
    rest = measured["p50"] - sum(spent.values())
    for name, milliseconds in {**spent, "HTTP, tokens, validation, JSON": rest, "all": measured["p50"]}.items():
        times.add_row(name, f"{milliseconds:.2f}")
    return times
