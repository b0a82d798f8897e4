"""Has a question embedded while it is found out who asks it, which takes about a third as long.

Only for callers whose credential is proven already, and by a model in this process: what is refused afterwards has cost some
milliseconds, and no question leaves the process before it is known what may become of it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from backend.identity.callers.guard import GuardedRoute, Handler
from backend.provided import of
from backend.retrieval.ask import Retrieval
from backend.retrieval.embedding.ahead import embedding_ahead
from backend.retrieval.models import Mode

_SHORT_BYTES = 2_000  # of a body, which is read before anything else is known of it


class QuestionRoute(GuardedRoute):
    """A route whose body may have a question."""

    def get_route_handler(self) -> Handler:
        """Returns what answers a request."""
        handler = super().get_route_handler()

        async def ahead(request: Request) -> Response:
            async with question_ahead(request):
                return await handler(request)

        return ahead


@asynccontextmanager
async def question_ahead(request: Request) -> AsyncIterator[None]:
    """Embeds the question of a request, if it has one and may be embedded ahead, while the block finds out who asks."""
    embedder = of(request, Retrieval).embedder
    question = await _question_of(request) if embedder.in_process and _is_proven(request) else None
    if question:
        async with embedding_ahead(embedder, question):
            yield
    else:
        yield


def _is_proven(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return bool(request.state.proven) and length.isdigit() and int(length) <= _SHORT_BYTES


async def _question_of(request: Request) -> str | None:
    """Returns the question of a body; None where it has none, or none that can be read, which its route says later."""
    if "json" not in request.headers.get("content-type", ""):
        return None
    try:
        return _question_in(orjson.loads(await request.body()))
    except (ClientDisconnect, orjson.JSONDecodeError):
        return None


def _question_in(body: object) -> str | None:
    """Returns the question wherever a door's protocol has it; none that follows up on another, since it is read with that."""
    match body:
        case {"params": {"arguments": dict(arguments)}}:
            return _question_in(arguments)
        case {"mode": Mode.LEXICAL} | {"previous_turn": str()} | {"previous_response_id": str()}:
            return None
        case {"query": str(asked)} | {"question": str(asked)} | {"input": str(asked)}:
            return asked
        case {"messages": [{"role": "user", "content": str(asked)}]}:
            return asked
        case {"messages": [{"role": "system" | "developer"}, {"role": "user", "content": str(asked)}]}:
            return asked
    return None
