"""Real filings: parsed to the end, page by page, and fast."""

import json
import re
import resource
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest

from backend.documents.chunks.chunking import Chunker, ChunkSize
from backend.documents.parsing.blocks import Block, BlockKind
from backend.documents.parsing.sandbox import parse_file

pytestmark = pytest.mark.anyio

FILINGS = Path(__file__).resolve().parents[2] / "../shared/data/financebench"
PDFS = sorted((FILINGS / "pdfs").glob("*.pdf"))

if not PDFS:
    pytest.skip("the filings are not here", allow_module_level=True)


def count_tokens(texts: Sequence[str]) -> list[int]:
    """Count words and punctuation marks, about three quarters of an embedder's tokens."""
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def trigrams(text: str) -> Counter[str]:
    """Return the trigrams of words.

    The reference was read in the order of the file, column heading by column heading; blocks are read line by line.
    So words and numbers count here, and their order does not; `Introduction1` in a list of contents is two of them.
    """
    words = [f" {word} " for word in re.findall(r"[^\W\d_]+|\d+", text.lower())]
    return Counter(word[start : start + 3] for word in words for start in range(len(word) - 2))


def as_printed(block: Block, text: str) -> str:
    """Return part of a block without what a heading over several columns repeats for each of them."""
    if block.kind is not BlockKind.TABLE_HEADER:
        return text
    rows = [[cell.strip() for cell in row.split("|")] for row in text.split("\n")]
    return "\n".join(" | ".join(cell for cell, _ in groupby(row)) for row in rows)


def overlap(one: Counter[str], other: Counter[str]) -> float:
    """Return the Dice coefficient of two bags."""
    return 2 * (one & other).total() / max(one.total() + other.total(), 1)


def cpu_seconds() -> float:
    """Return the processor time of this process and of the parsers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


@pytest.fixture(scope="module")
def reference() -> dict[str, dict[int, Counter[str]]]:
    """The trigrams of each page by filing and number, counted from 1 as in blocks; in the data, from 0."""
    pages: dict[str, dict[int, Counter[str]]] = defaultdict(dict)
    with (FILINGS / "documents.jsonl").open() as file:
        for line in file:
            page = json.loads(line)
            filing, _, number = page["doc_id"].rpartition("::p")
            pages[filing][int(number) + 1] = trigrams(page["text"])
    return pages


@pytest.mark.parametrize("path", PDFS, ids=lambda path: path.stem)
async def test_a_filing_is_cut_into_chunks_of_the_right_pages(
    path: Path, reference: dict[str, dict[int, Counter[str]]]
) -> None:
    started = cpu_seconds()
    pages: dict[int, list[str]] = defaultdict(list)
    chunker = Chunker(count_tokens, ChunkSize(target=140, limit=190))
    chunks = []
    turns: set[tuple[int, int]] = set()  # pages, and where a sentence that begins there goes over to the next
    async with parse_file(path, filename=path.name, media_type="application/pdf") as file:
        async for block in file:
            assert block.page is not None
            turn = block.next_page_at or len(block.text)
            if block.next_page_at:
                turns.add((block.page, block.start + turn))
            pages[block.page].append(as_printed(block, block.text[:turn]))
            pages[block.page + 1].append(as_printed(block, block.text[turn:]))
            chunks += chunker.add(block)
    chunks += chunker.finish()
    seconds = cpu_seconds() - started

    expected = reference[path.stem]
    # The reference also holds what nobody sees on a page; there, all that was read must be in it.
    told = {warning.place for warning in file.info.warnings if warning.kind == "invisible_text"}
    for number, counted in expected.items():
        if counted.total() > 100:
            found = trigrams("\n".join(pages[number]))
            wanted = found & counted if f"page {number}" in told else counted
            assert overlap(found, wanted) > 0.95, number
    assert file.info.page_count is not None
    assert file.info.page_count >= max(expected)
    assert seconds < 1 + file.info.page_count / 10
    assert all(chunk.token_count <= 190 for chunk in chunks)
    crossing = [chunk for chunk in chunks if chunk.page_start != chunk.page_end]
    # How many depends on the filing: one of long sentences has one on every other page. Each needs a sentence that crosses.
    for chunk in crossing:
        assert chunk.page_start is not None
        assert chunk.page_end == chunk.page_start + 1
        assert any(page == chunk.page_start and chunk.char_start < at < chunk.char_end for page, at in turns)
    assert len(crossing) <= len(turns)
