"""Runs the parser in a process of its own and turns its lines into blocks."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import orjson
from anyio import CancelScope

from backend.documents.parsing import wire
from backend.documents.parsing.blocks import Block, Fragment
from backend.documents.parsing.errors import (
    CorruptFile,
    EmptyFile,
    FileTooLarge,
    NoText,
    ParseError,
    ParseMemory,
    ParseTimeout,
)
from backend.documents.parsing.formats import declared_format, is_pdf
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.wire import DocumentInfo, PageLabel, Title

_PACKAGE_ROOT = Path(__file__).parents[3]
# numpy, which recognition needs, would start threads when it is imported, and the parser may start none.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class ParsedFile:
    """The blocks of one file in order, to be iterated over once; `info` is there afterwards."""

    def __init__(self, process: Process, limits: ParseLimits) -> None:
        """Reads from a parser that was just started."""
        self._process = process
        self._limits = limits
        self._seconds_left = limits.wall_seconds
        self._characters = 0
        self._info: DocumentInfo | None = None
        self.title: str | None = None
        """What the document calls itself, known before its first block if it is known at all."""
        self.labels: dict[int, str] = {}
        """What the document calls its pages, by their numbers from 1; known before its first block."""

    @property
    def info(self) -> DocumentInfo:
        """What is known of the whole file; raises RuntimeError before the last block was read."""
        if self._info is None:
            raise RuntimeError("The file is not parsed to its end yet.")
        return self._info

    async def __aiter__(self) -> AsyncIterator[Block]:
        """Yields the blocks as the parser finds them; raises a ParseError where it fails."""
        while True:
            message = wire.decode(await self._next_line())
            if isinstance(message, DocumentInfo):
                if not self._characters:
                    raise NoText
                self._info = replace(message, characters=self._characters)
                return
            if isinstance(message, Title):
                self.title = message or None
            elif isinstance(message, PageLabel):
                if message.page > self._limits.max_pages:
                    raise CorruptFile("The parser's answer makes no sense.")
                self.labels[message.page] = message.label
            elif message.text:
                yield self._placed(message)

    def _placed(self, fragment: Fragment) -> Block:
        block = fragment.placed_at(self._characters)
        self._characters = block.end + 1
        if self._characters > self._limits.max_characters:
            raise FileTooLarge(f"The file has more than {self._limits.max_characters} characters of text.")
        return block

    async def _next_line(self) -> bytes:
        assert self._process.stdout is not None  # it was started with a pipe
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(self._seconds_left):
                line = await self._process.stdout.readline()
                if not line.endswith(b"\n"):
                    raise _cause_of_death(await self._process.wait())
        except TimeoutError as error:
            raise ParseTimeout from error
        except ValueError as error:
            raise CorruptFile("The parser's answer makes no sense.") from error
        self._seconds_left -= clock() - started
        return line


@asynccontextmanager
async def parse_file(
    path: Path, *, filename: str, media_type: str | None = None, limits: ParseLimits | None = None
) -> AsyncIterator[ParsedFile]:
    """Parses the file at `path`, which was uploaded under that name and type, while the context is open.

    Raises a ParseError on entering for what name, type and size rule out, and while iterating for the rest.
    Leaving the context ends the parser, whether or not its blocks were read to the end.
    """
    bounds = limits or ParseLimits()
    declared = declared_format(filename, media_type)
    _refuse_by_size(path, bounds)
    if is_pdf(path):
        bounds = bounds.of_pdf()
    process = await _started(_command("__main__", path, declared or "", bounds))
    try:
        yield ParsedFile(process, bounds)
    finally:
        await _ended(process)


_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_PICTURE_BYTES = 16 * 1024 * 1024


async def draw_page(path: Path, page: int, words: str, limits: ParseLimits) -> bytes:
    """Draws a page of the PDF at `path`, counted from 1, with words of it marked; returns a PNG, or raises a ParseError."""
    _refuse_by_size(path, limits)
    process = await _started(_command("pdf.picture", path, str(page), limits), stdin=PIPE)
    try:
        async with asyncio.timeout(limits.wall_seconds):
            written, _ = await process.communicate(words.encode("utf-8", "replace"))
    except TimeoutError as error:
        raise ParseTimeout from error
    finally:
        if process.returncode is None:
            await _ended(process)
    if process.returncode:
        raise _cause_of_death(process.returncode)
    if not written.startswith(_PNG):
        wire.decode(written)
        raise CorruptFile("The parser's answer makes no sense.")
    if len(written) > _MOST_PICTURE_BYTES:
        raise FileTooLarge("The picture of the page is larger than allowed.")
    return written


async def _ended(process: Process) -> None:
    """Kills the parser and wait for its end, whatever interrupts the reader meanwhile.

    `wait` alone would wait for ever: it returns once the pipe is read to its end, and a pipe that is far ahead of
    its reader is no longer read from.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with CancelScope(shield=True):
        await process.communicate()


def _refuse_by_size(path: Path, limits: ParseLimits) -> None:
    size = path.stat().st_size
    if size == 0:
        raise EmptyFile
    if size > limits.max_bytes:
        raise FileTooLarge(f"The file has {size} bytes; {limits.max_bytes} are allowed.")


def _command(module: str, path: Path, argument: str, limits: ParseLimits) -> list[str]:
    interpreter = [sys.executable, "-s", "-B", "-X", "utf8", "-m", f"{__package__}.{module}"]
    return [*interpreter, str(path.resolve()), argument, orjson.dumps(asdict(limits)).decode()]


async def _started(command: list[str], stdin: int = DEVNULL) -> Process:
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=stdin,
        stdout=PIPE,
        stderr=DEVNULL,
        limit=wire.LONGEST_LINE,
        # `-m` finds the package in the working directory. The environment may hold secrets and stays here.
        cwd=_PACKAGE_ROOT,
        env=_ENVIRONMENT,
        start_new_session=True,
    )


def _cause_of_death(status: int) -> ParseError:
    """Returns the error for a parser that ended without its last line."""
    if status == -signal.SIGXCPU:
        return ParseTimeout()
    if status in {-signal.SIGABRT, -signal.SIGKILL}:
        # PDFium aborts when it is refused memory. The service kills a parser only when nobody reads from it
        # any more, so that a kill that is noticed here was the kernel's, for want of memory.
        return ParseMemory()
    return CorruptFile("The file made its parser crash.")
