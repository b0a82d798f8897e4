"""The sentences of a block, each exactly as it stands in the document's text."""

import re
from collections.abc import Iterator

from backend.documents.parsing.blocks import Block, BlockKind

_BOUNDARY = re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？]+\s*|\n\s*\n\s*")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[“\"])(?:[a-z]|[a-z]\.[a-z](?:\.[a-z])?|mr|mrs|ms|dr|prof|st|jr|sr|no|nos|inc|corp|co|ltd"
    r"|plc|vs|cf|arts?|secs?|paras?|ch|fig|approx|dept|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)$",
    re.IGNORECASE,
)
_LONGEST_ABBREVIATION = 8


def sentences(block: Block) -> Iterator[tuple[int, str]]:
    """Yields the start and text of each sentence; headings and table rows are one each."""
    start = 0
    if block.kind in {BlockKind.PARAGRAPH, BlockKind.LIST_ITEM}:
        for boundary in _BOUNDARY.finditer(block.text):
            if not _continues(block.text, start, boundary):
                yield block.start + start, block.text[start : boundary.end()].rstrip()
                start = boundary.end()
    if start < len(block.text):
        yield block.start + start, block.text[start:]


def _continues(text: str, start: int, boundary: re.Match[str]) -> bool:
    """Returns whether a full stop ends an abbreviation or a list number, or a small letter follows it."""
    if not boundary[0].startswith("."):
        return False
    if text[boundary.end() : boundary.end() + 1].islower():
        return True
    before = text[max(start, boundary.start() - _LONGEST_ABBREVIATION) : boundary.start()]
    return bool(_ABBREVIATION.search(before)) or text[start : boundary.start()].strip("(").isdigit()
