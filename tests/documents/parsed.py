"""Files as the parser reads them."""

import sys
from io import BytesIO
from pathlib import Path

from backend.documents.parsing import __main__ as parser
from backend.documents.parsing import wire
from backend.documents.parsing.blocks import Block, Fragment, clean
from backend.documents.parsing.errors import ParseError
from backend.documents.parsing.findings import Findings, ParseWarning
from backend.documents.parsing.formats import declared_format, recognise
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.sandbox import parse_file
from backend.documents.parsing.wire import DocumentInfo


async def parse(
    path: Path, *, media_type: str | None = None, limits: ParseLimits | None = None
) -> tuple[list[Block], DocumentInfo]:
    """Parses a file in its sandbox; where no limit is tried, also in this process, which must say the same."""
    outcome = await _sandboxed(path, media_type, limits)
    if limits is None:
        assert _in_this_process(path, media_type) == _comparable(outcome)
    if isinstance(outcome, ParseError):
        raise outcome
    return outcome


async def _sandboxed(
    path: Path, media_type: str | None, limits: ParseLimits | None
) -> tuple[list[Block], DocumentInfo] | ParseError:
    try:
        async with parse_file(path, filename=path.name, media_type=media_type, limits=limits) as file:
            return [block async for block in file], file.info
    except ParseError as error:
        return error


def _comparable(outcome: tuple[list[Block], DocumentInfo] | ParseError) -> object:
    if isinstance(outcome, ParseError):
        return outcome.code
    blocks, info = outcome
    return [(b.kind, b.text, b.level, b.page, b.sheet) for b in blocks], (info.format, info.title, info.page_count)


def _in_this_process(path: Path, media_type: str | None) -> object:
    output = BytesIO()
    numpy = sys.modules.get("numpy")
    try:
        parser._parse(path, declared_format(path.name, media_type), ParseLimits(), output)
    except ParseError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 - as the parser's process takes them
        return parser._reason(error).code
    finally:
        if numpy is not None:  # the parser's process does without it
            sys.modules["numpy"] = numpy
        else:
            del sys.modules["numpy"]
    messages = [wire.decode(line) for line in output.getvalue().splitlines(keepends=True)]
    fragments = [m for m in messages if isinstance(m, Fragment) and m.text]
    if not fragments:
        return "no_text"
    info = next(m for m in messages if isinstance(m, DocumentInfo))
    shown = [(f.kind, f.text, f.level, f.page, f.sheet) for f in fragments]
    return shown, (info.format, info.title, info.page_count)


def in_this_process(path: Path) -> tuple[list[str], list[ParseWarning]]:
    """The texts and warnings of a file without a process of its own, for tests with very many files."""
    numpy = sys.modules.get("numpy")
    findings = Findings(max_pages=100)
    found = recognise(path, declared_format(path.name, None), ParseLimits())
    try:
        texts = [clean(fragment.text) for fragment in parser._read(path, found, findings)]
    finally:
        if numpy is not None:
            sys.modules["numpy"] = numpy
        else:
            sys.modules.pop("numpy", None)
    return texts, findings.all_warnings()
