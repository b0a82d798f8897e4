"""Measures the built-in generator: `make bench-answers`, or `python -m tests.benchmarks.answers --show` to read its answers.

Of questions that the support articles answer: how many are refused, and how many of the others cite the article that was written
for the question, which is stricter than being right, since several articles say the same. Of questions that no article answers,
though they are about money (NEAR) or not even that (FAR): how many are answered.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backend.answers.extractive import ExtractiveGenerator
from backend.answers.generator import Generation, Passage
from backend.answers.prompt import render
from backend.retrieval import lexicon
from backend.retrieval.embedding.embedder import LocalEmbedder
from tests.answers.passages import passages

DATA = Path(__file__).resolve().parents[2] / "../shared/data/askcfpb"
LEXICAL_WEIGHT = 0.02
PASSAGES = 8

NEAR = (
    "What is the penalty for filing my income taxes late?", "How much does the average home inspection cost?",
    "What is the current federal funds rate?", "Which credit card has the best rewards for travel?",
    "How do I apply for unemployment benefits?", "What is the FDIC insurance limit for trust accounts?",
    "How do I set up a business checking account for my LLC?", "Can I deduct mortgage interest on my tax return?",
    "What is the stock price of Wells Fargo?", "How do I report a lost passport?",
    "How do I trade options in my brokerage account?", "What is the minimum wage in California?",
    "How do I contact Chase customer service?", "When does the stock market open?",
    "What is the maximum Social Security benefit?", "How long does a wire transfer to India take with Bank of America?",
    "How do I enroll in Medicare Part B?", "What are the fees of Robinhood?", "How do I calculate the yield of a bond?",
    "What is the contribution limit of a 401(k)?", "How is cryptocurrency taxed?", "What homeowner's deductible should I choose?",
    "How do I dissolve a partnership?", "What is the penalty for early withdrawal of a CD at Ally?",
    "Can my employer pay me in gift cards?", "How much life insurance do I need?", "What is the exchange rate of the euro?",
    "How do I get a business license?", "How do I patent an invention?", "What does an umbrella policy cover?",
)  # fmt: skip
FAR = (
    "Who won the world cup?", "How do I bake bread?", "What is the capital of France?", "Write a poem about cats",
    "How tall is Mount Everest?", "What is the boiling point of water?", "Who wrote Hamlet?", "How do I train a puppy?",
    "What causes rain?", "How many players are in a soccer team?",
)  # fmt: skip


class Articles:
    """The articles, found by cosine and BM25 together as the service finds them."""

    def __init__(self, embedder: LocalEmbedder) -> None:
        self._embedder = embedder
        self._articles = list(_read("documents.jsonl"))
        texts, titles = ([article[key] or "" for article in self._articles] for key in ("text", "title"))
        self._dense = embedder.encode(texts, titles)
        self._sparse = [lexicon.passage_vector(text) for text in texts]
        self._frequencies = Counter(term for vector in self._sparse for term in vector)

    def retrieve(self, question: str) -> list[Passage]:
        query = lexicon.query_vector(question, self._frequencies, len(self._articles))
        bm25 = np.array([sum(weight * vector.get(t, 0.0) for t, weight in query.items()) for vector in self._sparse])
        cosines = self._dense @ self._embedder.encode_query(question)
        best = [int(index) for index in np.argsort(-(cosines + LEXICAL_WEIGHT * bm25))[:PASSAGES]]
        found = passages(*(self._articles[index]["text"] for index in best))
        return [
            replace(passage, doc_id=self._articles[index]["doc_id"], title=self._articles[index]["title"],
                    cosine=float(cosines[index]), bm25=float(bm25[index]))
            for passage, index in zip(found, best, strict=True)
        ]  # fmt: skip


def _read(name: str) -> Iterator[dict[str, Any]]:
    with (DATA / name).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def measure(questions: Sequence[tuple[str, str | None]], *, show: bool) -> dict[str, float]:
    """Answers questions, each with the article that answers it, if any; returns shares, and milliseconds at the median."""
    with tempfile.TemporaryDirectory() as folder:
        embedder = LocalEmbedder.load(Path(folder))
        articles, generator = Articles(embedder), ExtractiveGenerator(embedder.embed_passages)
        answered, cited, took = 0, 0, []
        for question, gold in questions:
            prompt = render(question, articles.retrieve(question), vector=embedder.encode_query(question))
            started = time.perf_counter()
            generation = asyncio.run(generator.generate(prompt))
            took.append((time.perf_counter() - started) * 1000)
            answered += generation.refusal is None
            cited += gold in {quote.passage.doc_id for claim in generation.claims for quote in claim.quotes}
            if show:
                _show(question, generation)
    return {
        "answered": answered / len(questions),
        "cites its article": cited / len(questions),
        "ms": statistics.median(took),
    }


def _show(question: str, generation: Generation) -> None:
    print(f"\n{question}\n    {generation.refusal or ' | '.join(claim.sentence for claim in generation.claims)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print every answer, to be read")
    parser.add_argument("--every", type=int, default=4, help="ask every n-th question of the articles")
    arguments = parser.parse_args()
    support = [(query["question"], query["relevant_doc_ids"][0]) for query in _read("queries_dev.jsonl")]
    sets: dict[str, list[tuple[str, str | None]]] = {
        "support": list(support[:: arguments.every]), "near": [(q, None) for q in NEAR], "far": [(q, None) for q in FAR]
    }  # fmt: skip
    for name, questions in sets.items():
        found = measure(questions, show=arguments.show)
        print(
            f"{name:8} {len(questions):4} questions: " + ", ".join(f"{key} {value:.3g}" for key, value in found.items())
        )


if __name__ == "__main__":
    main()
