"""How the service listens and ends: its options, no patience with half-sent requests, and processes that are looked after."""

import asyncio
import gc
import resource
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import Any

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from backend import metrics
from backend.stopping import end_at_hang_up

log = structlog.get_logger()

draining = threading.Event()
"""Set once this process was asked to end: /ready says so first, and requests are still answered for a while."""

HEAD_SECONDS = 10  # in which a request line and its headers must have come
START_SECONDS = 300.0  # in which a process must answer for the first time
LAST_REQUESTS_SECONDS = 0.3  # in which a connection that was accepted last sends its request
HUNG_SECONDS = 60.0  # in which it must answer later; one that is busy for long is not dead
TURN_SECONDS = 0.0005  # that a thread computes in Python before another has its turn; Python's own is ten times that
MAX_CONNECTIONS = 2_000  # of one process; more are answered 503
OTHER_FILES = 200  # that a process may have open beside connections of clients: of databases, of other servers, models


class OnePiece:
    """A connection that sends the head of an answer together with what follows it in the same turn of the loop.

    uvicorn writes head and body one after the other, and each would be a call of the system and a segment of its own.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._transport, name)

    def write(self, sent: bytes) -> None:
        """Sends, or keeps a head until its body comes; a stream's, which comes later, does not wait for it."""
        if self._head:
            sent, self._head = b"".join((self._head, sent)), b""
        elif sent.startswith(b"HTTP/1.1 ") and sent.endswith(b"\r\n\r\n"):
            self._head = sent
            self._loop.call_soon(self._send_head)
            return
        self._transport.write(sent)

    def close(self) -> None:
        """Closes once all is sent."""
        self._send_head()
        self._transport.close()

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)


