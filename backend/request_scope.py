"""What surrounds every request: its id, a bound on its body, a log line, and an answer whatever happens."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from email.message import Message as Headers

import structlog
from fastapi import Request, params
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from opentelemetry.trace import Span
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from backend import metrics, provided, tracing
from backend.errors import ServiceError, TooLarge, TooSlow, UnsupportedType
from backend.hand_over import is_handed_over

log = structlog.get_logger()

Refuse = Callable[[Request, ServiceError], Awaitable[ASGIApp]]
"""Makes the response to an error, in the shape of the door that the request came by."""

PATIENCE_SECONDS = 30  # for each piece of a body to come, and each piece of a response to be taken


class RequestScope:
    """Outermost layer of the service. Plain ASGI: Starlette's function middleware costs a task and a queue a request."""

    def __init__(
        self, app: ASGIApp, *, refuse: Refuse, body_limit: int, larger: Mapping[tuple[str, str], int] | None = None
    ) -> None:
        """Refuses bodies of more than `body_limit` bytes; `larger` has the limits of routes that stream theirs."""
        self._app = app
        self._refuse = refuse
        self._body_limit = body_limit
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid7())
        scope.setdefault("state", {}).update(request_id=request_id, caller=None, access=None, proven=False, logged=True)
        provided.attach(scope)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with tracing.request(scope) as span:
            await self._serve(scope, receive, send, request_id, span)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str, span: Span) -> None:
        started, status = time.perf_counter(), 0

        async def identified_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*_own_kept(message["headers"]), (b"x-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            async with asyncio.timeout(PATIENCE_SECONDS):  # a client that reads nothing holds what others wait for
                await send(message)

        limit = self._larger.get((scope["method"], scope["path"]), self._body_limit)
        try:
            # Content-Length is only a hint: it spares reading what would be refused.
            declared = dict(scope["headers"]).get(b"content-length", b"0")
            if not declared.isdigit() or int(declared) > limit:
                await self._answer(scope, identified_send, _too_large(limit))
            else:
                await self._app(scope, _bounded(receive, limit), identified_send)
        except (TooLarge, TooSlow) as error:
            if not status:
                await self._answer(scope, identified_send, error)
        except Exception:
            log.exception("request failed", route=route_of(scope))
            if not status:
                await self._answer(scope, identified_send, ServiceError())
        finally:
            _ended(scope, status, time.perf_counter() - started, request_id, span)

    async def _answer(self, scope: Scope, send: Send, error: ServiceError) -> None:
        """Answers with an error that no route saw. The connection ends, since of the body may be left what nobody reads."""
        error.headers["Connection"] = "close"
        try:
            response = await self._refuse(Request(scope), error)
        except Exception:  # what broke the request can break the page that would say so
            log.exception("error not shown", route=route_of(scope))
            body = {"error": error.code, "detail": error.detail, "request_id": scope["state"]["request_id"]}
            response = JSONResponse(body, error.status, error.headers)
        await response(scope, _nothing_more, send)


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


def _ended(scope: Scope, status: int, seconds: float, request_id: str, span: Span) -> None:
    """Counts and logs a request, and forgets it: whoever served it in this task goes on to other things."""
    route = route_of(scope)
    if is_handed_over(scope):
        structlog.contextvars.clear_contextvars()
        return
    tracing.answered(span, scope["method"], route, status, request_id)
    metrics.answered(scope["method"], route, status, seconds, request_id)
    if scope["state"]["logged"]:
        log.info("request", method=scope["method"], route=route, status=status, milliseconds=round(seconds * 1000, 1))
    structlog.contextvars.clear_contextvars()


# What a browser, or a proxy on the way, keeps of an answer: nothing, and it takes none for another type than it is.
_EVERYWHERE = {b"cache-control": b"no-store", b"x-content-type-options": b"nosniff"}


def _own_kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Returns the headers of an answer with those that all have, in place of its own."""
    return [*((name, value) for name, value in headers if name.lower() not in _EVERYWHERE), *_EVERYWHERE.items()]


def _bounded(receive: Receive, limit: int) -> Receive:
    """Returns a reader of the body that raises TooLarge as soon as it has read too much, and TooSlow when nothing comes."""
    received, complete = 0, False

    async def bounded_receive() -> Message:
        nonlocal received, complete
        if complete:  # what comes now is that the client goes, whenever that is
            return await receive()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                message = await receive()
        except TimeoutError:
            raise TooSlow from None
        received += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if received > limit:
            raise _too_large(limit)
        return message

    return bounded_receive


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is larger than {limit} bytes.")


async def supported_body(request: Request) -> None:
    """Refuses a body of a type that the route does not take; raises UnsupportedType."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or route.body_field is None or not _has_body(request):
        return
    declared = Headers()
    declared["content-type"] = request.headers.get("content-type", "")
    if isinstance(route.body_field.field_info, params.Form):
        supported = declared.get_content_type() in {"application/x-www-form-urlencoded", "multipart/form-data"}
    else:
        subtype = declared.get_content_subtype()
        supported = declared.get_content_maintype() == "application" and (
            subtype == "json" or subtype.endswith("+json")
        )
    if not supported:
        raise UnsupportedType


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def route_of(scope: Scope) -> str:
    """Returns the route's template; the path itself can hold what somebody typed."""
    return getattr(scope.get("route"), "path_format", "unknown")
