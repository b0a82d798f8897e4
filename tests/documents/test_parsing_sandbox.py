"""The parser's process: bounded, confined and replaceable."""

import asyncio
import os
import signal
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.documents.parsing import wire
from backend.documents.parsing.blocks import BlockKind, Fragment
from backend.documents.parsing.errors import (
    CorruptFile,
    EmptyFile,
    FileTooLarge,
    NoText,
    ParseError,
    ParseMemory,
    ParseTimeout,
)
from backend.documents.parsing.findings import Findings, ParseWarning, WarningKind
from backend.documents.parsing.formats import Format
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.sandbox import parse_file

pytestmark = pytest.mark.anyio


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


async def read(path: Path, limits: ParseLimits, at_block: Callable[[int], None] = lambda _: None) -> int:
    count = 0
    async with parse_file(path, filename=path.name, limits=limits) as file:
        async for _ in file:
            at_block(count)
            count += 1
    return count


@pytest.fixture
def long_text(tmp_path: Path) -> Path:
    """A file whose blocks do not fit into the pipe, so that its parser waits for its reader."""
    path = tmp_path / "long.txt"
    path.write_text("A sentence of some length, again and again.\n\n" * 40_000)
    return path


async def test_an_empty_file_is_refused_without_a_process(tmp_path: Path) -> None:
    path = tmp_path / "empty.pdf"
    path.touch()
    before = children()
    with pytest.raises(EmptyFile) as refusal:
        async with parse_file(path, filename="empty.pdf"):
            pass
    assert (refusal.value.code, children()) == ("empty_file", before)


async def test_a_file_above_the_size_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.truncate(10 * 1024**3)
    with pytest.raises(FileTooLarge) as refusal:
        async with parse_file(path, filename="large.txt"):
            pass
    assert refusal.value.code == "too_large"


async def test_more_text_than_the_limit_is_refused(long_text: Path) -> None:
    with pytest.raises(FileTooLarge):
        await read(long_text, ParseLimits(max_characters=100_000))


async def test_a_parser_that_exceeds_the_wall_time_is_killed(long_text: Path) -> None:
    before = children()
    with pytest.raises(ParseTimeout) as refusal:
        await read(long_text, ParseLimits(wall_seconds=0.01))
    assert (refusal.value.code, children()) == ("parse_timeout", before)


async def test_time_that_the_reader_takes_is_not_the_parsers(long_text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, count, later = asyncio.get_running_loop(), 0, 0
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + later)
    async with parse_file(long_text, filename="a.txt", limits=ParseLimits(wall_seconds=60)) as file:
        async for _ in file:
            if count == 0:
                later = 61  # seconds, of the reader
            count += 1
    assert count == 40_000


async def test_short_waits_for_the_parser_add_up_to_the_wall_time(long_text: Path) -> None:
    before = children()

    def pause(count: int) -> None:
        if count % 9_000 == 0:
            [pid] = children() - before
            os.kill(pid, signal.SIGSTOP)
            asyncio.get_running_loop().call_later(0.6, resume, pid)

    def resume(pid: int) -> None:
        if pid in children():
            os.kill(pid, signal.SIGCONT)

    with pytest.raises(ParseTimeout):
        await read(long_text, ParseLimits(wall_seconds=1), pause)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (signal.SIGSEGV, CorruptFile),
        (signal.SIGABRT, ParseMemory),
        (signal.SIGKILL, ParseMemory),
        (signal.SIGXCPU, ParseTimeout),
    ],
)
async def test_the_death_of_the_parser_is_an_error_of_the_file(
    long_text: Path, sent: signal.Signals, error: type[ParseError]
) -> None:
    before = children()

    def strike(count: int) -> None:
        if count == 0:
            [pid] = children() - before
            os.kill(pid, sent)

    with pytest.raises(error):
        await read(long_text, ParseLimits(), strike)
    assert children() == before


