"""Session ids, which clients of the versions before 2026-07-28 want for several streams at once.

Nothing is kept of a session: its id is a sealed name of who began it, so that every process knows it and nobody else can use it.
"""

from datetime import timedelta

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import Message, Send

from backend.errors import NotFound, Unauthenticated
from backend.identity.callers.caller import Caller
from backend.identity.sign_in.seal import Seal
from backend.provided import of
from backend.settings import Settings, payload_keys

HEADER = "Mcp-Session-Id"
LIFETIME = timedelta(days=1)


def beginning(request: Request, caller: Caller, send: Send) -> Send:
    """Returns what sends the answer to `initialize`, with the id of a new session among its headers."""
    session_id = _seal(request).close(_name(caller))

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[HEADER] = session_id
        await send(message)

    return sending


def check(request: Request, caller: Caller) -> None:
    """Raises NotFound, on which a client begins anew, for an id of somebody else, of yesterday, or of nobody."""
    if (session_id := request.headers.get(HEADER)) is None:
        return
    try:
        name = _seal(request).open(session_id, max_age=int(LIFETIME.total_seconds()))
    except Unauthenticated:
        name = b""
    if name != _name(caller):
        raise NotFound("There is no such session. Begin a new one with `initialize`.", reason="mcp:session")


def _seal(request: Request) -> Seal:
    return Seal("session of agents", *payload_keys(of(request, Settings)))


def _name(caller: Caller) -> bytes:
    return f"{caller.tenant_id} {caller.principal_id}".encode()
