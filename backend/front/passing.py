"""Passes requests on to the processes of other cells, where the operator lets their data pass through this one."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
from starlette.types import Receive, Scope, Send

from backend.errors import Abandoned, Unavailable
from backend.request_scope import PATIENCE_SECONDS

PASSED_ON = b"x-affidavit-passed-on"
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 300.0  # of a model, say
_OF_ONE_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer", b"transfer-encoding",
    b"upgrade", b"host", b"x-forwarded-for", b"x-forwarded-host", PASSED_ON,
})  # fmt: skip
_OF_PATHS = "/!$&'()*+,;=:@%~-._"


class Passing:
    """Connections to other cells."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Has another cell answer a request; raises Unavailable as long as nothing is answered."""
        begun = False
        body = _body(receive) if _has_body(scope) else None
        request = httpx.Request(scope["method"], _place(address, scope), headers=_headers(scope), content=body)
        try:
            answer = await self._client.send(request, stream=True)
            try:
                begun = True
                headers = [pair for pair in answer.headers.raw if pair[0].lower() not in _OF_ONE_HOP]
                await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
                async for block in answer.aiter_raw():
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        await send({"type": "http.response.body", "body": block, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                await answer.aclose()
        except (httpx.HTTPError, TimeoutError) as error:
            if begun:  # what was promised cannot be kept: the connection ends
                raise
            raise Unavailable(reason=f"cell:away:{type(error).__name__}") from error


@asynccontextmanager
async def passing(most: int) -> AsyncIterator[Passing]:
    """Opens connections to other cells, so many at once; no proxy of the environment is between."""
    async with httpx.AsyncClient(
        trust_env=False, follow_redirects=False, limits=httpx.Limits(max_connections=most),
        timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS, pool=_CONNECT_SECONDS),
    ) as client:  # fmt: skip
        yield Passing(client)


def was_passed_on(scope: Scope) -> bool:
    """Tells whether another cell has passed a request on already: it goes no further."""
    return any(name == PASSED_ON for name, _ in scope["headers"])


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Returns what the other cell is told: all but what concerned this connection alone, and from where it came."""
    peer = scope["client"][0] if scope.get("client") else "unknown"
    before = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    came = b", ".join([*before, peer.encode()])
    return [*_kept(scope["headers"]), (b"x-forwarded-for", came), (PASSED_ON, b"1")]


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _OF_ONE_HOP]


def _place(address: str, scope: Scope) -> str:
    path = quote(scope["path"].lstrip("/"), safe=_OF_PATHS)
    query = scope["query_string"].decode("latin-1")
    return f"{address.rstrip('/')}/{path}" + (f"?{query}" if query else "")


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        async with asyncio.timeout(PATIENCE_SECONDS):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise Abandoned(reason="client:gone")
        yield message.get("body", b"")
        more = message.get("more_body", False)
