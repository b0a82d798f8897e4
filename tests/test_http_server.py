"""What serves is stopped neither by the collection of garbage nor by threads that compute."""

import asyncio
import gc
import socket
import struct
import sys
import threading
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import cast

import pytest
import uvicorn
import uvloop

from backend import http_server
from backend.app import create_prepared_app
from backend.command_output import CommandResult
from backend.demo.run import _GreetingServer

pytestmark = pytest.mark.anyio

FEW, MANY = 20_000, 100_000  # objects that a full collection looks at
_DATA_SEGMENTS_IN = 152  # where `struct tcp_info` of <linux/tcp.h> has tcpi_data_segs_in


@pytest.fixture
async def started() -> AsyncIterator[uvicorn.Server]:
    """A server of the whole application, without its database."""
    options, before = http_server.options() | {"loop": "none"}, sys.getswitchinterval()
    server = http_server.DrainingServer(uvicorn.Config(create_prepared_app(), port=0, lifespan="off", **options), 0.0)
    config = server.config
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server
    await server.shutdown()
    gc.unfreeze()
    sys.setswitchinterval(before)


async def test_what_lives_as_long_as_the_process_is_not_looked_at_for_garbage(started: uvicorn.Server) -> None:
    assert len(gc.get_objects()) < FEW
    gc.unfreeze()
    assert len(gc.get_objects()) > MANY, "there is nothing that a collection would have to look at"


@pytest.mark.usefixtures("started")
async def test_the_loop_has_its_turn_soon_while_threads_compute() -> None:
    assert sys.getswitchinterval() == pytest.approx(http_server.TURN_SECONDS)


def test_every_server_of_ours_begins_so() -> None:
    assert issubclass(_GreetingServer, http_server.SettledServer)
    assert issubclass(http_server.DrainingServer, http_server.SettledServer)


async def test_who_was_accepted_just_before_the_end_is_still_answered(started: uvicorn.Server) -> None:
    port = started.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not started.server_state.connections:
        await asyncio.sleep(0)
    ending = asyncio.create_task(started.shutdown())
    await asyncio.sleep(0)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await ending
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.skipif(sys.platform != "linux", reason="counts segments as Linux tells of them")
@pytest.mark.parametrize("path", ["/health", "/no-such-place"])
@pytest.mark.parametrize("served", ["serve", "demo"])
def test_an_answer_travels_in_one_piece(served: str, path: str) -> None:
    """Head and body in two would wait for each other on a slow line, or cost two calls of the system on a fast one."""
    app, options = create_prepared_app(), http_server.options() | {"lifespan": "off"}
    server: uvicorn.Server
    if served == "serve":
        server = http_server.DrainingServer(uvicorn.Config(app, **options), 0.0)
    else:
        server = _GreetingServer(app, CommandResult({}, []))
        server.config.lifespan = "off"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=lambda: uvloop.run(server.serve([listener])))
        serving.start()
        try:
            with socket.create_connection(listener.getsockname(), timeout=30) as client:
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                answer = b"".join(iter(lambda: client.recv(65_536), b""))
                told = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        finally:
            server.should_exit = True
            serving.join()
            gc.unfreeze()
    assert answer.endswith(b"}")
    (segments,) = struct.unpack_from("<I", told, _DATA_SEGMENTS_IN)
    assert segments == 1


def test_the_thread_that_answers_the_parent_knows_the_server_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However soon it is asked: else a successor never seems ready, and the process that it is to replace stays."""
    known: list[uvicorn.Server | None] = []

    class AskedAtOnce(http_server._Worker):
        def always_pong(self) -> None:
            known.append(self._server)
            self.server.should_exit = True

    class AtOnce:
        def __init__(self, target: Callable[[], None], *, daemon: bool) -> None:
            self.start = target
            assert daemon

    monkeypatch.setattr("uvicorn.supervisors.multiprocess.threading", SimpleNamespace(Thread=AtOnce))
    config = uvicorn.Config(
        create_prepared_app(), port=0, lifespan="off", **http_server.options() | {"loop": "asyncio"}
    )
    worker = AskedAtOnce(config, [], 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker.target([listener])
    gc.unfreeze()
    assert known == [worker._server]


class _Written:
    """Where a connection's bytes go, one entry for each write."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, sent: bytes) -> None:
        self.sent.append(sent)

    def close(self) -> None:
        self.closed = True


async def test_the_head_of_a_stream_does_not_wait_for_what_comes_later() -> None:
    line, head = _Written(), b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    sending = http_server.OnePiece(cast("asyncio.Transport", line), asyncio.get_running_loop())
    sending.write(head)
    await asyncio.sleep(0)
    assert line.sent == [head]
    sending.write(b"5\r\nfirst\r\n")
    sending.write(b"5\r\nsecon\r\n")
    assert line.sent[1:] == [b"5\r\nfirst\r\n", b"5\r\nsecon\r\n"]


async def test_a_head_without_a_body_is_sent_before_the_end() -> None:
    line, head = _Written(), b"HTTP/1.1 304 Not Modified\r\n\r\n"
    sending = http_server.OnePiece(cast("asyncio.Transport", line), asyncio.get_running_loop())
    sending.write(head)
    sending.close()
    await asyncio.sleep(0)
    assert (line.sent, line.closed) == ([head], True)
