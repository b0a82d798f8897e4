"""Cuts the blocks of a document into chunks for retrieval, along its structure and in the embedder's tokens.

The rules, in order of precedence:

- No chunk is above the limit.
- A sentence or table row is never split unless it alone is above the limit; then it is halved at white space.
- A chunk ends where a page, a sheet or a table ends and where a heading begins, so that its citation points
  to one page. Only a sentence that itself goes over a page makes its chunk end on the next one. What is tiny
  (a page number, a heading at the foot of a page) joins a neighbour on its own page if it has one.
- A table's header begins each of the table's chunks.
- Within these, a chunk is filled with whole sentences or rows up to the target.

Sentences are found within a block. Memory is bounded by a few dozen chunks,
whatever the length of the document, and equal blocks give equal chunks.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, takewhile

from backend.documents.parsing.blocks import Block, BlockKind
from backend.documents.parsing.sentences import sentences

CountTokens = Callable[[Sequence[str]], list[int]]
"""Returns the number of tokens of each text, without the special tokens that frame every passage."""

_BATCH = 64
_TINY_SHARE = 6
_MOST_HEADER_ROWS = 4
_LONGEST_PATH_ENTRY = 200
_SMALLEST_TARGET = 16
_WHITE_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """Sizes in tokens: a chunk is filled up to `target`, never above `limit`, and repeats up to `overlap`.

    Only whole sentences are repeated, and only where the chunk before ended because it was full.
    """

    target: int = 180
    limit: int = 250
    overlap: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for sizes that cannot be kept."""
        if not _SMALLEST_TARGET <= self.target <= self.limit or not 0 <= self.overlap <= self.target // 2:
            raise ValueError(f"impossible chunk sizes: {self}")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage to retrieve and cite.

    `text` is exactly the document's text from `char_start` to `char_end`, except that a chunk from within a
    table begins with the table's header and a line feed. `heading_path` holds the headings that all of the
    chunk is under, from the outermost; pages count from 1; `ordinal` counts the chunks of a document from 0.
    """

    text: str
    heading_path: tuple[str, ...]
    page_start: int | None
    page_end: int | None
    sheet: str | None
    char_start: int
    char_end: int
    token_count: int
    ordinal: int


@dataclass(slots=True, eq=False)
class _Unit:
    """What is not split: a sentence, a heading, a table row, or a part of one that is above the limit."""

    block: Block
    start: int
    text: str
    path: tuple[str, ...]
    header: "list[_Unit] | None" = None
    tokens: int = 0

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def page(self) -> int | None:
        """The page where it begins."""
        return self.block.page_at(self.start)


@dataclass(slots=True)
class _Draft:
    """The units of a chunk to be, and under which table header they stand if they start within a table."""

    units: list[_Unit] = field(default_factory=list)
    tokens: int = 0
    header: list[_Unit] = field(default_factory=list)

    def add(self, unit: _Unit) -> None:
        self.units.append(unit)
        self.tokens += unit.tokens

    def text(self) -> str:
        header = "".join(f"{unit.text}\n" for unit in self.header)
        return header + self.units[0].text + "".join(_gap(a, b) + b.text for a, b in pairwise(self.units))

    def heading_path(self) -> tuple[str, ...]:
        body = [unit.path for unit in self.units if unit.block.kind is not BlockKind.HEADING]
        paths = body or [self.units[-1].path]
        return tuple(names[0] for names in takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False)))


def _gap(before: _Unit, after: _Unit) -> str:
    if before.block is not after.block:
        return "\n"
    offset = before.block.start
    return before.block.text[before.end - offset : after.start - offset]


class Chunker:
    """Takes the blocks of one document in order and gives its chunks as soon as they are certain."""

    def __init__(self, count_tokens: CountTokens, size: ChunkSize) -> None:
        """Count with the embedder's tokenizer; it is called with dozens of texts at once."""
        self._count_tokens = count_tokens
        self._size = size
        self._tiny = size.target // _TINY_SHARE
        self._path: list[tuple[int, str]] = []
        self._header: list[_Unit] | None = None
        self._last_kind: BlockKind | None = None
        self._unmeasured: list[_Unit] = []
        self._current = _Draft()
        self._closed: list[_Draft] = []
        self._ordinal = 0

    def add(self, block: Block) -> list[Chunk]:
        """Take the next block; return the chunks that it completes, often none."""
        self._follow_structure(block)
        for start, text in sentences(block):
            unit = _Unit(block, start, text, tuple(name for _, name in self._path), self._header)
            self._unmeasured.append(unit)
            if block.kind is BlockKind.TABLE_HEADER and self._header is not None:
                self._header.append(unit)
        self._last_kind = block.kind
        if len(self._unmeasured) < _BATCH:
            return []
        self._pack()
        return self._finished(keep=1) if len(self._closed) > _BATCH else []

    def finish(self) -> list[Chunk]:
        """Return the last chunks of the document."""
        self._pack()
        if self._current.units and not self._absorbed():
            self._close()
        return self._finished(keep=0)

    def _follow_structure(self, block: Block) -> None:
        if block.kind is BlockKind.HEADING:
            while self._path and self._path[-1][0] >= block.level:
                self._path.pop()
            self._path.append((block.level, block.text[:_LONGEST_PATH_ENTRY]))
        if block.kind is BlockKind.TABLE_HEADER:
            if self._last_kind is not BlockKind.TABLE_HEADER or len(self._header or ()) >= _MOST_HEADER_ROWS:
                self._header = []
        elif block.kind is BlockKind.TABLE_ROW:
            if self._header is None:
                self._header = []
        else:
            self._header = None

    def _pack(self) -> None:
        units, self._unmeasured = self._unmeasured, []
        for unit in self._measured(units):
            self._place(unit)

    def _measured(self, units: list[_Unit]) -> Iterator[_Unit]:
        counts = self._count_tokens([unit.text for unit in units]) if units else []
        for unit, tokens in zip(units, counts, strict=True):
            unit.tokens = tokens
            if tokens <= self._size.limit or len(unit.text) == 1:
                yield unit
            else:
                yield from self._measured(_halves(unit))

    def _place(self, unit: _Unit) -> None:
        current = self._current
        if current.units:
            last = current.units[-1]
            if last.block.sheet != unit.block.sheet:
                self._close()
            elif _ends_structure(last, unit):
                self._end_structure(unit)
            elif current.tokens + unit.tokens > self._size.target:
                self._close()
                self._repeat(current.units, unit)
        if not self._current.units:
            self._current = self._under_header(unit)
        self._current.add(unit)

    def _end_structure(self, following: _Unit) -> None:
        """Close the current chunk, unless it is too little to stand alone and can join a neighbour."""
        current = self._current
        if current.tokens < self._tiny:
            if self._absorbed():
                return
            if current.tokens + following.tokens <= self._size.target and _place_of(current.units[-1]) == _place_of(
                following
            ):
                return
        self._close()

    def _absorbed(self) -> bool:
        """Append the current chunk to the one before if it is tiny, on the same page and starts no section."""
        current = self._current
        before = self._closed[-1] if self._closed else None
        first = current.units[0]
        if (
            before is None
            or current.tokens >= self._tiny
            or (first.block.kind is BlockKind.HEADING and current.units[-1].block.kind is not BlockKind.HEADING)
            or _place_of(before.units[-1]) != _place_of(current.units[-1])
            or _place_of(first) != _place_of(current.units[-1])
            or before.tokens + current.tokens > self._size.limit
        ):
            return False
        for unit in current.units:
            if unit.start >= before.units[-1].end:
                before.add(unit)
        self._current = _Draft()
        return True

    def _close(self) -> None:
        self._closed.append(self._current)
        self._current = _Draft()

    def _under_header(self, unit: _Unit) -> _Draft:
        """Begin a chunk, with the table's header if the unit is a row whose header is in an earlier chunk."""
        if unit.block.kind is not BlockKind.TABLE_ROW or not unit.header:
            return _Draft()
        tokens = sum(part.tokens for part in unit.header)
        if tokens + unit.tokens > self._size.limit or tokens > self._size.target // 2:
            return _Draft()
        return _Draft(tokens=tokens, header=unit.header)

    def _repeat(self, closed: list[_Unit], following: _Unit) -> None:
        """Begin the next chunk with the last sentences of the one that was full."""
        repeated: list[_Unit] = []
        room = min(self._size.overlap, self._size.target - following.tokens)
        for unit in reversed(closed):
            room -= unit.tokens
            if room < 0 or unit.header is not None or unit.block.kind is BlockKind.HEADING:
                break
            if _place_of(unit) != _place_of(following):
                break
            repeated.insert(0, unit)
        for unit in repeated:
            self._current.add(unit)

    def _finished(self, keep: int) -> list[Chunk]:
        """Turn all but the last `keep` closed drafts, which may still absorb what follows, into chunks."""
        certain = self._closed[: len(self._closed) - keep]
        del self._closed[: len(certain)]
        return [self._chunk(draft, text, tokens) for draft, text, tokens in self._fitted(certain)]

    def _fitted(self, drafts: Sequence[_Draft]) -> Iterator[tuple[_Draft, str, int]]:
        """Count each whole text, since tokens of parts need not add up, and split what is above the limit."""
        texts = [draft.text() for draft in drafts]
        for draft, text, tokens in zip(drafts, texts, self._count_tokens(texts) if texts else [], strict=True):
            if tokens <= self._size.limit:
                yield draft, text, tokens
            elif len(draft.units) > 1:
                middle = len(draft.units) // 2
                second = self._under_header(draft.units[middle])
                second.units = draft.units[middle:]
                yield from self._fitted([_Draft(draft.units[:middle], header=draft.header), second])
            elif draft.header:
                yield from self._fitted([_Draft(draft.units)])
            else:
                yield draft, text, tokens

    def _chunk(self, draft: _Draft, text: str, tokens: int) -> Chunk:
        first, last = draft.units[0], draft.units[-1]
        ordinal = self._ordinal
        self._ordinal += 1
        return Chunk(
            text=text,
            heading_path=draft.heading_path(),
            page_start=first.page,
            page_end=last.block.page_at(last.end - 1),
            sheet=first.block.sheet,
            char_start=first.start,
            char_end=last.end,
            token_count=tokens,
            ordinal=ordinal,
        )


