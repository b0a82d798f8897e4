"""Which pages of other origins may call, tenant by tenant (CORS); without a setting, none.

A preflight says nothing of who will call, so it is answered for an origin that any tenant names. The answer to the request
itself can be read by a page only if the caller's own tenant names its origin. Cookies never count: there is no
Access-Control-Allow-Credentials, and some front doors are not for other origins at all.
"""

import re
from collections.abc import Mapping, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_EXPOSED = "x-request-id, x-audit-event-id, x-affidavit-refused, x-affidavit-ignored, retry-after"
_NAMES = re.compile(r"[A-Za-z0-9-]+( *, *[A-Za-z0-9-]+){0,40}")
_REMEMBERED_SECONDS = "600"


class CrossOrigin:
    """ASGI middleware that answers preflight requests and adds CORS headers. It needs the request scope to learn who called."""

    def __init__(self, app: ASGIApp, *, origins: Mapping[str, Sequence[str]], closed: Sequence[str]) -> None:
        """`origins` are those of each tenant, by its slug; what is below the paths `closed` is for none of them."""
        self._app = app
        self._closed = tuple(closed)
        self._of_tenant = {slug: frozenset(named) for slug, named in origins.items()}
        self._of_any = frozenset().union(*self._of_tenant.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or scope["path"].startswith(self._closed):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin not in self._of_any:
            await self._app(scope, receive, send)
            return
        assert origin is not None
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(origin, headers)(scope, receive, send)
            return

        async def readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                response = MutableHeaders(scope=message)
                response.add_vary_header("Origin")
                if self._may_read(scope, origin):
                    response["Access-Control-Allow-Origin"] = origin
                    response["Access-Control-Expose-Headers"] = _EXPOSED
            await send(message)

        await self._app(scope, receive, readable)

    def _may_read(self, scope: Scope, origin: str) -> bool:
        """Tells whether a page may read the answer: whoever is not known yet has been told nothing of a tenant."""
        caller = scope["state"]["caller"]
        return caller is None or origin in self._of_tenant.get(caller.tenant_slug, ())


def _preflight(origin: str, headers: Headers) -> Response:
    asked = headers.get("access-control-request-headers", "")
    allowed = {
        "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Methods": _METHODS, "Vary": "Origin",
        "Access-Control-Max-Age": _REMEMBERED_SECONDS,
    }  # fmt: skip
    if _NAMES.fullmatch(asked):
        allowed["Access-Control-Allow-Headers"] = asked
    return Response(status_code=204, headers=allowed)
