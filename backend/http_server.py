"""How the service listens: one set of options for every command that serves, and no patience with half-sent requests."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10  # in which a request line and its headers must have come
MAX_CONNECTIONS = 2_000  # of one process; more are answered 503


class ImpatientProtocol(HttpToolsProtocol):
    """Closes connections on which a request does not arrive; uvicorn itself waits for ever."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._expect_head()

    def on_message_begin(self) -> None:
        """Begins to wait for the headers of a request whose first byte has come."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Stops waiting: the body is waited for where it is read."""
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._stop_waiting()
        self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def options() -> dict[str, Any]:
    """Returns the options of uvicorn that do not depend on where it listens.

    Forwarding headers are believed by the service itself, and only from its trusted proxies: uvicorn's default would believe
    them from loopback, whatever the settings say. A worker that is busy for long is not dead, so the supervisor is patient.
    """
    return {
        "loop": "uvloop", "http": ImpatientProtocol, "proxy_headers": False, "log_config": None, "access_log": False,
        "server_header": False, "limit_concurrency": MAX_CONNECTIONS, "timeout_graceful_shutdown": 30,
        "timeout_worker_healthcheck": 60,
    }  # fmt: skip
