"""A server that speaks the `/rerank` protocols over a real socket, and scores as a test tells it to."""

import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

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
    listener = socket.create_server(("127.0.0.1", 0))
    served = RerankServer(f"http://127.0.0.1:{listener.getsockname()[1]}/v1/rerank", scoring(len))
    server = uvicorn.Server(uvicorn.Config(_app(served), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield served
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=10)


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
