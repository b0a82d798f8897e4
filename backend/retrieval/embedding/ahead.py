"""A question's vector that is being made before whoever needs it has come so far."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from backend.metrics import stage
from backend.retrieval.embedding.embedder import Embedder, Vectors


@dataclass(slots=True)
class _Ahead:
    embedder: Embedder
    text: str
    vector: asyncio.Task[Vectors]
    wanted: bool = False


_ahead: ContextVar[_Ahead | None] = ContextVar("ahead", default=None)


@asynccontextmanager
async def embedding_ahead(embedder: Embedder, text: str) -> AsyncIterator[None]:
    """Embeds a question while the block does something else; if nobody has asked for its vector by then, that ends with it."""
    ahead = _Ahead(embedder, text, asyncio.create_task(_embedded(embedder, text)))
    ahead.vector.add_done_callback(_seen)
    token = _ahead.set(ahead)
    try:
        await asyncio.sleep(0)  # begins it before the database has something to do
        yield
    finally:
        _ahead.reset(token)
        if not ahead.wanted:  # else somebody may still wait for it, such as who sends sentences one by one
            ahead.vector.cancel()


async def vector_of(embedder: Embedder, text: str) -> Vectors:
    """Returns the vector of a question, whether it is under way or not; raises EmbedderUnavailable."""
    ahead = _ahead.get()
    if ahead is not None and ahead.embedder is embedder and ahead.text == text:
        ahead.wanted = True
        return await asyncio.shield(ahead.vector)
    return await _embedded(embedder, text)


def _seen(task: asyncio.Task[Vectors]) -> None:
    """Looks at a failure, so that nobody warns of it."""
    if not task.cancelled():
        task.exception()


async def _embedded(embedder: Embedder, text: str) -> Vectors:
    with stage("embed"):
        return await embedder.embed_query(text)