async def test_leaving_early_ends_the_parser(long_text: Path) -> None:
    before = children()
    async with parse_file(long_text, filename="a.txt") as file:
        async for _ in file:
            assert len(children() - before) == 1
            break
    assert children() == before
    with pytest.raises(RuntimeError):
        _ = file.info


async def test_the_parser_has_no_environment_no_input_and_hard_limits(
    long_text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFIDAVIT_CONTEXT_KEY", "not for the parser")
    before = children()
    async with parse_file(long_text, filename="a.txt", limits=ParseLimits(cpu_seconds=77)) as file:
        async for _ in file:
            [pid] = children() - before
            process = Path(f"/proc/{pid}")
            # The interpreter's start-up may set its locale, nothing else.
            assert b"AFFIDAVIT" not in (process / "environ").read_bytes()
            assert (process / "fd/0").readlink() == Path(os.devnull)
            assert os.getsid(pid) == pid
            limits = {line[:25].strip(): line.split()[-3:-1] for line in (process / "limits").read_text().splitlines()}
            break
    assert limits["Max address space"] == [str(1024**3)] * 2
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max file size"] == ["0", "0"]
    assert limits["Max open files"] == ["32", "32"]
    cpu = next(line for line in limits if line.startswith("Max cpu time"))
    assert limits[cpu] == ["77", "78"]


async def test_the_parser_imports_nothing_of_the_service(long_text: Path) -> None:
    program = (
        "import sys, backend.documents.parsing.__main__ as parser;"
        f"parser.main({str(long_text)!r}, 'text', '{{}}');"
        "print([m for m in sys.modules if m.startswith('backend') and 'parsing' not in m], file=sys.stderr)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={}
    )
    output, imported = await process.communicate()
    assert b"A sentence" in output
    assert imported.decode().strip() == "['backend', 'backend.documents']"


async def test_the_reader_holds_only_a_few_blocks_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(("word " * 500 + "\n\n") * 8_000)
    tracemalloc.start()
    try:
        assert await read(path, ParseLimits()) == 8_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024


async def test_files_are_parsed_side_by_side(tmp_path: Path) -> None:
    async def text_of(number: int) -> str:
        path = tmp_path / f"{number}.txt"
        path.write_text(f"File {number}.")
        async with parse_file(path, filename=path.name) as file:
            return "".join([block.text async for block in file])

    assert await asyncio.gather(*map(text_of, range(8))) == [f"File {number}." for number in range(8)]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b"not json\n",
        b'{"fragment": ["essay", "text", 0, null, null]}\n',
        b'{"fragment": ["paragraph", 7, 0, null, null]}\n',
        b'{"fragment": ["paragraph", "text", -1, null, null]}\n',
        b'{"fragment": ["paragraph", "text", 0, 0, null]}\n',
        b'{"fragment": ["paragraph"]}\n',
        b'{"done": ["exe", null, null, []]}\n',
        b'{"done": ["pdf", null, -1, []]}\n',
        b'{"done": ["pdf", null, 1, [["no_such_kind", "page 1", "text"]]]}\n',
        b'{"done": ["pdf", null, 1, ["text"]]}\n',
        b'{"title": 7}\n',
        b'{"error": ["no_such_code", "text"]}\n',
    ],
)
def test_a_line_that_no_parser_would_write_is_refused(line: bytes) -> None:
    with pytest.raises(CorruptFile):
        wire.decode(line)


def test_lines_say_what_was_written() -> None:
    fragment = Fragment(BlockKind.TABLE_ROW, "a | b", 0, 3, "Sheet")
    findings = Findings(max_pages=9, title="Title", page_count=4)
    findings.warn(WarningKind.CHART, "sheet 1", "Careful.")
    told = (ParseWarning(WarningKind.CHART, "sheet 1", "Careful."),)
    info = wire.DocumentInfo(Format.XLSX, "Title", 4, told)
    assert wire.decode(wire.encode_fragment(fragment)) == fragment
    assert wire.decode(wire.encode_findings(Format.XLSX, findings)) == info
    with pytest.raises(NoText, match="scanned"):
        wire.decode(wire.encode_error(NoText()))
