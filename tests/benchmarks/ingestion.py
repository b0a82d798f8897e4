"""How fast `/ingest/batch` takes chunks and a worker takes files, against the embedder alone on the same texts under the same titles.

    python -m tests.benchmarks.ingestion

Asked for: at least 80 % of the embedder's own rate for batches, and 90 % for files. Embedder and files take turns in one run, on the
chunks that the files were cut into. Writes bench-results/ingestion.json.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import httpx

from backend.documents.chunks.vectors import headed
from backend.retrieval.embedding.embedder import LocalEmbedder
from tests.benchmarks.deployment import Deployment, deployment, p50, worker, write_results

TARGET, TARGET_OF_FILES = 0.80, 0.90  # of the embedder's own rate
ROUNDS, FILES, RULES = 2, 4, 150  # of files: as many in each round, with so many rules of a paragraph each
LONGEST_WAIT = 300.0  # seconds for a round's files
ASKED_EVERY = 0.2  # seconds: who waits takes little of what is measured
WORDS = [
    "account",
    "balance",
    "bank",
    "card",
    "charge",
    "claim",
    "complaint",
    "credit",
    "customer",
    "debit",
    "deposit",
    "dispute",
    "fee",
    "interest",
    "loan",
    "mortgage",
    "notice",
    "overdraft",
    "payment",
    "policy",
    "procedure",
    "rate",
    "refund",
    "review",
    "statement",
    "transfer",
    "wire",
    "within",
    "days",
    "business",
    "written",
]


def texts(count: int, words: int = 90) -> list[str]:
    """Returns texts of the length of a paragraph, all different."""
    return [
        " ".join([f"Rule {number}:", *(WORDS[(number * 7 + place * place) % len(WORDS)] for place in range(words))])
        + "."
        for number in range(count)
    ]


async def ingestion_rate(running: Deployment, passages: list[str], batch: int, at_once: int) -> float:
    """Returns chunks per second through the API, with so many batches under way."""
    await running.tenant("bench")
    waiting = asyncio.Semaphore(at_once)
    async with running.client() as client:
        headers = await running.sign_in(client, "bench", "editor")

        async def ingest(start: int) -> None:
            chunks = [
                {"doc_id": f"doc-{start + offset}", "chunk_text": text, "source_type": "policy"}
                for offset, text in enumerate(passages[start : start + batch])
            ]
            async with waiting:
                answer: httpx.Response = await client.post("/ingest/batch", json={"chunks": chunks}, headers=headers)
            answer.raise_for_status()

        began = time.perf_counter()
        await asyncio.gather(*(ingest(start) for start in range(0, len(passages), batch)))
        return len(passages) / (time.perf_counter() - began)


async def share_of_files(running: Deployment, embedder: LocalEmbedder) -> float:
    """Returns how much of the embedder's own rate files reach from their upload until the last is searchable, at the median."""
    tenant_id = await running.tenant("files")
    superuser = await asyncpg.connect(running.urls["superuser_url"])
    shares = []
    async with running.client() as client:
        headers = await running.sign_in(client, "files", "editor")
        for turn in range(ROUNDS + 1):
            began = time.perf_counter()
            names = [f"{turn}-{number}" for number in range(FILES)]
            jobs = await asyncio.gather(*(_uploaded(client, headers, name) for name in names))
            await _done(client, headers, set(jobs))
            through = time.perf_counter() - began
            rows = await superuser.fetch(
                "select c.text, c.heading_path, d.title from documents.chunk c join documents.document d"
                " on (d.tenant_id, d.id) = (c.tenant_id, c.document_id) where c.tenant_id = $1 and d.doc_id = any($2)",
                tenant_id, names,
            )  # fmt: skip
            under = [headed(row["title"], row["heading_path"]) for row in rows]
            began = time.perf_counter()
            await embedder.embed_passages([row["text"] for row in rows], under)
            shares.append((time.perf_counter() - began) / through)
    await superuser.close()
    return p50(shares[1:])  # the worker had just started


async def _uploaded(client: httpx.AsyncClient, headers: dict[str, str], name: str) -> str:
    """Uploads a file of some rules and returns the job that reads it."""
    text = "\n\n".join(f"# Rule {n} of {name}\n\n{passage}" for n, passage in enumerate(texts(RULES)))
    answer = await client.post(
        "/documents", data={"source_type": "policy", "doc_id": name}, headers=headers,
        files={"file": (f"{name}.md", text.encode(), "text/markdown")},
    )  # fmt: skip
    job: str = answer.raise_for_status().json()["job_id"]
    return job


async def _done(client: httpx.AsyncClient, headers: dict[str, str], jobs: set[str]) -> None:
    """Waits until all jobs have succeeded, in one request for all of them; raises RuntimeError when one fails, and TimeoutError."""
    async with asyncio.timeout(LONGEST_WAIT):
        while jobs:
            await asyncio.sleep(ASKED_EVERY)
            listed = (
                (await client.get("/jobs", params={"limit": 100}, headers=headers)).raise_for_status().json()["jobs"]
            )
            states = {job["id"]: job for job in listed if job["id"] in jobs}
            if failed := [job["error"] for job in states.values() if job["status"] == "failed"]:
                raise RuntimeError(failed[0])
            jobs -= {name for name, job in states.items() if job["status"] == "succeeded"}


async def main(count: int, batch: int, at_once: int) -> bool:
    """Prints the rates and their ratios; tells whether the targets are reached."""
    passages = texts(count)
    with tempfile.TemporaryDirectory(prefix="affidavit-bench-") as folder:
        embedder = LocalEmbedder.load(Path(folder) / "models")
        await embedder.embed_passages(passages[:50])
        began = time.perf_counter()
        await embedder.embed_passages(passages)
        alone = count / (time.perf_counter() - began)
        deployed = Path(folder) / "deployment"
        async with deployment(deployed) as running:
            through = await ingestion_rate(running, passages, batch, at_once)
            async with worker(running, deployed):
                files = await share_of_files(running, embedder)
    print(
        f"embedder alone {alone:.0f}/s, /ingest/batch {through:.0f}/s ({batch} chunks a batch, {at_once} at once): "
        f"{through / alone:.0%}, wanted {TARGET:.0%}"
    )
    print(f"files, from upload to searchable: {files:.0%} of the embedder alone, wanted {TARGET_OF_FILES:.0%}")
    write_results("ingestion.json", {"batches": through / alone, "files": files})
    return through >= TARGET * alone and files >= TARGET_OF_FILES


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=2_000)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    sys.exit(0 if asyncio.run(main(options.chunks, options.batch, options.at_once)) else 1)
