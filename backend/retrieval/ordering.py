"""Puts the chunks that a search found into their final order.

What changes it works on candidates, of which the search yields more then; without, the order of the search stands.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from backend.database import Connection
from backend.identity.caller import Caller
from backend.retrieval.phrases import PHRASE_WEIGHT, phrases_in
from backend.retrieval.search import Hit, Question, Ranking, search


async def ranked(connection: Connection, caller: Caller, question: Question) -> Ranking:
    """Searches and returns the best chunks in their final order; raises NotFound as the search does."""
    ranking = await search(connection, caller, question)
    if question.phrases:
        # In a thread, since reading a hundred long texts would hold up everybody else's requests.
        hits = await asyncio.to_thread(favoured, ranking.hits, question.phrases)
        ranking = replace(ranking, hits=hits[: question.request.k], candidates=hits)
    return ranking


def favoured(hits: Sequence[Hit], phrases: Sequence[str]) -> list[Hit]:
    """Returns the hits by score, to which each phrase that their text has adds PHRASE_WEIGHT."""
    found = [phrases_in(hit.text, phrases) for hit in hits]
    counted = [
        replace(hit, phrases=has, score=hit.score + PHRASE_WEIGHT * len(has))
        for hit, has in zip(hits, found, strict=True)
    ]
    return sorted(counted, key=lambda hit: (-hit.score, hit.chunk_id))
