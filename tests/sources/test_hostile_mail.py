"""A server of mail that lies, never ends, or is another than it says: a clear state on the run, and nothing half-ingested."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from backend.egress import Egress
from backend.sources.asking import SourceHosts
from tests.service import Service
from tests.sources.mail import LOGIN, Told, behind_tls, mail_server
from tests.sources.sources import bank_with_policies, counted, created, documents, reaching, run
from tests.sources.test_hostile_sources import failed
from tests.sources.test_imap import trusting

pytestmark = pytest.mark.anyio

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
OPENED = b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] it is\r\n"
LISTED = b"* 1 FETCH (UID 5 RFC822.SIZE 40 BODY[HEADER.FIELDS (SUBJECT)]<0> {16}\r\nSubject: Wires\r\n)\r\n"


def scripted(answers: dict[bytes, Answer], greeting: Answer = b"* OK here\r\n") -> Told:
    """A server that says before it ends each command what the test has for its name."""

    async def give(writer: asyncio.StreamWriter, answer: Answer) -> None:
        if isinstance(answer, bytes):
            writer.write(answer)
        else:
            await answer(writer)

    async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await give(writer, greeting)
        while line := await reader.readline():
            tag, _, command = line.strip().partition(b" ")
            while command.endswith(b"}"):
                writer.write(b"+ go on\r\n")
                await reader.readexactly(int(command.rpartition(b"{")[2][:-1]))
                command = command.rpartition(b"{")[0] + (await reader.readline()).strip()
            name = b"LIST" if b"RFC822.SIZE" in command else command.split(b" ")[0 if b"FETCH" not in command else 1]
            await give(writer, answers.get(name, b""))
            writer.write(tag + b" OK done\r\n")
            await writer.drain()

    return told


async def without_end(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n" * 1_000)
        await writer.drain()
        await asyncio.sleep(0)  # `drain` alone does not let the loop see that the reader has gone


async def a_line_without_end(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b'* 1 FETCH (UID 5 X "\\"' + b'\\"' * 5_000)
        await writer.drain()
        await asyncio.sleep(0)  # `drain` alone does not let the loop see that the reader has gone


async def a_byte_now_and_then(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"*")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("answers", "greeting", "code"),
    [
        ({b"EXAMINE": OPENED, b"LIST": b"* 1 FETCH (UID 5 RFC822.SIZE 4 X {4000000000}\r\n"}, b"* OK\r\n", "endless"),
        ({b"EXAMINE": OPENED, b"LIST": without_end}, b"* OK\r\n", "endless"),
        ({b"EXAMINE": OPENED, b"LIST": a_line_without_end}, b"* OK\r\n", "endless"),
        ({b"LOGIN": without_end}, b"* OK\r\n", "endless"),
        ({b"EXAMINE": b"* 99999999 EXISTS\r\n* OK [UIDVALIDITY 7] it is\r\n"}, b"* OK\r\n", "too_many_items"),
        ({b"EXAMINE": b"* 1 EXISTS\r\n"}, b"* OK\r\n", "no_list"),
        ({b"LOGIN": b"* BYE\r\n"}, b"* OK\r\n", "no_answer"),
        ({}, b"* BYE busy\r\n", "no_answer"),
        ({}, b"HTTP/1.1 200 OK\r\n", "no_answer"),
        ({}, a_byte_now_and_then, "no_answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_a_server_that_lies_or_never_ends_is_no_source(
    service: Service, tmp_path: Path, answers: dict[bytes, Answer], greeting: Answer, code: str
) -> None:
    bank = await bank_with_policies(service)
    async with behind_tls(tmp_path, scripted(answers, greeting)) as there, reaching(service, request_seconds=5.0):
        trusting(service, there)
        await failed(service, bank, await created(service, bank, there.address(), "imap", credentials=LOGIN), code)


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (b"* 1 FETCH (UID 5 BODY[]<0> {4000000000}\r\n", {"endless": 1}),
        (without_end, {"endless": 1}),
        (b"* 1 FETCH (UID 6 BODY[]<0> {4}\r\nnope)\r\n", {"missing": 1}),
        (b"* 1 FETCH (UID 5 BODY[]<0> NIL)\r\n", {"empty": 1}),
    ],
    ids=["size", "endless", "another", "nothing"],
)
async def test_a_message_that_lies_is_refused_alone(
    service: Service, tmp_path: Path, text: Answer, reasons: dict[str, int]
) -> None:
    bank = await bank_with_policies(service)
    answers: dict[bytes, Answer] = {b"EXAMINE": OPENED, b"LIST": LISTED, b"FETCH": text}
    async with behind_tls(tmp_path, scripted(answers)) as there, reaching(service):
        trusting(service, there)
        ended = await run(service, bank, await created(service, bank, there.address(), "imap", credentials=LOGIN))
        assert (counted(ended), ended["counts"]["reasons"]) == ({"refused": 1}, reasons)
    assert await documents(service, bank) == {}


async def test_a_name_that_points_inside_is_not_asked_for_mail(service: Service, tmp_path: Path) -> None:
    bank = await bank_with_policies(service)
    asked: Sequence[bytes] = []
    async with mail_server(tmp_path) as there, reaching(service, SourceHosts(["*"], plain=True)):
        trusting(service, there)
        source = await created(service, bank, there.address(), "imap", credentials=LOGIN)
        async with httpx.AsyncClient() as client:
            service.exchange(source_opening=replace(service.services.source_opening, egress=Egress(client)))
            await failed(service, bank, source, "address_refused")
        assert list(asked) == there.asked


async def test_a_server_whose_certificate_is_another_is_told_no_password(service: Service, tmp_path: Path) -> None:
    bank = await bank_with_policies(service)
    async with mail_server(tmp_path) as there, reaching(service):
        source = await created(service, bank, there.address(), "imap", credentials=LOGIN)
        await failed(service, bank, source, "certificate_refused")
        assert there.asked == []
