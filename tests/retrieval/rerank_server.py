"""A server that speaks the `/rerank` protocols over a real socket, and scores as a test tells it to."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.listening import served_by_a_thread

Reply = Callable[[dict[str, Any]], Awaitable[Response]]
Score = Callable[[str], float]


@dataclass
class RerankServer:
    """The server's address, the requests that it got, and how it replies."""

    url: str
    reply: Reply
    requests: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)


@contextmanager
def running() -> Iterator[RerankServer]:
    """Serves on a free port of the loopback interface."""
    served = RerankServer("", scoring(len))
    with served_by_a_thread(_app(served)) as address:
        served.url = f"{address}/v1/rerank"
        yield served


def _app(served: RerankServer) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/rerank")
    async def rerank(request: Request) -> Response:
        body = await request.json()
        served.requests.append(body)
        served.authorizations.append(request.headers.get("authorization"))
        return await served.reply(body)

    return app


def scoring(score: Score) -> Reply:
    """Scores each text, and lists the most relevant first, as such servers do."""

    async def reply(body: dict[str, Any]) -> Response:
        texts = body["documents"] if "documents" in body else body["texts"]
        scored = sorted(((score(text), index) for index, text in enumerate(texts)), reverse=True)
        if "texts" in body:
            return JSONResponse([{"index": index, "score": value} for value, index in scored])
        results = [{"index": index, "relevance_score": value} for value, index in scored[: body["top_n"]]]
        return JSONResponse({"model": body["model"], "results": results, "usage": {"total_tokens": 1}})

    return reply


def sending(content: bytes, status: int = 200) -> Reply:
    """Sends bytes that need not be the protocol."""

    async def reply(body: dict[str, Any]) -> Response:
        return Response(content, status, media_type="application/json")

    return reply


def after(act: Callable[[], Awaitable[object]], reply: Reply) -> Reply:
    """Does something before it replies."""

    async def acting(body: dict[str, Any]) -> Response:
        await act()
        return await reply(body)

    return acting
