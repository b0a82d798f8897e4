"""The gate in front of every route: it reads who calls, without the database, and lets requests in as `admission` says."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from uuid import UUID

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.errors import ServiceError
from backend.identity.callers.admission import Admission, LaneName, Party
from backend.identity.callers.guard import origin_of
from backend.identity.keys import api_keys
from backend.identity.sign_in.tokens import AccessTokens, InvalidToken
from backend.provided import of

_REMEMBERED_KEYS = 10_000
_EXEMPT = ("/health", "/ready", "/docs", "/openapi.json", "/.well-known/")
_LANES = (
    ("/auth/token", LaneName.SIGN_IN), ("/auth/oidc/", LaneName.SIGN_IN), ("/oauth/", LaneName.SIGN_IN),
    ("/audit/stream", LaneName.STREAM), ("/jobs/", LaneName.STREAM),
)  # fmt: skip
_ANSWERING = ("/answer", "/v1/chat/completions", "/v1/responses", "/mcp")

Refuse = Callable[[Request, ServiceError], Awaitable[ASGIApp]]


class Gate:
    """ASGI middleware. What it refuses costs neither a connection nor a record of its own; it is counted and logged."""

    def __init__(self, app: ASGIApp, *, refuse: Refuse, with_model: bool) -> None:
        """`refuse` makes the response to an error; `with_model` says that answers wait for a model server."""
        self._app = app
        self._refuse = refuse
        self._with_model = with_model
        self._keys: OrderedDict[bytes, Party] = OrderedDict()  # of credentials that were found good, by their digests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, now, later, or not."""
        if scope["type"] != "http" or scope["path"].startswith(_EXEMPT):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        lane = of(request, Admission).lanes[self._lane_of(scope)]
        try:
            async with lane.admitted(self._party(request)):
                await self._app(scope, receive, send)
        except ServiceError as error:
            response = await self._refuse(request, error)
            await response(scope, receive, send)
        self._remember(request)

    def _lane_of(self, scope: Scope) -> LaneName:
        path: str = scope["path"]
        for prefix, lane in _LANES:
            if path.startswith(prefix) and (lane is not LaneName.STREAM or path.endswith(("/events", "/stream"))):
                return lane
        if self._with_model and path in _ANSWERING:
            return LaneName.MODEL
        if path.endswith("/file") or (scope["method"] == "POST" and path in {"/documents", "/v1/files"}):
            return LaneName.TRANSFER
        return LaneName.SHORT

    def _party(self, request: Request) -> Party:
        """Returns whose turn it takes: the tenant's only if the credential proves it, or anybody could fill its queue."""
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and credential:
            if api_keys.looks_like_api_key(credential):
                return self._of_key(credential) or self._stranger(request)
            try:
                access = of(request, AccessTokens).verify(credential)
            except InvalidToken:
                return self._stranger(request)
            request.state.access = access
            return Party(str(access.tenant_id), str(access.subject))
        return self._stranger(request)

    def _of_key(self, credential: str) -> Party | None:
        try:
            digest = api_keys.parse(credential).digest
        except api_keys.MalformedKey:
            return None
        party = self._keys.get(digest)
        if party is not None:
            self._keys.move_to_end(digest)
        return party

    def _stranger(self, request: Request) -> Party:
        address = origin_of(request).source_address or "unknown"
        return Party(f"address:{address}", address)

    def _remember(self, request: Request) -> None:
        """Keeps whose a key is that was found good, for the turn of its next request; never for what it may do."""
        caller = request.state.caller
        if caller is None or caller.kind != "key":
            return
        credential = request.headers["authorization"].partition(" ")[2]
        if api_keys.looks_like_api_key(credential) and isinstance(caller.principal_id, UUID):
            digest = api_keys.parse(credential).digest
            self._keys[digest] = Party(str(caller.tenant_id), str(caller.principal_id))
            self._keys.move_to_end(digest)
            while len(self._keys) > _REMEMBERED_KEYS:
                self._keys.popitem(last=False)
