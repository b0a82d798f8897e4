"""Measures the built-in generator: `make bench-answers`, or `python -m tests.benchmarks.answers --show` to read its answers.

`questions.jsonl` holds questions that were written here, each with what a right answer must say (one of the words that "|"
parts, for each fact). An answer is right when it says it all, beside the point when not, whatever it cites. Questions near to
the subject, and far from it, are right when they are refused. Then the support articles' own questions (`--every`) are asked,
of which only is known for which article each was written.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from backend.answers.extractive import ExtractiveGenerator
from backend.answers.generator import Generation, Passage
from backend.answers.prompt import render
from backend.demo import content
from backend.retrieval import lexicon
from backend.retrieval.embedding.embedder import LocalEmbedder
from tests.answers.passages import passages
from tests.conftest import SHARED_DATA

QUESTIONS = Path(__file__).with_name("questions.jsonl")
MODELS = Path("~/.cache/affidavit-benchmarks").expanduser()
LEXICAL_WEIGHT = 0.015
PASSAGES = 8
SUPPORT = "askcfpb"


@dataclass(frozen=True)
class FactQuestion:
    """A question of a set, asked of a collection: `facts` are what the answer must say; none, if there is no answer."""

    set: str
    text: str
    collection: str
    facts: tuple[str, ...]

    def is_answered_by(self, answer: str) -> bool:
        """Whether an answer says every fact."""
        said = " ".join(answer.casefold().split())
        return all(any(way in said for way in fact.casefold().split("|")) for fact in self.facts)


class SearchedPassages:
    """Passages, found by cosine and BM25 together as the service finds them."""

    def __init__(self, rows: Sequence[tuple[str, str, str]], embedder: LocalEmbedder) -> None:
        """Takes rows of (doc_id, title, text)."""
        self._embedder, self._rows = embedder, rows
        titles, texts = [row[1] for row in rows], [row[2] for row in rows]
        self._dense = embedder.encode(texts, titles)
        self._sparse = [lexicon.passage_vector(text) for text in texts]
        self._frequencies = Counter(term for vector in self._sparse for term in vector)

    def retrieve(self, question: str) -> list[Passage]:
        """Returns the passages that are given to the generator."""
        query = lexicon.query_vector(question, self._frequencies, len(self._rows))
        bm25 = np.array([sum(weight * vector.get(t, 0.0) for t, weight in query.items()) for vector in self._sparse])
        cosines = self._dense @ self._embedder.encode_query(question)
        best = [int(index) for index in np.argsort(-(cosines + LEXICAL_WEIGHT * bm25))[:PASSAGES]]
        found = passages(*(self._rows[index][2] for index in best))
        return [
            replace(passage, doc_id=self._rows[index][0], title=self._rows[index][1],
                    cosine=float(cosines[index]), bm25=float(bm25[index]))
            for passage, index in zip(found, best, strict=True)
        ]  # fmt: skip


@cache
def embedder() -> LocalEmbedder:
    """Returns the built-in embedder."""
    return LocalEmbedder.load(MODELS, 1)


@cache
def collection(name: str) -> SearchedPassages:
    """Returns the support articles, or what is in force of a demo tenant's documents."""
    if name == SUPPORT:
        return SearchedPassages(
            [(row["doc_id"], row["title"] or "", row["text"]) for row in _read("documents.jsonl")], embedder()
        )
    in_force = [document for document in content.load(name) if document.effective_to is None]
    rows = [(document.doc_id, document.title, text) for document in in_force for text in document.paragraphs]
    return SearchedPassages(rows, embedder())


def questions() -> list[FactQuestion]:
    """Returns the questions that were written here."""
    rows = map(json.loads, QUESTIONS.read_text(encoding="utf-8").splitlines())
    return [
        FactQuestion(
            row["set"],
            row["question"],
            row["source"] if row["set"].startswith("demo") else SUPPORT,
            tuple(row.get("facts", ())),
        )
        for row in rows
    ]


def answer(question: str, name: str) -> Generation:
    """Returns what the generator says."""
    prompt = render(question, collection(name).retrieve(question), vector=embedder().encode_query(question))
    return asyncio.run(_generator().generate(prompt))


@cache
def _generator() -> ExtractiveGenerator:
    return ExtractiveGenerator(embedder())


def _read(name: str) -> Iterator[dict[str, Any]]:
    with (SHARED_DATA / SUPPORT / name).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def judge(asked: FactQuestion, *, show: bool) -> str:
    """Returns how a question was answered."""
    generation = answer(asked.text, asked.collection)
    said = " ".join(claim.sentence for claim in generation.claims)
    if generation.refusal is not None:
        verdict = "refused"
    elif asked.is_answered_by(said) and asked.facts:
        verdict = "answered"
    else:
        verdict = "beside"
    if show:
        print(f"\n[{verdict}] {asked.text}\n    {said or '–'}")
    return verdict


def main() -> None:
    """Asks everything, and prints a row for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print every answer, to be read")
    parser.add_argument("--every", type=int, default=4, help="ask every n-th of the articles' own questions")
    arguments = parser.parse_args()
    verdicts: dict[str, Counter[str]] = {}
    for question in questions():
        verdicts.setdefault(question.set, Counter())[judge(question, show=arguments.show)] += 1
    print("\n| set | questions | answered | beside the point | refused |\n|---|---|---|---|---|")
    for name, found in verdicts.items():
        print(f"| {name} | {found.total()} | {found['answered']} | {found['beside']} | {found['refused']} |")
    articles = [(row["question"], row["relevant_doc_ids"][0]) for row in _read("queries_dev.jsonl")][:: arguments.every]
    cited = answered = 0
    for text, gold in articles:
        generation = answer(text, SUPPORT)
        answered += generation.refusal is None
        cited += gold in {quote.passage.doc_id for claim in generation.claims for quote in claim.quotes}
    print(
        f"\nof {len(articles)} questions of the articles, {answered} answered, {cited} from the article written for it"
    )


if __name__ == "__main__":
    main()
