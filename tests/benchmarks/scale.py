"""Speed and scale of retrieval: what a tenant's searches cost, what they find, and where the time goes.

    python -m tests.benchmarks.scale                      # a million chunks of 2,000 tenants: half an hour, 8 GB
    python -m tests.benchmarks.scale --total 60000 --tenants 120 --large 20000 --medium 10000     # a few minutes

Every ratio is of figures measured in the same run. Writes bench-results/scale.json.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from pgvector import HalfVector
from rich.console import Console
from rich.table import Table
from uuid_utils.compat import uuid7

from backend.audit.key_encryption import LocalKeyEncryption
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.database import open_pool
from backend.identity.caller import Caller
from backend.operation import placement
from backend.retrieval import search, service
from backend.retrieval.embedding import LocalEmbedder
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.search import Question, Ranking
from backend.tenancy import ContextSigner, Tenancy, asking
from tests.benchmarks.deployment import RESULTS, Deployment, connect, deployment, latencies, p50
from tests.benchmarks.load_client import LoadClient, encoded, throughput
from tests.benchmarks.synthetic import DIMENSIONS, Corpus, Topics, load, spread

COLLECTIONS = 20
ONE_PERCENT = {"number": 7}  # of 100 numbers that chunks have at random
BEFORE = 10_000  # chunks of the platform when it is young
SMALL = 1_000

console = Console()


@dataclass
class Subject:
    """A tenant that is measured: its collections and the headers of a user who may read them all."""

    id: UUID
    slug: str
    chunks: int
    collections: dict[str, UUID]
    headers: dict[str, str]

    def caller(self, collections: int = COLLECTIONS) -> Caller:
        """Returns a caller who may read so many of the collections."""
        return Caller(
            tenant_id=self.id, tenant_slug=self.slug, principal_id=uuid7(), kind="user", name="bench", request_id="bench",
            readable=frozenset(list(self.collections.values())[:collections]),
        )  # fmt: skip

    def corpora(self) -> list[Corpus]:
        """Returns its collections, to be filled evenly."""
        shares = [self.chunks // COLLECTIONS + (n < self.chunks % COLLECTIONS) for n in range(COLLECTIONS)]
        return [Corpus(self.id, c, share) for c, share in zip(self.collections.values(), shares, strict=True) if share]


@dataclass
class Bench:
    """One run."""

    deployed: Deployment
    superuser: asyncpg.Connection
    tenancy: Tenancy
    recorder: Recorder
    topics: Topics
    runs: int

    async def subject(self, slug: str, chunks: int) -> Subject:
        """Creates a tenant to measure."""
        names = [f"part-{n}" for n in range(COLLECTIONS)]
        tenant_id = await self.deployed.tenant(slug, names)
        rows = await self.superuser.fetch(
            "select slug, id from documents.collection where tenant_id = $1 and slug like 'part-%' order by id",
            tenant_id,
        )
        async with self.deployed.client() as client:
            headers = await self.deployed.sign_in(client, slug, "analyst")
        return Subject(tenant_id, slug, chunks, {row["slug"]: row["id"] for row in rows}, headers)

    async def fill(self, subjects: list[Subject], others: int, total: int) -> None:
        """Loads subjects and other tenants, interleaved, up to a total of chunks."""
        corpora = [corpus for subject in subjects for corpus in subject.corpora()]
        for size in spread(total - sum(corpus.chunks for corpus in corpora), others, self.topics.random):
            tenant_id, collection_id = uuid7(), uuid7()
            await self.superuser.execute(
                "insert into tenancy.tenant (id, slug, name) values ($1, $2, $2)", tenant_id, f"t-{tenant_id}"
            )
            await self.superuser.execute(
                "insert into documents.collection (tenant_id, id, slug, name) values ($1, $2, 'default', 'Default')",
                tenant_id, collection_id,
            )  # fmt: skip
            corpora.append(Corpus(tenant_id, collection_id, size))
        await load(self.superuser, self.topics, corpora)

    async def http(self, subject: Subject) -> float:
        """Returns the median latency of POST /retrieve in milliseconds."""
        requests = self.requests(subject)
        client = await LoadClient.connect(self.deployed.base_url)
        taken = await latencies(lambda number: client.send(requests[number % len(requests)]), self.runs)
        client.close()
        return p50(taken)

    def requests(self, subject: Subject, count: int = 200) -> list[bytes]:
        """Returns questions of a subject's analyst, ready to be sent."""
        bodies = [{"query": self.topics.question()[0], "k": 5} for _ in range(count)]
        return [encoded("/retrieve", body, subject.headers) for body in bodies]

    def question(self, **asked: Any) -> Question:
        """Returns a question about the corpus with its vector."""
        text, dense = self.topics.question()
        request = RetrievalRequest(query=text, **{"k": 10, **asked})
        vector = None if request.mode == "lexical" else HalfVector(dense)
        return Question(request, None, vector, self.topics.model, DIMENSIONS)

    async def recall(
        self, subject: Subject, mode: str, filters: Mapping[str, object], collections: int
    ) -> dict[str, Any]:
        """Returns recall@10 against comparing everything, how many questions got fewer than they could, and the plans."""
        found = wanted = short = 0
        plans: set[str] = set()
        caller = subject.caller(collections)
        for _ in range(max(20, self.runs // 5)):
            question = self.question(mode=mode, filters=filters)
            async with self.tenancy.transaction(caller.claims()) as connection:
                ranking = await search.search(connection, caller, question)
            async with self.tenancy.transaction(caller.claims()) as connection:
                exact = await self._exact(connection, caller, question)
            ids = {hit.chunk_id for hit in ranking.hits}
            found, wanted, short = found + len(ids & set(exact)), wanted + len(exact), short + (len(ids) < len(exact))
            plans.add(ranking.plan)
        return {"recall@10": round(found / wanted, 4) if wanted else None, "short": short, "plans": sorted(plans)}

    async def _exact(self, connection: Any, caller: Caller, question: Question) -> list[UUID]:
        space = await search.survey(asking(connection), caller, question.request)
        statement, values = search._statement(search.queries.exact_search, 9, question)
        scope = search.scope_of(caller, question, space)
        rows = await connection.fetch(statement, *scope, search.LEXICAL_WEIGHT, question.request.k, *values)
        return [row["id"] for row in rows]

    async def floor(self, subject: Subject, embedder: LocalEmbedder) -> dict[str, float]:
        """Returns what embedding and the bare SQL of a retrieval take, by the clock and by the processor, in milliseconds."""
        caller = subject.caller()

        async def embed(_: int) -> object:
            return await embedder.embed_query(self.topics.question()[0])

        async def bare(_: int) -> Ranking:
            return await search.search(self.superuser, caller, self.question(k=5))

        embedding, used = p50(await latencies(embed, self.runs)), time.process_time()
        await latencies(embed, self.runs, warm=0)
        embedding_cpu = (time.process_time() - used) / self.runs * 1000
        sql = p50(await latencies(bare, self.runs))
        before = time.process_time() + self._backend_cpu()
        await latencies(bare, self.runs, warm=0)
        sql_cpu = (time.process_time() + self._backend_cpu() - before) / self.runs * 1000
        return {"embedding": embedding, "sql": sql, "embedding_cpu": embedding_cpu, "sql_cpu": sql_cpu}

    def _backend_cpu(self) -> float:
        fields = Path(f"/proc/{self.superuser.get_server_pid()}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def parts(self, subject: Subject) -> dict[str, float]:
        """Returns the median milliseconds of each step that the service adds to the floor."""
        caller = subject.caller()
        question = self.question(k=5)

        async def transaction(_: int) -> None:
            async with self.tenancy.transaction(caller.claims()):
                pass

        async def searched(_: int) -> Ranking:
            async with self.tenancy.transaction(caller.claims()) as connection:
                return await search.search(connection, caller, self.question(k=5))

        ranking = await searched(0)

        async def recorded(_: int) -> None:
            async with self.tenancy.transaction(caller.claims()) as connection:
                await self.recorder.record(connection, caller, service.retrieval_event(question, ranking, 0))

        empty = p50(await latencies(transaction, self.runs))
        return {
            "a transaction bound to the caller": empty,
            "the search under row-level security": p50(await latencies(searched, self.runs)) - empty,
            "the audit event and its commit": p50(await latencies(recorded, self.runs)) - empty,
        }


async def ingestion(bench: Bench, subject: Subject, embedder: LocalEmbedder, chunks: int) -> dict[str, float]:
    """Returns chunks per second of the embedder alone and through POST /ingest/batch."""
    texts = [" ".join(bench.topics.question()[0] for _ in range(8)) + f" {n}" for n in range(chunks)]
    started = time.perf_counter()
    await embedder.embed_passages(texts)
    alone = chunks / (time.perf_counter() - started)
    batches = [texts[start : start + 100] for start in range(0, chunks, 100)]
    async with bench.deployed.client() as client:
        headers = await bench.deployed.sign_in(client, subject.slug, "editor")
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


async def measure(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    """Runs everything; returns the results."""
    results: dict[str, Any] = {"options": vars(options), "cores": os.cpu_count()}
    embedder = LocalEmbedder.load(Path(options.folder) / "home" / "models")
    young = await bench.subject("young", SMALL)
    await bench.fill([young], 9, BEFORE)
    results["p50_small_young_platform"] = await bench.http(young)
    results["ingestion"] = await ingestion(bench, young, embedder, options.ingest)
    console.print(results)

    subjects = [await bench.subject(f"band-{chunks}", chunks) for chunks in (50, SMALL, options.medium, options.large)]
    _, small, medium, large = subjects
    started = time.perf_counter()
    await bench.fill(subjects, options.tenants - 15, options.total - BEFORE)
    results["loading_seconds"] = time.perf_counter() - started
    results["promotion_seconds"] = {}
    for subject in (medium, large):
        started = time.perf_counter()
        await placement.promote(bench.deployed.urls["owner_url"], subject.id, _report)
        results["promotion_seconds"][subject.slug] = time.perf_counter() - started
    await bench.superuser.execute("checkpoint")

    results["p50"] = {subject.slug: await bench.http(subject) for subject in subjects}
    results["floor"] = floor = await bench.floor(small, embedder)
    results["parts"] = await bench.parts(small)
    results["p50_small_again"] = await bench.http(small)
    results["throughput"] = await throughput(
        bench.deployed.base_url, bench.requests(small), connections=16, seconds=options.seconds
    )
    results["ratios"] = {
        "small tenant, old to young platform (≤ 1.2)": results["p50"][small.slug] / results["p50_small_young_platform"],
        "large to small tenant (≤ 3)": results["p50"][large.slug] / results["p50"][small.slug],
        "POST /retrieve to embedding and bare SQL (≤ 1.5)": results["p50_small_again"] / (floor["embedding"] + floor["sql"]),
        "throughput to 1 / CPU of the floor (≥ 0.6)":
            results["throughput"] * (floor["embedding_cpu"] + floor["sql_cpu"]) / 1000,
        "ingestion to the embedder alone (≥ 0.9)": results["ingestion"]["service"] / results["ingestion"]["embedder"],
    }  # fmt: skip
    results["recall"] = {}
    for subject in subjects:
        for mode in ("semantic", "lexical", "hybrid"):
            for name, filters, collections in (
                ("all", {}, COLLECTIONS), ("1 % filter", ONE_PERCENT, COLLECTIONS), ("1 of 20 collections", {}, 1),
            ):  # fmt: skip
                measured = await bench.recall(subject, mode, filters, collections)
                results["recall"][f"{subject.slug}, {mode}, {name}"] = measured
    return results


def _report(step: str, done: int, total: int) -> None:
    if done == total:
        console.print(f"{step}: {done} of {total}")


def _figure(recall: float | None) -> str:
    return "nothing passes" if recall is None else f"{recall:.3f}"


def show(results: Mapping[str, Any]) -> None:
    """Prints the tables."""
    table = Table("ratio", "measured")
    for name, ratio in results["ratios"].items():
        table.add_row(name, f"{ratio:.2f}")
    console.print(table)
    times = Table("where the time of POST /retrieve goes, small tenant", "ms")
    floor, parts, total = results["floor"], results["parts"], results["p50_small_again"]
    secured = parts["the search under row-level security"]
    spent = {
        "embedding the question": floor["embedding"], "the bare SQL": floor["sql"],
        "row-level security": secured - floor["sql"],
        "resolving the caller: a transaction": parts["a transaction bound to the caller"],
        "the transaction of the search": parts["a transaction bound to the caller"],
        "the audit event and its commit": parts["the audit event and its commit"],
    }  # fmt: skip
    for name, milliseconds in {
        **spent,
        "HTTP, tokens, validation, JSON": total - sum(spent.values()),
        "all": total,
    }.items():
        times.add_row(name, f"{milliseconds:.2f}")
    console.print(times)
    recalls = Table("recall@10 against comparing everything", "recall", "short lists", "plans")
    for name, recall in results["recall"].items():
        recalls.add_row(name, _figure(recall["recall@10"]), str(recall["short"]), ", ".join(recall["plans"]))
    console.print(recalls)
    console.print({name: results[name] for name in ("p50", "floor", "throughput", "ingestion", "promotion_seconds")})


async def main(options: argparse.Namespace) -> None:
    """Starts a deployment, measures it, and writes the results."""
    folder = Path(options.folder)
    async with deployment(folder) as deployed:
        known = json.loads((folder / "secrets.json").read_text())
        superuser = await connect(deployed.urls["superuser_url"])
        # The role that serves has these two; a comparison must not differ by them.
        await superuser.execute("set plan_cache_mode = force_custom_plan; set jit = off")
        pool = await open_pool(deployed.urls["runtime_url"], size=4, timeout=5)
        tenancy = Tenancy(pool, ContextSigner(known["context_key"]), timeout=5)
        recorder = Recorder(
            PayloadVault(LocalKeyEncryption(known["payload_key"])), SearchWords(known["payload_key"]), {}
        )
        bench = Bench(deployed, superuser, tenancy, recorder, Topics(LocalEmbedder.model), options.runs)
        try:
            results = await measure(bench, options)
        finally:
            await superuser.close()
            await pool.close()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scale.json").write_text(json.dumps(results, indent=2) + "\n")
    show(results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--total", type=int, default=1_000_000, help="chunks of the whole platform")
    parser.add_argument("--tenants", type=int, default=2_000)
    parser.add_argument("--large", type=int, default=200_000, help="chunks of the largest tenant measured")
    parser.add_argument("--medium", type=int, default=20_000)
    parser.add_argument("--ingest", type=int, default=600, help="chunks ingested over HTTP")
    parser.add_argument("--runs", type=int, default=150, help="repetitions of each latency")
    parser.add_argument("--seconds", type=float, default=10, help="length of the throughput measurement")
    with tempfile.TemporaryDirectory(prefix="affidavit-scale-") as made:
        parser.add_argument("--folder", default=str(Path(made) / "deployment"), help="where the database is put")
        asyncio.run(main(parser.parse_args()))
