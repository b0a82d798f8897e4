"""Compares the embedding models that run in this process: ranking of support articles by weight of words, and time of a processor.

    python -m tests.benchmarks.local_models    # needs requirements-quality.lock; about ten minutes of two quiet cores

Both models rank in this process as the service does, without its database. A passage's and a question's time is measured of both in
turn, in one thread.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytrec_eval
from rich.console import Console
from rich.table import Table

from backend.retrieval import lexicon
from backend.retrieval.embedding.embedder import LocalEmbedder, Vectors
from backend.retrieval.embedding.minilm import MINILM
from backend.retrieval.embedding.mpnet import MPNET
from tests.benchmarks.answers.__main__ import MODELS
from tests.benchmarks.deployment import SHARED_DATA, write_results
from tests.benchmarks.quality import MEASURES, paired_bootstrap

SUPPORT = SHARED_DATA / "askcfpb"
WEIGHTS = (0.0, 0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02)
LOCAL = (MINILM, MPNET)
TIMED = 60  # passages, and questions

Scores = Mapping[str, Mapping[str, float]]


def _read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SUPPORT / name).read_text(encoding="utf-8").splitlines()]


def word_scores(texts: Sequence[str], questions: Sequence[str]) -> Vectors:
    """Returns BM25 (questions, texts)."""
    sparse = [lexicon.passage_vector(text) for text in texts]
    frequencies = Counter(term for vector in sparse for term in vector)
    rows = []
    for question in questions:
        asked = lexicon.query_vector(question, frequencies, len(texts))
        rows.append([sum(weight * vector.get(term, 0.0) for term, weight in asked.items()) for vector in sparse])
    return np.array(rows, dtype=np.float32)


def judged(scores: Vectors, asked: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Scores:
    """Returns each question's measures of a ranking."""
    relevant = {query["query_id"]: dict.fromkeys(query["relevant_doc_ids"], 1) for query in asked}
    run = {
        query["query_id"]: {names[index]: float(row[index]) for index in np.argsort(-row)[:10]}
        for query, row in zip(asked, scores, strict=True)
    }
    result: Scores = pytrec_eval.RelevanceEvaluator(relevant, {"ndcg_cut.10", "recall.10"}).evaluate(run)
    return result


def cpu_milliseconds(acts: Sequence[Callable[[], object]]) -> list[float]:
    """Returns the processor's time of each act, all in turn."""
    spent = []
    for act in acts:
        began = time.process_time()
        act()
        spent.append(1000 * (time.process_time() - began))
    return spent


def main() -> None:
    """Measures, prints and writes."""
    documents, asked = _read("documents.jsonl"), _read("queries_dev.jsonl")
    names, titles, texts = ([document[key] or "" for document in documents] for key in ("doc_id", "title", "text"))
    questions = [query["question"] for query in asked]
    embedders = [LocalEmbedder.load(MODELS, 2, local) for local in LOCAL]
    step = len(texts) // TIMED
    passages = [
        cpu_milliseconds([lambda e=e, i=i: e._passage(texts[i], [e._line(titles[i])]) for e in embedders])  # type: ignore[misc]
        for i in range(0, len(texts), step)
    ]
    single = [
        cpu_milliseconds([lambda e=e, q=q: e.encode_query(q) for e in embedders])  # type: ignore[misc]
        for q in questions[:TIMED]
    ]
    bm25 = word_scores([f"{title}\n{text}" for title, text in zip(titles, texts, strict=True)], questions)
    found: dict[str, Any] = {}
    table = Table("model", "weight", *MEASURES.values(), "nDCG@10 beside MiniLM's best (95 %)")
    best: Scores = {}
    for n, embedder in enumerate(embedders):
        dense = embedder.encode(texts, titles)
        cosines = np.stack([embedder.encode_query(question) for question in questions]) @ dense.T
        by_weight = {weight: judged(cosines + weight * bm25, asked, names) for weight in WEIGHTS}
        best = best or max(by_weight.values(), key=lambda one: sum(row["ndcg_cut_10"] for row in one.values()))
        for weight, scores in by_weight.items():
            means = [float(np.mean([row[measure] for row in scores.values()])) for measure in MEASURES]
            ahead = paired_bootstrap(np.array([scores[q]["ndcg_cut_10"] - best[q]["ndcg_cut_10"] for q in scores]))
            table.add_row(
                embedder.model, f"{weight:g}", *[f"{mean:.3f}" for mean in means],
                f"{ahead['mean']:+.3f} [{ahead['low']:+.3f}, {ahead['high']:+.3f}]" if n else "",
            )  # fmt: skip
            found[f"{embedder.model} {weight:g}"] = dict(zip(MEASURES.values(), means, strict=True))
    Console().print(table)
    for what, spent in (("passage", passages), ("question", single)):
        small, large = np.mean(spent, axis=0)
        print(f"a {what}: {small:.1f} and {large:.1f} ms of a processor, {large / small:.1f} times")
        found[f"cpu ms of a {what}"] = [float(small), float(large)]
    write_results("local_models.json", found)


if __name__ == "__main__":
    main()
