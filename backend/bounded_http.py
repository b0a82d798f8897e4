"""An HTTP client for servers that are not trusted: what one of them sends ends at a bound, whatever it says or hides."""

from collections.abc import AsyncIterator

import httpx2

from backend import tracing
from backend.tls import shared

MAX_BYTES = 8 * 1024 * 1024
"""Of one response; a streamed answer of some thousand tokens is a tenth of it."""

MISREAD = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError, MemoryError)
"""What reading an answer raises whose shape is not the agreed one: other types, numbers without end, brackets without end."""


def bounded_client(timeout: float) -> httpx2.AsyncClient:
    """Returns a client that reads no more than MAX_BYTES of a response, and follows no redirect; `timeout` in seconds."""
    return httpx2.AsyncClient(
        timeout=timeout,
        verify=shared(httpx2.create_ssl_context),
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},  # a few compressed bytes can become a great many
        event_hooks={"request": [tracing.tell], "response": [_bound]},
    )


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for piece in self._stream:
            received += len(piece)
            if received > MAX_BYTES:
                message = "the response is too large"
                raise httpx2.RemoteProtocolError(message)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        message = "the response is compressed, which was not asked for"
        raise httpx2.RemoteProtocolError(message)
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)
