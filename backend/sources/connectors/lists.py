"""Reads the XML in which servers list what they hold; it is theirs, and declares nothing.

A list is read in a thread, so that a long one keeps nobody else of the process waiting, entry by entry, and within bounds that
no honest list comes near: of bytes, of elements and of how deep they go.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

from anyio import to_thread
from lxml import etree

from backend.sources.connector import SourceFailed

MOST_LIST_BYTES = 4 * 1024 * 1024
_MOST_ELEMENTS = 250_000
_DEEPEST = 16
_PIECE_BYTES = 64 * 1024

Element: TypeAlias = Any
"""An element of lxml, which has no types of its own."""
T = TypeVar("T")


async def read_list(body: bytes, told: Callable[[Element], T | None]) -> tuple[str, list[T]]:
    """Returns what a list calls itself, and what `told` makes of its entries, which runs in a thread.

    Raises SourceFailed for what is no XML that may be read.
    """
    return await to_thread.run_sync(_read, body, told)


async def read_lines(body: bytes) -> list[str]:
    """Returns the lines of a list that is no XML, without empty ones; also read in a thread."""
    return await to_thread.run_sync(_lines, body)


def name_of(element: Element) -> str:
    """Returns what an element is called, whatever its namespace."""
    return str(element.tag).rpartition("}")[2]


def text(element: Element, path: str) -> str | None:
    """Returns the text of the first element below that has one; None where there is none."""
    found = (below.text.strip() for below in element.iterfind(path) if below.text)
    return next(filter(None, found), None)


def number(element: Element, path: str) -> int | None:
    """Returns a count that an element below tells; None for what is none."""
    found = text(element, path)
    return int(found) if found is not None and found.isdecimal() and len(found) < 19 else None


def _lines(body: bytes) -> list[str]:
    return [line.strip() for line in body.decode(errors="replace").splitlines() if line.strip()]


def _read(body: bytes, told: Callable[[Element], T | None]) -> tuple[str, list[T]]:
    root, found = "", list[T]()
    try:
        for entry in _entries(body):
            root = root or name_of(entry.getparent() if entry.getparent() is not None else entry)
            if entry.getparent() is not None and (one := told(entry)) is not None:
                found.append(one)
    except (etree.LxmlError, ValueError, LookupError) as error:
        raise SourceFailed("no_list", "The list of the source is not XML that may be read.") from error
    return root, found


def _entries(body: bytes) -> Iterator[Element]:
    """Yields the children of the root, each forgotten when the next one is there, and at last the root."""
    parser = etree.XMLPullParser(
        ("start", "end"), resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, dtd_validation=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    depth = elements = 0
    for start in range(0, len(body), _PIECE_BYTES):
        parser.feed(body[start : start + _PIECE_BYTES])
        for event, element in parser.read_events():
            if event == "start":
                depth, elements = depth + 1, elements + 1
                _check(element, depth, elements)
                continue
            depth -= 1
            if depth == 1:
                yield element
                _forget(element)
    yield parser.close()


def _check(element: Element, depth: int, elements: int) -> None:
    if elements == 1 and element.getroottree().docinfo.internalDTD is not None:
        message = "a list declares nothing"
        raise ValueError(message)
    if depth > _DEEPEST or elements > _MOST_ELEMENTS:
        message = "no list is so deep, or so long"
        raise ValueError(message)


def _forget(element: Element) -> None:
    """Empties an entry that was read, and lets go of those before it."""
    element.clear()
    parent = element.getparent()
    while element.getprevious() is not None:
        del parent[0]
