"""How fast `/ingest/batch` takes chunks, against the embedder alone on the same texts: `python -m tests.benchmarks.ingestion`."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import httpx

from backend.retrieval.embedding.embedder import LocalEmbedder
from tests.benchmarks.deployment import Deployment, deployment

TARGET = 0.80  # of the embedder's own rate
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


async def main(count: int, batch: int, at_once: int) -> bool:
    """Prints both rates and their ratio; tells whether the target is reached."""
    passages = texts(count)
    with tempfile.TemporaryDirectory(prefix="affidavit-bench-") as folder:
        embedder = LocalEmbedder.load(Path(folder) / "models")
        await embedder.embed_passages(passages[:50])
        began = time.perf_counter()
        await embedder.embed_passages(passages)
        alone = count / (time.perf_counter() - began)
        async with deployment(Path(folder) / "deployment") as running:
            through = await ingestion_rate(running, passages, batch, at_once)
    sys.stdout.write(
        f"embedder alone {alone:.0f}/s, /ingest/batch {through:.0f}/s ({batch} chunks a batch, {at_once} at once): "
        f"{through / alone:.0%}, wanted {TARGET:.0%}\n"
    )
    return through >= TARGET * alone


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=2_000)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    sys.exit(0 if asyncio.run(main(options.chunks, options.batch, options.at_once)) else 1)
