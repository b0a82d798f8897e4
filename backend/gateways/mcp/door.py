"""The endpoint /mcp: who calls is known before a message is read, and an origin that is not ours is refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import structlog
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend.audit.recorder import Recorder
from backend.errors import Forbidden, ServiceError, Unavailable
from backend.gateways.mcp.server import build
from backend.identity.callers.denials import record_denial
from backend.identity.callers.guard import identify, origin_of
from backend.provided import of
from backend.settings import Settings
from backend.tenancy import Tenancy

log = structlog.get_logger()

PATH = "/mcp"


class McpDoor:
    """An ASGI application for one path. Each request stands for itself: there are no sessions to steal or to lose."""

    door = "mcp"

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
        request = Request(scope, receive)
        scope["state"]["door"] = self.door
        try:
            _check_origin(request)
            await identify(request)
        except ServiceError as error:
            response = await _refused(request, error)
            await response(scope, receive, send)
            return
        assert self._manager is not None
        await self._manager.handle_request(scope, receive, send)


def _check_origin(request: Request) -> None:
    """Refuses pages of other sites, which a browser would send here with what it may reach (DNS rebinding)."""
    origin, settings = request.headers.get("origin"), of(request, Settings)
    if origin is not None and origin.rstrip("/") != settings.public_url.rstrip("/"):
        raise Forbidden("This origin may not call.", reason="mcp:origin")


async def _refused(request: Request, error: ServiceError) -> Response:
    try:
        await record_denial(
            of(request, Tenancy), of(request, Recorder), error, request.state.caller, origin_of(request), PATH
        )
    except Unavailable as unrecorded:
        error = unrecorded
    log.info("refused", code=error.code, reason=error.reason)
    body = {"error": error.code, "detail": error.detail, "request_id": request.state.request_id}
    return Response(orjson.dumps(body), error.status, error.headers, "application/json")
