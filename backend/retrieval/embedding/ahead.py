"""A question's vector that is being made before whoever needs it has come so far."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from backend.metrics import stage
from backend.retrieval.embedding.embedder import Embedder, Vectors


@dataclass(frozen=True, slots=True)
class _Ahead:
    embedder: Embedder
    text: str
    vector: asyncio.Task[Vectors]


_ahead: ContextVar[_Ahead | None] = ContextVar("ahead", default=None)


@asynccontextmanager
async def embedding_ahead(embedder: Embedder, text: str) -> AsyncIterator[None]:
    """Embeds a question while the block does something else; what nobody has asked for by then ends with it."""
    task = asyncio.create_task(_embedded(embedder, text))
    token = _ahead.set(_Ahead(embedder, text, task))
    try:
        await asyncio.sleep(0)  # begins it before the database has something to do
        yield
    finally:
        _ahead.reset(token)
        if not task.cancel() and not task.cancelled():
            task.exception()  # seen, so that nobody warns of it


async def vector_of(embedder: Embedder, text: str) -> Vectors:
    """Returns the vector of a question, whether it is under way or not; raises EmbedderUnavailable."""
    ahead = _ahead.get()
    if ahead is not None and ahead.embedder is embedder and ahead.text == text:
        return await asyncio.shield(ahead.vector)
    return await _embedded(embedder, text)


async def _embedded(embedder: Embedder, text: str) -> Vectors:
    with stage("embed"):
        return await embedder.embed_query(text)
