"""Ranking quality through the HTTP API, judged by pytrec_eval: BM25 alone, dense alone, reciprocal rank fusion, ours.

    python -m tests.benchmarks.quality                                       # about ten minutes of two quiet cores
    python -m tests.benchmarks.quality --sets askcfpb --queries 100 --folder /tmp/quality
    python -m tests.benchmarks.quality --options '{"diversity": 0.3}'        # ours asked otherwise than by default

Reads ../shared/data beside the repository, writes bench-results/quality.json and quality.png, anew after each set. With
`--folder`, what was ingested is kept there, and a run that was stopped goes on with the next set or question.
"""

import argparse
import asyncio
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import matplotlib as mpl
import numpy as np
import pytrec_eval
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.benchmarks.asked_on import SUPPORT, asked_on
from tests.benchmarks.deployment import RESULTS, SHARED_DATA, Deployment, deployment

MEASURES = {"ndcg_cut_10": "nDCG@10", "recall_10": "recall@10"}
OURS = "ours"
SYSTEMS = ("BM25", "dense", "RRF", OURS)
DEPTH = 50  # results of each ranking that reciprocal rank fusion fuses
MODES = {"BM25": ("lexical", DEPTH), "dense": ("semantic", DEPTH), OURS: ("hybrid", 10)}
RRF_K = 10  # the best of those tried for reciprocal rank fusion
RESAMPLES = 10_000
IN_FLIGHT = 4
BATCH = 100  # documents
# nDCG@10 and recall@10 to reach.
TARGETS = {"askcfpb": (0.80, 0.93), "obliqa": (0.71, 0.80), "financebench": (None, 0.45)}

console = Console()
Run = dict[str, dict[str, float]]


@dataclass(frozen=True)
class JudgedQuestion:
    """A question, the tenant that asks it, and the documents that answer it."""

    id: str
    tenant: str
    text: str
    relevant: Sequence[str]


@dataclass(frozen=True)
class TestSet:
    """Documents by tenant, and questions."""

    name: str
    documents: Mapping[str, Sequence[dict[str, Any]]]
    questions: Sequence[JudgedQuestion]


def read(name: str, most: int | None) -> TestSet:
    """Returns one set; in financebench every company is a tenant of its own."""
    folder = SHARED_DATA / name
    queries = next(path for path in (folder / "queries_dev.jsonl", folder / "queries.jsonl") if path.exists())
    asked = list(_lines(queries))[:most]
    tenant_of = {r: _tenant(name, q) for q in asked for r in q["relevant_doc_ids"]}
    by_file = {doc_id.partition("::")[0]: tenant for doc_id, tenant in tenant_of.items()}
    documents: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in _lines(folder / "documents.jsonl"):
        tenant = by_file.get(line["doc_id"].partition("::")[0]) if name == "financebench" else name
        if tenant and line["text"].strip():
            documents[tenant].append(line)
    questions = [JudgedQuestion(q["query_id"], _tenant(name, q), q["question"], q["relevant_doc_ids"]) for q in asked]
    return TestSet(name, documents, questions)


def _tenant(name: str, query: Mapping[str, Any]) -> str:
    if name != "financebench":
        return name
    return "fb-" + "".join(c if c.isalnum() else "-" for c in query["metadata"]["company"].lower())


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    with path.open() as file:
        for line in file:
            yield json.loads(line)


@dataclass(frozen=True)
class Notes:
    """What a run has done already, in a folder that may outlive it."""

    folder: Path

    def known(self, name: str) -> list[Any]:
        """Returns what was noted under a name."""
        path = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def add(self, name: str, value: object) -> None:
        """Notes one thing more."""
        with (self.folder / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps(value) + "\n")


