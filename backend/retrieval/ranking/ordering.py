"""Puts the chunks that a search found into their final order.

Pages, quoted phrases, diversity and a reranker can change the order in which the search found them. When one of these is in
use, the search returns more candidates than are shown; otherwise its order is the final one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np

from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.retrieval.ranking.diversity import marginal_order
from backend.retrieval.ranking.furniture import set_back
from backend.retrieval.ranking.pages import with_pages
from backend.retrieval.ranking.phrases import PHRASE_WEIGHT, phrases_in
from backend.retrieval.ranking.reranker import Reranking
from backend.retrieval.search import queries, search
from backend.retrieval.stages import CANDIDATES, Coverage, Found, Hit, Question, Ranking

SPARE = 15  # hits beyond those asked for, of which that many may be furniture before a search is made again for all


async def ranked(
    connection: Connection,
    caller: Caller,
    question: Question,
    coverage: Coverage,
    reranking: Reranking | None = None,
    *,
    whole: bool = False,
) -> Ranking:
    """Searches and returns the best chunks in their final order, which is that of a reranking where there is one.

    With `whole`, all candidates are in the ranking, for who asks for the place of one that is not shown.
    """
    found = await candidates(connection, caller, question, coverage, reordered=reranking is not None, whole=whole)
    hits, behind = found.hits, list[Hit]()
    if reranking is not None and reranking.scores:
        hits, behind = by_reranker(hits, reranking.scores)
    if question.request.diversity:
        hits = await _diversified(connection, caller, question, hits)
    hits = [*hits, *behind]
    shown = await masked(hits[: question.request.k], question, coverage)
    return Ranking(shown, hits, found.plan, coverage, reranking)


async def candidates(
    connection: Connection,
    caller: Caller,
    question: Question,
    coverage: Coverage,
    *,
    reordered: bool,
    whole: bool = False,
) -> Found:
    """Returns the chunks that are to be put in order, by scores in which pages, furniture and quoted phrases count.

    There are more of them than are shown when `reordered` says that a reranker follows, or when pages, furniture, quoted phrases
    or diversity can change the order. Where it is furniture alone, those are left out that can come before none that is shown.
    """
    weights, k = question.weights, question.request.k
    reordered = whole or reordered or bool(question.phrases or question.request.diversity)
    limit = max(k, CANDIDATES) if reordered or weights.page or weights.furniture else k
    first = limit if reordered else min(limit, k + SPARE)
    found = await search(connection, caller, question, coverage, limit, first)
    body_first = set_back(found.hits, weights.furniture)
    if len(found.hits) == first < limit and body_first[k - 1].score <= found.hits[-1].score:
        found = await search(connection, caller, question, coverage, limit)
        body_first = set_back(found.hits, weights.furniture)
    found = replace(found, hits=await with_pages(connection, caller, question, coverage, body_first))
    if not question.phrases:
        return found
    # Texts are masked first: a question quotes the pseudonyms that its asker was shown.
    hits = await masked(found.hits, question, coverage)
    # In a thread, since reading a hundred long texts would hold up everybody else's requests.
    return replace(found, hits=await asyncio.to_thread(favoured, hits, question.phrases))


async def masked(hits: Sequence[Hit], question: Question, coverage: Coverage) -> Sequence[Hit]:
    """Returns the hits with pseudonyms in the place of personal data, where their collection wants that."""
    if not any(hit.collection in coverage.masked for hit in hits):
        return hits
    return await asyncio.to_thread(lambda: [_masked(hit, question, coverage) for hit in hits])


def _masked(hit: Hit, question: Question, coverage: Coverage) -> Hit:
    if hit.collection not in coverage.masked or hit.masked is not None:
        return hit
    pseudonyms = question.discretion.pseudonyms
    given, title = pseudonyms.given(hit.text), hit.title and pseudonyms.given(hit.title).text
    return replace(hit, text=given.text, title=title, masked=given)


def favoured(hits: Sequence[Hit], phrases: Sequence[str]) -> list[Hit]:
    """Returns the hits by score, to which each phrase that their text has adds PHRASE_WEIGHT."""
    found = [phrases_in(hit.text, phrases) for hit in hits]
    counted = [
        replace(hit, phrases=has, score=hit.score + PHRASE_WEIGHT * len(has))
        for hit, has in zip(hits, found, strict=True)
    ]
    return sorted(counted, key=lambda hit: (-hit.score, hit.chunk_id))


def by_reranker(hits: Sequence[Hit], scores: Mapping[UUID, int]) -> tuple[list[Hit], list[Hit]]:
    """Returns the hits that a reranker scored, best first and equal ones as they were, and the others."""
    scored = [replace(hit, rerank_micros=scores[hit.chunk_id]) for hit in hits if hit.chunk_id in scores]
    scored.sort(key=lambda hit: hit.shown_score, reverse=True)
    return scored, [hit for hit in hits if hit.chunk_id not in scores]


async def _diversified(connection: Connection, caller: Caller, question: Question, hits: Sequence[Hit]) -> list[Hit]:
    """Returns the hits by relevance and unlikeness; only vectors of the question's model are compared."""
    await connection.execute(queries.plan_for_values)
    ids = [hit.chunk_id for hit in hits]
    rows = await connection.fetch(queries.vectors, caller.tenant_id, ids, question.model)
    vectors = {row["id"]: row["dense"].to_numpy().astype(np.float32) for row in rows}
    order = marginal_order(
        [hit.shown_score for hit in hits], [vectors.get(hit.chunk_id) for hit in hits], question.request.diversity
    )
    return [hits[index] for index in order]
