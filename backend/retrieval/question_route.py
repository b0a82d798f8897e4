"""A route that has its question embedded while it finds out who asks, which takes about as long as a third of that.

Only for callers whose credential is proven already, and by a model in this process: what is refused afterwards has cost some
milliseconds, and no question leaves the process before it is known what may become of it.
"""

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
    """A route whose body has a `query`, or a `question` that follows up on none."""

    def get_route_handler(self) -> Handler:
        """Returns what answers a request."""
        handler = super().get_route_handler()

        async def ahead(request: Request) -> Response:
            embedder = of(request, Retrieval).embedder
            query = await _query(request) if embedder.in_process and _is_proven(request) else None
            if query is None:
                return await handler(request)
            async with embedding_ahead(embedder, query):
                return await handler(request)

        return ahead


def _is_proven(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return bool(request.state.proven) and length.isdigit() and int(length) <= _SHORT_BYTES


async def _query(request: Request) -> str | None:
    """Returns the question of a body; None where it has none, which the route says later."""
    try:
        body = orjson.loads(await request.body())
    except (ClientDisconnect, orjson.JSONDecodeError):
        return None
    if not isinstance(body, dict) or body.get("mode") == Mode.LEXICAL or body.get("previous_turn"):
        return None
    query = body.get("query") or body.get("question")
    return query if isinstance(query, str) else None
