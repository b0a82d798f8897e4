"""Recall of the search a tenant gets, whatever its plan, against comparing every chunk that its caller may see."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rich.table import Table

from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.retrieval import search
from backend.retrieval.stages import Question
from tests.benchmarks.platforms import COLLECTIONS, Platform, Subject
from tests.benchmarks.synthetic import Progress

ONE_PERCENT = {"number": 7}  # of 100 numbers that chunks have at random
CASES: Mapping[str, tuple[Mapping[str, object], int]] = {
    "all": ({}, COLLECTIONS),
    "1 % filter": (ONE_PERCENT, COLLECTIONS),
    "1 of 20 collections": ({}, 1),
}
MODES = ("semantic", "lexical", "hybrid")


async def recalls(platform: Platform, asked: int, progress: Progress) -> dict[str, dict[str, Any]]:
    """Returns recall@10 of every tenant, mode and case over so many questions each."""
    cells = [(subject, mode, case) for subject in platform.subjects.values() for mode in MODES for case in CASES]
    measured = {}
    for number, (subject, mode, case) in enumerate(cells):
        progress("comparing with exact results", number, len(cells))
        measured[f"{subject.slug}, {mode}, {case}"] = await _recall(platform, subject, mode, case, asked)
    progress("comparing with exact results", len(cells), len(cells))
    return measured


async def _recall(platform: Platform, subject: Subject, mode: str, case: str, asked: int) -> dict[str, Any]:
    """Returns recall@10, how many questions got fewer chunks than there were, and the plans of the searches."""
    filters, collections = CASES[case]
    caller = subject.caller(collections)
    found = wanted = short = 0
    plans: set[str] = set()
    for _ in range(asked):
        question = platform.question(mode=mode, filters=filters)
        async with platform.tenancy.transaction(caller.claims()) as connection:
            coverage = await search.survey(connection, caller, question.request, question.weights)
            ranking = await search.search(connection, caller, question, coverage, question.request.k)
        async with platform.tenancy.transaction(caller.claims()) as connection:
            exact = await _exact(connection, caller, question)
        ids = {hit.chunk_id for hit in ranking.hits}
        found, wanted, short = found + len(ids & set(exact)), wanted + len(exact), short + (len(ids) < len(exact))
        plans.add(ranking.plan)
    return {"recall@10": found / wanted if wanted else None, "short": short, "plans": sorted(plans)}


async def _exact(connection: Connection, caller: Caller, question: Question) -> list[UUID]:
    coverage = await search.survey(connection, caller, question.request, question.weights)
    statement, values = search.statement_of(search.queries.exact_search, 10, question)
    scope = search.scope_of(caller, question, coverage)
    rows = await connection.fetch(
        statement, *scope, question.weights.lexical, question.request.k, question.request.k, *values
    )
    return [row["id"] for row in rows]


def table(measured: Mapping[str, Mapping[str, Any]]) -> Table:
    """Returns the recalls, beside what they should be."""
    recalls = Table("recall@10 against comparing everything (≥ 0.99)", "recall", "short lists", "plans")
    for name, cell in measured.items():
        recall = "nothing passes" if cell["recall@10"] is None else f"{cell['recall@10']:.3f}"
        recalls.add_row(name, recall, str(cell["short"]), ", ".join(cell["plans"]))
    return recalls
