"""Ranks the chunks of a file by the scores of their pages as well as by their own.

Measured on 42 questions about whole annual and quarterly reports: the page that answers is among the first ten results for .33
of them by the chunks' own scores, for .43 when its year counts, and for .62 when its page does as well and is shown once.

A page scores less than its best chunk, so a score with a page in it says nothing against a score without one: what is in no page,
such as a memorandum that was sent as chunks, would come before the very sentence of a fee schedule. Chunks of pages therefore
change places with one another alone. Where chunks of pages stand among the others, their own scores decide.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.retrieval.search import candidates_of, queries, scope_of
from backend.retrieval.stages import Coverage, Hit, Question

Page = tuple[UUID, int]


async def with_pages(
    connection: Connection, caller: Caller, question: Question, coverage: Coverage, hits: Sequence[Hit]
) -> list[Hit]:
    """Returns the hits by scores in which their pages count; no page has a second hit before every page has its first."""
    weights, paged = question.weights, [hit.chunk_id for hit in hits if hit.span.page_start is not None]
    if not paged or not weights.page:
        return list(hits)
    await connection.execute(queries.plan_for_values)
    statement = queries.page_scores.replace("{candidates}", candidates_of(question))
    scope = scope_of(caller, question, coverage)
    rows = await connection.fetch(statement, *scope, paged)
    scores = {(row["version_id"], row["page_start"]): row["cosine"] + weights.lexical * row["bm25"] for row in rows}
    return by_page(hits, scores, weights.page, weights.furniture)


def by_page(hits: Sequence[Hit], scores: Mapping[Page, float], share: float, less: float = 0.0) -> list[Hit]:
    """Returns the hits with `share` of their scores from their pages, in rounds: the best of each page, the second, and so on.

    Hits of pages are put in order by these scores, at the places that they have among the others by their own. The page of a
    hit that is no body text counts `less` for it, as the hit itself does.
    """
    counted = [
        hit if (score := scores.get(_page(hit))) is None
        else replace(hit, page_score=score, score=(1 - share) * hit.score + share * (score - less * bool(hit.furniture)))
        for hit in hits
    ]  # fmt: skip
    of_pages = iter([hit for hit in _in_rounds(counted) if hit.span.page_start is not None])
    return [hit if hit.span.page_start is None else next(of_pages) for hit in _in_rounds(hits)]


def _in_rounds(hits: Sequence[Hit]) -> list[Hit]:
    """Returns hits by score in rounds: the best of each page and all that are in none, then the second of each page."""
    seen = Counter[Page]()
    rounds: list[tuple[int, Hit]] = []
    for hit in sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id)):
        rounds.append((seen[_page(hit)], hit))
        seen[_page(hit)] += hit.span.page_start is not None
    return [hit for _, hit in sorted(rounds, key=lambda ranked: ranked[0])]


def _page(hit: Hit) -> Page:
    return hit.version_id, hit.span.page_start or 0
