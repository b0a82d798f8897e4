"""The process that reads one file: `python -m backend.documents.parsing PATH FORMAT LIMITS`.

It writes fragments to standard output, and gives up what it does not need before it opens the file: address
space, processor time, other processes, other files, a place to write. Starting it costs 0.1 to 0.4 s of
processor time, most of it for the import of the format's library.
"""

import gc
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import orjson

from backend.documents.parsing import wire
from backend.documents.parsing.blocks import BlockKind, Fragment, within_length
from backend.documents.parsing.confinement import confine, private_stdout
from backend.documents.parsing.errors import CorruptFile, ParseError, ParseMemory
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.formats import PARSERS, Format, recognise
from backend.documents.parsing.limits import ParseLimits

_LIBXML_NO_MEMORY = 2
_STROKE = "\u0336"
_STRUCK = re.compile(f"(?:[^{_STROKE}]{_STROKE})+")


def main(path: str, declared: str, limits: str) -> None:
    """Writes the file's fragments and then its findings, or an error, to what was standard output."""
    with private_stdout() as output:
        bounds = ParseLimits(**orjson.loads(limits))
        confine(bounds)
        # Pages are made of very many small objects that hardly ever refer back: looking for rings less often saves a twelfth.
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        try:
            _parse(Path(path), Format(declared) if declared else None, bounds, output)
        except ParseError as error:
            output.write(wire.encode_error(error))
        except Exception as error:  # noqa: BLE001 — whatever a library raises on a damaged file
            output.write(wire.encode_error(_reason(error)))


def _parse(path: Path, declared: Format | None, limits: ParseLimits, output: BinaryIO) -> None:
    found = recognise(path, declared, limits)
    findings = Findings(limits.max_pages, recognises_pages=limits.recognises_pages)
    title = None
    for fragment in _read(path, found, findings):
        output.writelines(wire.encode_label(page, label) for page, label in findings.take_labels())
        if findings.title != title:
            title = findings.title
            output.write(wire.encode_title(title))
        output.write(wire.encode_fragment(fragment))
    output.write(wire.encode_findings(found, findings))


def _read(path: Path, found: Format, findings: Findings) -> Iterator[Fragment]:
    """Yields the fragments; a document without a title of its own is called by its first heading."""
    for fragment in within_length(_without_struck(_parser(found)(path, findings), findings)):
        if findings.title is None and fragment.kind is BlockKind.HEADING and fragment.sheet is None:
            findings.title = fragment.text
        yield fragment


def _without_struck(fragments: Iterator[Fragment], findings: Findings) -> Iterator[Fragment]:
    """Leaves out characters with a stroke through each, by which people strike out what has no formats."""
    for fragment in fragments:
        text = fragment.text
        if text.isascii() or _STROKE not in text:
            yield fragment
            continue
        place = "whole file" if fragment.page is None else f"page {fragment.page}"
        findings.warn(WarningKind.STRUCK_OUT, place, "Struck-out text is left out.")
        rest = len(text) - fragment.next_page_at if fragment.next_page_at else 0
        kept = _STRUCK.sub(" ", text)
        yield fragment._replace(text=kept, next_page_at=max(len(kept) - rest, 0) if rest else 0)


def _parser(found: Format) -> Callable[[Path, Findings], Iterator[Fragment]]:
    # openpyxl looks for numpy only to recognise its number types, and waits a long time for the answer.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    module = import_module(f"backend.documents.parsing.{PARSERS[found]}")
    parser: Callable[[Path, Findings], Iterator[Fragment]] = module.fragments
    return parser


def _reason(error: Exception) -> ParseError:
    out_of_memory = isinstance(error, MemoryError) or getattr(error, "code", None) == _LIBXML_NO_MEMORY
    if out_of_memory:
        return ParseMemory()
    return CorruptFile(f"The file is damaged or not readable ({type(error).__name__}).")


if __name__ == "__main__":
    main(*sys.argv[1:])
