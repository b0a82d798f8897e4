"""The endpoint /mcp: who calls is known before a message is read, and an origin that is not ours is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

import orjson
import structlog
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from backend.audit.events import DoorKind
from backend.audit.recorder import Recorder
from backend.errors import Abandoned, Forbidden, ServiceError, Unauthenticated, Unavailable, UnsupportedType
from backend.gateways.mcp import messages, sessions, tools
from backend.gateways.mcp.server import build
from backend.identity.callers.caller import Caller
from backend.identity.callers.denials import record_denial
from backend.identity.callers.guard import identify, origin_of
from backend.identity.callers.permissions import Permission, Role, permissions_of
from backend.identity.oauth import scopes
from backend.provided import of
from backend.retrieval.question_route import question_ahead
from backend.settings import Settings
from backend.tenancy import Tenancy

log = structlog.get_logger()

PATH = "/mcp"


class McpDoor:
    """An ASGI application for one path. Each request stands for itself: nothing is kept of a session."""

    def __init__(self) -> None:
        """A session manager runs once, so that every start of the application takes a new one."""
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves while the block runs; a mounted application gets no lifespan of its own."""
        self._manager = StreamableHTTPSessionManager(build(), json_response=True, stateless=True)
        async with self._manager.run():
            yield
        self._manager = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        # As HTTP reads them, and the server that parsed them does not (RFC 9110, section 5.5): the library compares them.
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        request = Request(scope, receive)
        scope["state"]["door"] = DoorKind.MCP
        async with question_ahead(request):
            await self._served(request, receive, send)

    async def _served(self, request: Request, receive: Receive, send: Send) -> None:
        scope = request.scope
        try:
            caller = await _caller_of(request)
            _check_scope(request, caller)
            sessions.check(request, caller)
            body = await _body_of(request)
        except ServiceError as error:
            response = await _refused(request, error)
            await response(scope, receive, send)
            return
        message = messages.read(body)
        if isinstance(message, Response):
            await message(scope, receive, send)
            return
        if message.get("method") == "initialize":
            send = sessions.beginning(request, caller, send)
        assert self._manager is not None
        request.state.departure = partial(_departure, receive)
        await self._manager.handle_request(scope, _reader_of(body), send)


async def _body_of(request: Request) -> bytes:
    """Returns the body; raises UnsupportedType unless it says that it is JSON, and Abandoned if it never comes to its end."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedType("The request body must be JSON.")
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise Abandoned from error


def _reader_of(body: bytes) -> Receive:
    """Returns a reader of the body that does not tell when the client goes: the library would cancel a tool in the middle.

    A tool that takes long watches for that itself, and its record says so.
    """
    unread = [body]

    async def read() -> Message:
        if not unread:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": unread.pop(), "more_body": False}

    return read


async def _departure(receive: Receive) -> None:
    """Returns when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _caller_of(request: Request) -> Caller:
    """Returns who calls. Refuses pages of other sites, which a browser would send here with what it may reach (DNS rebinding).

    Who calls is known before, so that the caller's own log has it; of a page without credentials there is none, as anyone
    could fill it.
    """
    try:
        caller = await identify(request)
    except Unauthenticated as error:
        if _is_of_another_site(request):
            refused = _other_origin()
            refused.actor, refused.recorded = error.actor, error.reason == "credentials:missing"
            raise refused from error
        raise
    if _is_of_another_site(request):
        raise _other_origin()
    return caller


def _is_of_another_site(request: Request) -> bool:
    origin, settings = request.headers.get("origin"), of(request, Settings)
    return origin is not None and origin.rstrip("/") != settings.public_url.rstrip("/")


def _other_origin() -> Forbidden:
    return Forbidden("This origin may not call.", reason="mcp:origin")


def _check_scope(request: Request, caller: Caller) -> None:
    """Raises Forbidden for a tool that the caller could use, but did not let its client use; the client can then ask for it.

    Which tool it is stands in headers, which the protocol compares with the message.
    """
    tool = (
        tools.BY_NAME.get(request.headers.get("mcp-name", ""))
        if request.headers.get("mcp-method") == "tools/call"
        else None
    )
    if tool is None or tool.permission in caller.permissions:
        return
    if tool.permission in permissions_of(map(Role, caller.roles)):
        error = Forbidden(f"This program was not allowed {tool.permission}.", reason=f"scope:{tool.permission}")
        error.headers["WWW-Authenticate"] = _challenge(request, tool.permission, error="insufficient_scope")
        raise error


def _challenge(request: Request, *scope: Permission, error: str | None = None) -> str:
    """Returns what tells a client where to get a token, and for what (RFC 9728, section 5.1)."""
    metadata = f"{of(request, Settings).public_url}/.well-known/oauth-protected-resource{PATH}"
    reason = f'error="{error}", ' if error else ""
    return f'Bearer {reason}resource_metadata="{metadata}", scope="{scopes.spelled(scope or scopes.OFFERED)}"'


async def _refused(request: Request, error: ServiceError) -> Response:
    try:
        await record_denial(
            of(request, Tenancy), of(request, Recorder), error, request.state.caller, origin_of(request), PATH
        )
    except Unavailable as unrecorded:
        error = unrecorded
    log.info("refused", code=error.code, reason=error.reason)
    if error.status == HTTPStatus.UNAUTHORIZED:
        error.headers["WWW-Authenticate"] = _challenge(request)
    body = {"error": error.code, "detail": error.detail, "request_id": request.state.request_id}
    return Response(orjson.dumps(body), error.status, error.headers, "application/json")
