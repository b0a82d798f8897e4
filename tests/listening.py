"""Applications of tests on real sockets of this machine: the service for its clients, and servers that the service asks."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from tests.service import Service


@asynccontextmanager
async def listening(service: Service) -> AsyncIterator[str]:
    """Yields the address of the running service."""
    async with serving(service.app) as address:
        yield address


@asynccontextmanager
async def serving(app: ASGIApp, **options: Any) -> AsyncIterator[str]:
    """Yields the address of an application that this event loop serves, with other options of uvicorn where they are given."""
    usual = {"host": "127.0.0.1", "port": 0, "log_config": None, "access_log": False, "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(app, **(usual | options)))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


@contextmanager
def served_by_a_thread(app: ASGIApp) -> Iterator[str]:
    """Yields the address of an application that has an event loop of its own, so that a test may block its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=10)
        listener.close()