async def ingest(
    deployed: Deployment, client: httpx.AsyncClient, test_set: TestSet, notes: Notes
) -> dict[str, dict[str, str]]:
    """Ingests every document as one chunk, unless that was done; returns an API key's headers by tenant."""
    headers = dict(notes.known("tenants"))
    for tenant, documents in test_set.documents.items():
        if tenant not in headers:  # a key, since a user's token would end before a long ingestion
            headers[tenant] = await deployed.key(await deployed.tenant(tenant), ["default"], ["default"])
            notes.add("tenants", (tenant, headers[tenant]))
        done = len(notes.known(f"ingested-{tenant}"))
        for batch in track(_batches(documents)[done:], f"ingesting {tenant}", console=console):
            answer = await client.post("/ingest/batch", json={"chunks": batch}, headers=headers[tenant])
            answer.raise_for_status()
            notes.add(f"ingested-{tenant}", len(batch))
    return headers


def _batches(documents: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    chunks = [
        {
            "doc_id": d["doc_id"], "chunk_text": d["text"][:20_000], "source_type": d["source_type"],
            "metadata": {"title": d["title"]} if d.get("title") else {},
        }
        for d in documents
    ]  # fmt: skip
    return [chunks[start : start + BATCH] for start in range(0, len(chunks), BATCH)]


async def ask(
    client: httpx.AsyncClient,
    test_set: TestSet,
    headers: Mapping[str, dict[str, str]],
    options: Mapping[str, Any],
    notes: Notes,
) -> dict[str, Run]:
    """Asks every question in every mode, ours with `options`; returns the runs, each {question: {document: score}}."""
    asked = "-".join(["asked", test_set.name, *(f"{name}-{value}" for name, value in options.items())])
    rankings: dict[str, dict[str, list[str]]] = dict(notes.known(asked))
    limit = asyncio.Semaphore(IN_FLIGHT)

    async def one(question: JudgedQuestion) -> None:
        ranked = {}
        async with limit:
            for system, (mode, k) in MODES.items():
                body = {"query": question.text[:4000], "k": k, "mode": mode, **(options if system == OURS else {})}
                answer = await client.post("/retrieve", json=body, headers=headers[question.tenant])
                answer.raise_for_status()
                ranked[system] = list(dict.fromkeys(context["doc_id"] for context in answer.json()["contexts"]))
        rankings[question.id] = ranked
        notes.add(asked, (question.id, ranked))

    open_questions = [question for question in test_set.questions if question.id not in rankings]
    tasks = [asyncio.create_task(one(question)) for question in open_questions]
    for task in track(tasks, f"asking {test_set.name}", console=console):
        await task
    for ranked in rankings.values():
        ranked["RRF"] = reciprocal_rank_fusion([ranked["BM25"], ranked["dense"]])
    return {system: {id_: _run(ranked[system]) for id_, ranked in rankings.items()} for system in SYSTEMS}


def _run(doc_ids: Sequence[str]) -> dict[str, float]:
    return {doc_id: float(len(doc_ids) - rank) for rank, doc_id in enumerate(doc_ids)}


def reciprocal_rank_fusion(rankings: Sequence[Sequence[str]]) -> list[str]:
    """Returns documents by the sum of 1 / (k + rank), as of Cormack, Clarke and Büttcher (2009)."""
    scores: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, doc_id in enumerate(ranking, start=1):
            scores[doc_id] += 1 / (RRF_K + rank)
    return sorted(scores, key=lambda doc_id: -scores[doc_id])


def judge(test_set: TestSet, runs: Mapping[str, Run]) -> dict[str, Any]:
    """Returns the mean of each measure per system, and how far ours is ahead of each other one."""
    relevance = {question.id: dict.fromkeys(question.relevant, 1) for question in test_set.questions}
    evaluator = pytrec_eval.RelevanceEvaluator(relevance, {"ndcg_cut.10", "recall.10"})
    judged = {system: evaluator.evaluate(run) for system, run in runs.items()}
    ids = [question.id for question in test_set.questions]
    scores = {
        system: {measure: np.array([by_question.get(i, {}).get(measure, 0.0) for i in ids]) for measure in MEASURES}
        for system, by_question in judged.items()
    }
    return {
        "questions": len(ids),
        "systems": {s: {MEASURES[m]: round(float(v.mean()), 4) for m, v in by.items()} for s, by in scores.items()},
        "ours_ahead_of": {
            system: {MEASURES[m]: paired_bootstrap(scores[OURS][m] - scores[system][m]) for m in MEASURES}
            for system in SYSTEMS if system != OURS
        },
        "targets": dict(zip(MEASURES.values(), TARGETS.get(test_set.name, (None, None)), strict=True)),
    }  # fmt: skip


def paired_bootstrap(differences: np.ndarray, seed: int = 1) -> dict[str, float]:
    """Returns the mean difference per question with its 95 % interval, resampling questions with replacement."""
    random = np.random.default_rng(seed)
    means = np.array([random.choice(differences, len(differences)).mean() for _ in range(RESAMPLES)])
    low, high = np.quantile(means, [0.025, 0.975])
    return {"mean": round(float(differences.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def show(results: Mapping[str, Any]) -> None:
    """Prints the table."""
    table = Table("set", "system", *MEASURES.values(), "ours ahead by (nDCG@10, 95 %)")
    for name, result in results.items():
        for system, means in result["systems"].items():
            ahead = result["ours_ahead_of"].get(system, {}).get("nDCG@10")
            interval = f"{ahead['mean']:+.3f} [{ahead['low']:+.3f}, {ahead['high']:+.3f}]" if ahead else ""
            values = [f"{means[m]:.3f}" + _against(result["targets"][m], means[m], system) for m in MEASURES.values()]
            table.add_row(name, system, *values, interval, end_section=system == OURS)
        for asked, found in result.get("asked_on", {}).items():
            table.add_row(name, asked, found, end_section=True)
    console.print(table)


def _against(target: float | None, value: float, system: str) -> str:
    return "" if target is None or system != OURS else f" ({'≥' if value >= target else 'below'} {target})"


def plot(results: Mapping[str, Any], path: Path) -> None:
    """Draws both measures of every system and set."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    figure, axes = plt.subplots(1, len(MEASURES), figsize=(11, 4), sharey=True)
    for axis, measure in zip(axes, MEASURES.values(), strict=True):
        for offset, system in enumerate(SYSTEMS):
            heights = [result["systems"][system][measure] for result in results.values()]
            axis.bar(np.arange(len(results)) + 0.2 * (offset - 1.5), heights, 0.2, label=system)
        axis.set_xticks(range(len(results)), list(results))
        axis.set_title(measure)
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


async def main(names: Sequence[str], most: int | None, kept: Path | None, options: Mapping[str, Any]) -> None:
    """Measures the sets, and writes the results after each."""
    results: dict[str, Any] = {}
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="affidavit-quality-") as made:
        folder = kept or Path(made)
        async with (
            deployment(folder / "deployment", keep=kept is not None) as deployed,
            deployed.client() as client,
        ):
            for name in names:
                test_set, notes = read(name, most), Notes(folder)
                runs = await ask(client, test_set, await ingest(deployed, client, test_set, notes), options, notes)
                results[name] = judge(test_set, runs)
                if name == SUPPORT:
                    results[name]["asked_on"] = await asked_on(client, await deployed.sign_in(client, name, "analyst"))
                (RESULTS / "quality.json").write_text(json.dumps(results, indent=2) + "\n")
                plot(results, RESULTS / "quality.png")
                show({name: results[name]})
    show(results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=[name for name in TARGETS if (SHARED_DATA / name).exists()])
    parser.add_argument("--queries", type=int, help="at most so many questions of each set")
    parser.add_argument("--folder", type=Path, help="where the database is kept; unset means that it is removed")
    parser.add_argument("--options", type=json.loads, default={}, help="of our requests, as JSON")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.sets, chosen.queries, chosen.folder, chosen.options))