class ImpatientProtocol(HttpToolsProtocol):
    """Closes connections on which a request does not arrive; uvicorn itself waits for ever."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(OnePiece(transport, self.loop))  # type: ignore[arg-type]
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


def most_connections() -> int:
    """Returns how many connections fit into what the system lets this process open; beyond that it could not even say so.

    It asks for as many files as it needs. A quarter is left for clients where there are too few for anything else.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MAX_CONNECTIONS + OTHER_FILES
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < needed:
        soft = needed if hard == unlimited else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == unlimited or soft >= needed:
        return MAX_CONNECTIONS
    connections = max(soft // 4, soft - OTHER_FILES)
    log.warning("few files may be open: raise `ulimit -n`", files=soft, wanted=needed, connections=connections)
    return connections


def refuse_taken(host: str, port: int) -> None:
    """Raises OSError, which names the port, when nobody could listen there: before all that the service loads."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind(address)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"port {port} of {host}") from None


def options() -> dict[str, Any]:
    """Returns the options of uvicorn that do not depend on where it listens.

    Forwarding headers are believed by the service itself, and only from its trusted proxies: uvicorn's default would believe
    them from loopback, whatever the settings say.
    """
    return {
        "loop": "uvloop", "http": ImpatientProtocol, "proxy_headers": False, "log_config": None, "access_log": False,
        "server_header": False, "limit_concurrency": most_connections(), "timeout_graceful_shutdown": 30,
    }  # fmt: skip


class SettledServer(uvicorn.Server):
    """Serves once neither the collector of garbage nor threads that compute keep the loop waiting for long."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts and serves. While the application loads there is no garbage, and looking for some takes a fifth of the time."""
        gc.disable()
        try:
            await super().serve(sockets)
        finally:
            gc.enable()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen.

        Half a million objects of routes, models and libraries live as long as the process. A full collection that looked at
        them would stop the loop for a third of a second, and a busy process has one every few seconds; so none ever does. Of
        what is garbage already, one in seventy, nobody looks for it. Threads check sentences of answers, in Python: whenever
        the loop has waited for a socket, each of them may keep it from going on for a turn.
        """
        sys.setswitchinterval(TURN_SECONDS)
        await super().startup(sockets)
        gc.freeze()
        gc.enable()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends without cutting off a request that was on its way.

        uvicorn closes what it has accepted and not yet read. So nothing more is accepted first, and what was may still ask.
        """
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        if not self.force_exit:
            await asyncio.sleep(LAST_REQUESTS_SECONDS)
        await super().shutdown(sockets)


class DrainingServer(SettledServer):
    """Goes on serving for some seconds after SIGTERM, in which whoever balances the load hears that it is not ready."""

    def __init__(self, config: uvicorn.Config, drain_seconds: float) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._ends_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to drain at the first SIGTERM, and ends at any other signal or a second one."""
        if sig == signal.SIGTERM and not draining.is_set() and self._drain_seconds:
            draining.set()
            self._captured_signals.append(sig)
            self._ends_at = time.monotonic() + self._drain_seconds
            return
        draining.set()
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Tells uvicorn, which asks ten times a second, whether to end."""
        return await super().on_tick(counter) or (self._ends_at is not None and time.monotonic() >= self._ends_at)


class _Worker(Process):
    """A process of several that serve."""

    def __init__(self, config: uvicorn.Config, sockets: list[Any], drain_seconds: float) -> None:
        self._drain_seconds = drain_seconds
        self._asked_at: float | None = None
        self._patience: float = START_SECONDS
        super().__init__(config, sockets)

    @property
    def server(self) -> uvicorn.Server:
        """The server of this process."""
        if self._server is None:
            self._server = DrainingServer(self.config, self._drain_seconds)
        return self._server

    def target(self, sockets: list[Any] | None = None) -> None:
        """Serves, and answers its parent from a thread.

        The server is made before that thread asks for it: of two that were made at once the thread could know the one that
        never starts, and the parent would wait for it in vain.
        """
        assert self.server
        super().target(sockets)

    def hangs(self) -> bool:
        """Tells whether it has not answered for long; asks it again, and does not wait for its answer."""
        while self.parent_conn.poll():
            self.parent_conn.recv()
            self._asked_at, self._patience = None, HUNG_SECONDS
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self.parent_conn.send(b"ping")
        return time.monotonic() - self._asked_at > self._patience


class Supervisor(Multiprocess):
    """Keeps processes running and says why it starts one anew; SIGHUP replaces them one after the other."""

    processes: list[Process]

    def __init__(self, config: uvicorn.Config, sockets: list[Any], drain_seconds: float) -> None:
        super().__init__(config, sockets)
        self._drain_seconds = drain_seconds
        self.failed = False

    def handle_ttin(self) -> None:
        """Changes nothing: there are as many processes as were asked for."""

    handle_ttou = handle_ttin

    def init_processes(self) -> None:
        """Starts all processes."""
        self.processes = [self._start() for _ in range(self.processes_num)]

    def keep_subprocess_alive(self) -> None:
        """Replaces what has ended or hangs; a process that cannot even start ends the service."""
        for place, process in enumerate(self.processes):
            ended = not process.process.is_alive()
            hangs = not ended and isinstance(process, _Worker) and process.hangs()
            if not ended and not hangs:
                continue
            process.kill()
            process.join()
            self._forget(process)
            if process.exitcode == STARTUP_FAILURE:
                log.error("worker could not start", pid=process.pid)
                self.failed = True
                self.should_exit.set()
                return
            log.warning("worker replaced", pid=process.pid, exit_code=process.exitcode, hung=hangs)
            self.processes[place] = self._start()

    def restart_all(self) -> None:
        """Replaces every process, each once its successor serves: for new keys and certificates."""
        for place, old in enumerate(self.processes):
            new = self._start()
            if not new.wait_until_ready(START_SECONDS, self.should_exit):
                log.error("worker not replaced: its successor did not start", pid=old.pid)
                new.kill()
                new.join()
                return
            old.terminate()
            old.join()
            self._forget(old)
            self.processes[place] = new
        log.info("all workers replaced")

    def _start(self) -> Process:
        process = _Worker(self.config, self.sockets, self._drain_seconds)
        process.start()
        return process

    @staticmethod
    def _forget(process: Process) -> None:
        if process.pid is not None:
            metrics.forget_process(process.pid)


def run(app: str, *, host: str, port: int, workers: int, drain_seconds: float) -> None:
    """Serves what a factory makes, in this process or in several others, until asked to end."""
    config = uvicorn.Config(app, factory=True, host=host, port=port, workers=workers, **options())
    if workers == 1:
        end_at_hang_up()
        DrainingServer(config, drain_seconds).run()
    else:
        supervisor = Supervisor(config, [config.bind_socket()], drain_seconds)
        supervisor.run()
        if supervisor.failed:
            sys.exit(STARTUP_FAILURE)
