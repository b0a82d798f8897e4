"""Servers of mail on this machine: pymap, which speaks all of IMAP, behind TLS; and those that say whatever a test tells them to."""

import asyncio
import imaplib
import re
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.test_egress import certificate_of_localhost

LOGIN = {"username": "reader", "password": "a secret"}
Told = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class MailServer:
    """Where it is, and what trusts it; a mail client of its user."""

    port: int
    trusting: ssl.SSLContext
    asked: list[bytes] = field(default_factory=list)  # lines that came, but for those of the mail client itself

    def address(self, folder: str = "INBOX") -> str:
        return f"imaps://localhost:{self.port}/{folder}"

    async def say(self, *commands: tuple[str, ...]) -> list[Any]:
        """Has a mail client do something; each command is a method of imaplib and what it takes."""
        before = len(self.asked)
        said = await asyncio.to_thread(self._say, commands)
        del self.asked[before:]
        return said

    def _say(self, commands: tuple[tuple[str, ...], ...]) -> list[Any]:
        with imaplib.IMAP4_SSL("localhost", self.port, ssl_context=self.trusting, timeout=30) as client:
            client.login(LOGIN["username"], LOGIN["password"])
            said = []
            for name, *arguments in commands:
                status, answer = getattr(client, name)(*arguments)
                assert status == "OK", (name, arguments, answer)
                said.append(answer)
        return said

    async def put(self, subject: str, text: str, folder: str = "INBOX") -> None:
        """Puts a message into a folder."""
        message = f"From: a@bank.example\r\nSubject: {subject}\r\nMessage-ID: <{subject}@bank>\r\n\r\n{text}\r\n"
        await self.say(("append", folder, "", "", message.encode()))  # type: ignore[arg-type]

    def fetched(self) -> list[int]:
        """Numbers of the messages whose text was asked for."""
        return [
            int(found[1]) for line in self.asked if (found := re.search(rb"UID FETCH (\d+) .*BODY\.PEEK\[\]", line))
        ]


@asynccontextmanager
async def mail_server(folder: Path) -> AsyncIterator[MailServer]:
    """A server that keeps mail in memory until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        inner = free.getsockname()[1]
    command = ("-c", "from pymap.main import main; main()", "--no-tls", "--host", "127.0.0.1", "--port", str(inner), "dict",
               "--demo-user", LOGIN["username"], "--demo-password", LOGIN["password"])  # fmt: skip
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.DEVNULL)
    told: list[bytes] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection("127.0.0.1", inner)

        async def one_way(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: list[bytes] | None) -> None:
            with suppress(OSError):
                while piece := await source.read(65_536):
                    if kept is not None:
                        kept += piece.splitlines()
                    sink.write(piece)
                    await sink.drain()
            sink.close()

        await asyncio.gather(one_way(reader, here, told), one_way(there, writer, None))

    try:
        for _ in range(300):
            with suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", inner))[1].close()
                break
            await asyncio.sleep(0.1)
        async with behind_tls(folder, pass_on) as server:
            server.asked = told
            yield server
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def behind_tls(folder: Path, told: Told) -> AsyncIterator[MailServer]:
    """A server with TLS that does with each connection what it is told to."""
    certificate = certificate_of_localhost(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    going = set[asyncio.Task[None]]()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        going.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await told(reader, writer)
        writer.close()
        going.discard(task)

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    try:
        yield MailServer(server.sockets[0].getsockname()[1], ssl.create_default_context(cafile=str(certificate)))
    finally:
        server.close()
        for task in list(going):
            task.cancel()