def chunks_of(blocks: Iterable[Block], count_tokens: CountTokens, size: ChunkSize) -> Iterator[Chunk]:
    """Yield the chunks of a document whose blocks are at hand."""
    chunker = Chunker(count_tokens, size)
    for block in blocks:
        yield from chunker.add(block)
    yield from chunker.finish()


def _place_of(unit: _Unit) -> tuple[str | None, int | None]:
    return unit.block.sheet, unit.page


def _ends_structure(last: _Unit, unit: _Unit) -> bool:
    starts_section = unit.block.kind is BlockKind.HEADING and last.block.kind is not BlockKind.HEADING
    return last.page != unit.page or starts_section or last.header is not unit.header


def _halves(unit: _Unit) -> list[_Unit]:
    """Cut a unit at the white space nearest its middle, or in the middle if it has none near it."""
    middle = len(unit.text) // 2
    spaces = _WHITE_SPACE.finditer(unit.text, middle // 2, middle + middle // 2 + 1)
    nearest = min(spaces, key=lambda space: abs(space.start() - middle), default=None)
    left_end, right_start = (nearest.start(), nearest.end()) if nearest else (middle, middle)
    left = replace(unit, text=unit.text[:left_end])
    return [left, replace(unit, text=unit.text[right_start:], start=unit.start + right_start)]
