"""The gate in front of every route: it reads who calls, without the database, and lets requests in as `admission` says."""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from uuid import UUID

from anyio import CancelScope
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import Abandoned, ServiceError
from backend.identity.bearer_secrets import MalformedSecret
from backend.identity.callers.admission import Admission, LaneName, Party
from backend.identity.callers.guard import origin_of
from backend.identity.callers.refusals import Refusals
from backend.identity.keys import api_keys
from backend.identity.provisioning import bearers
from backend.identity.sign_in.tokens import AccessTokens, InvalidToken
from backend.precedence import PresentRequest
from backend.provided import of
from backend.request_scope import Refuse

_REMEMBERED_KEYS = 10_000
_EXEMPT = ("/health", "/ready", "/docs", "/openapi.json", "/.well-known/")
_LANES = {  # of paths, and of all below those that end in a slash
    "/auth/token": LaneName.SIGN_IN, "/auth/oidc/": LaneName.SIGN_IN, "/audit/stream": LaneName.STREAM,
    "/jobs/": LaneName.STREAM, "/answer": LaneName.MODEL, "/documents": LaneName.TRANSFER,
}  # fmt: skip
TOLD_AFTER_SECONDS = 0.04  # or a client that asks again at once would keep the process busy with refusing
_SHORT_BYTES = 2_000  # of a body: what is longer costs several ordinary questions, be it a question or passages


class Gate:
    """ASGI middleware. What it refuses costs neither a connection nor a record of its own; it is logged, a flood as a sum."""

    def __init__(self, app: ASGIApp, *, refuse: Refuse, with_model: bool, lanes: Mapping[str, LaneName]) -> None:
        """`refuse` makes the response to an error; `with_model` says that answers wait for a model server.

        `lanes` are those of front doors, by paths.
        """
        self._app = app
        self._lanes = {**_LANES, **lanes}
        self._refuse = refuse
        self._with_model = with_model
        self._refusals = Refusals()
        self._keys: OrderedDict[bytes, Party] = OrderedDict()  # of credentials that were found good, by their digests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, now, later, or not."""
        if scope["type"] != "http" or scope["path"].startswith(_EXEMPT):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        admission = of(request, Admission)
        lane = admission.lanes[self._lane_of(scope)]
        party = self._party(request)
        request.state.proven = party.known
        try:
            with admission.precedence.present(party.tenant, known=party.known) as asking:
                async with lane.admitted(party) as waited, AsyncExitStack() as opening:
                    receive = await _unless_gone(receive) if waited else receive
                    if lane.name is LaneName.STREAM:
                        await opening.enter_async_context(admission.lanes[LaneName.SHORT].admitted(party))
                        send = _telling_when_open(send, opening, asking)
                    await self._app(scope, receive, send)
        except ServiceError as error:
            request.state.logged = self._refusals.is_first(party, error)
            response = await self._refuse(request, error)
            await asyncio.sleep(TOLD_AFTER_SECONDS)
            await response(scope, receive, send)
        self._remember(request)

    def _lane_of(self, scope: Scope) -> LaneName:
        path: str = scope["path"]
        for place, lane in self._lanes.items():
            if (path == place or (place[-1] == "/" and path.startswith(place))) and self._is_for(lane, scope):
                return lane
        if path.endswith("/file"):
            return LaneName.TRANSFER
        return LaneName.BULK if _is_long(scope) else LaneName.SHORT

    def _is_for(self, lane: LaneName, scope: Scope) -> bool:
        """Tells whether a request is what the lane of its path is for."""
        if lane is LaneName.STREAM:
            return str(scope["path"]).endswith(("/events", "/stream"))
        if lane is LaneName.MODEL:
            return self._with_model
        return lane is not LaneName.TRANSFER or scope["method"] == "POST"

    def _party(self, request: Request) -> Party:
        """Returns whose turn it takes: the tenant's only if the credential proves it, or anybody could fill its queue."""
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and credential:
            if _is_opaque(credential):
                return self._of_key(credential) or self._stranger(request)
            try:
                access = of(request, AccessTokens).verify(credential)
            except InvalidToken:
                return self._stranger(request)
            request.state.access = access
            return Party(str(access.tenant_id), str(access.subject))
        return self._stranger(request)

    def _of_key(self, credential: str) -> Party | None:
        digest = _digest(credential)
        party = self._keys.get(digest) if digest else None
        if digest and party:
            self._keys.move_to_end(digest)
        return party

    def _stranger(self, request: Request) -> Party:
        address = origin_of(request).source_address or "unknown"
        return Party(f"address:{network_of(address)}", address, known=False)

    def _remember(self, request: Request) -> None:
        """Keeps whose a key is that was found good, for the turn of its next request; never for what it may do."""
        caller = request.state.caller
        if caller is None or caller.kind not in {"key", "issuer"}:
            return
        credential = request.headers["authorization"].partition(" ")[2]
        digest = _digest(credential) if _is_opaque(credential) else None
        if digest and isinstance(caller.principal_id, UUID):
            self._keys[digest] = Party(str(caller.tenant_id), str(caller.principal_id))
            self._keys.move_to_end(digest)
            while len(self._keys) > _REMEMBERED_KEYS:
                self._keys.popitem(last=False)


def _telling_when_open(send: Send, opening: AsyncExitStack, asking: PresentRequest) -> Send:
    """Returns what sends a stream, which until its answer begins is a request like others, and takes its turn among them."""

    async def opened_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            await opening.aclose()
            asking.stays_open()
        await send(message)

    return opened_send


async def _unless_gone(receive: Receive) -> Receive:
    """Returns what reads a request whose turn has come; raises Abandoned when its client went away while it waited.

    It takes what has arrived and waits for nothing: a client that sends its body late does not hold a turn before it is known.
    """
    arrived: list[Message] = []
    with CancelScope() as at_once:
        at_once.cancel()
        arrived.append(await receive())
    if arrived and arrived[0]["type"] == "http.disconnect":
        raise Abandoned(reason="client:gone")

    async def receive_again() -> Message:
        return arrived.pop() if arrived else await receive()

    return receive_again


def _is_opaque(credential: str) -> bool:
    """Tells whether only the database knows whose a credential is."""
    return api_keys.looks_like_api_key(credential) or bearers.looks_like_bearer(credential)


def _digest(credential: str) -> bytes | None:
    """Returns under which digest an opaque credential is known; None for one that was never minted."""
    parse = api_keys.parse if api_keys.looks_like_api_key(credential) else bearers.parse
    try:
        return parse(credential).digest
    except MalformedSecret:
        return None


def _is_long(scope: Scope) -> bool:
    """Tells whether the body of a request is long, or of unknown length."""
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"0")
    return b"transfer-encoding" in headers or not declared.isdigit() or int(declared) > _SHORT_BYTES


def network_of(address: str) -> str:
    """Returns what one party has of addresses: of the sixth version, a whole network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
