"""A server that speaks the chat completions protocol over a real socket, and says what a test tells it to."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from tests.listening import served_by_a_thread

Reply = Callable[[dict[str, Any]], Response]

MODEL_SERVED = "test-model-2026-08-01"
USAGE = {"prompt_tokens": 321, "completion_tokens": 12, "total_tokens": 333}


@dataclass
class ModelServer:
    """The server's address, the requests it got, and how it replies."""

    url: str
    reply: Reply
    requests: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def running() -> Iterator[ModelServer]:
    """Serves on a free port of the loopback interface."""
    model_server = ModelServer("", saying("Nothing."))
    with served_by_a_thread(_app(model_server)) as address:
        model_server.url = f"{address}/v1"
        yield model_server


def _app(model_server: ModelServer) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        body = await request.json()
        model_server.requests.append(body)
        model_server.authorizations.append(request.headers["authorization"])
        model_server.headers.append(dict(request.headers))
        model_server.queries.append(dict(request.query_params))
        return model_server.reply(body)

    return app


def saying(text: str, finish_reason: str = "stop") -> Reply:
    """Replies with the text, in small pieces when a stream is asked for."""
    return lambda body: _stream(text, finish_reason) if body.get("stream") else _whole(text, finish_reason)


def sending_message(message: dict[str, Any], finish_reason: str) -> Reply:
    """Replies with a message of any shape, in one piece when a stream is asked for."""

    def reply(body: dict[str, Any]) -> Response:
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
            return JSONResponse(_envelope("chat.completion") | {"choices": [choice], "usage": USAGE})
        choices = (
            [{"index": 0, "delta": message, "finish_reason": None}],
            [{"index": 0, "delta": {}, "finish_reason": finish_reason}],
        )
        events = [_event(_envelope("chat.completion.chunk") | {"choices": choice}) for choice in choices]
        return Response(b"".join([*events, b"data: [DONE]\n\n"]), media_type="text/event-stream")

    return reply


def failing(status: int) -> Reply:
    """Replies with an error status whose message repeats the prompt, as some servers do."""
    return lambda body: JSONResponse({"error": {"message": body["messages"][1]["content"]}}, status)


def sending(content: bytes, media_type: str = "application/json") -> Reply:
    """Replies with bytes that need not be the protocol."""
    return lambda _: Response(content, media_type=media_type)


def hanging(seconds: float) -> Reply:
    """Sends a first piece, then nothing for a while."""

    async def body() -> AsyncIterator[bytes]:
        yield _event(_chunk("Card disputes"))
        await asyncio.sleep(seconds)

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def pausing(before: str, seconds: float, after: str) -> Reply:
    """Streams a text that stops for a while in the middle."""

    async def body() -> AsyncIterator[bytes]:
        yield _event(_chunk(before))
        await asyncio.sleep(seconds)
        yield _event(_chunk(after))
        yield _event(_chunk(None, "stop"))
        yield b"data: [DONE]\n\n"

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def gated(before: str, gate: threading.Event, after: str) -> Reply:
    """Streams a text that stops in the middle until the gate is set."""

    async def body() -> AsyncIterator[bytes]:
        yield _event(_chunk(before))
        while not gate.is_set():
            await asyncio.sleep(0.01)
        yield _event(_chunk(after))
        yield _event(_chunk(None, "stop"))
        yield b"data: [DONE]\n\n"

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def dripping(seconds: float) -> Reply:
    """Sends something every tenth of a second that never becomes an answer."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(int(seconds * 10)):
            yield b": wait\n\n"
            await asyncio.sleep(0.1)

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def breaking_off_after(text: str) -> Reply:
    """Streams the text, then close the connection in the middle of the body."""

    async def body() -> AsyncIterator[bytes]:
        for event in _pieces(text):
            yield event
        await asyncio.sleep(0.05)
        raise ConnectionResetError

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def ending_without_reason(text: str) -> Reply:
    """Streams the text, then end the body properly but without a finish reason."""

    async def body() -> AsyncIterator[bytes]:
        for event in _pieces(text):
            yield event

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def _whole(text: str, finish_reason: str) -> Response:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return JSONResponse(_envelope("chat.completion") | {"choices": [choice], "usage": USAGE})


def _stream(text: str, finish_reason: str) -> Response:
    async def body() -> AsyncIterator[bytes]:
        for event in _pieces(text):
            yield event
        yield _event(_chunk(None, finish_reason))
        yield _event(_envelope("chat.completion.chunk") | {"choices": [], "usage": USAGE})
        yield b"data: [DONE]\n\n"

    return StreamingResponse(body(), media_type="text/event-stream")


def _pieces(text: str) -> Iterator[bytes]:
    size = max(5, len(text) // 200)
    return (_event(_chunk(text[start : start + size])) for start in range(0, len(text), size))


def _chunk(content: str | None, finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return _envelope("chat.completion.chunk") | {"choices": [choice]}


def _envelope(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_785_000_000, "model": MODEL_SERVED}


def _event(message: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(message)}\n\n".encode()
