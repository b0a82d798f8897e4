"""Cuts the blocks of a document into chunks for retrieval, along its structure and in the embedder's tokens.

The rules, in order of precedence:

- No chunk is above the limit.
- A sentence or table row is never split unless it alone is above the limit; then it is halved at white space.
- A chunk ends where a page, a sheet or a table ends and where a heading begins, so that its citation points
  to one page. Only a sentence that itself goes over a page makes its chunk end on the next one. What is tiny
  (a page number, a heading at the foot of a page) joins a neighbour on its own page if it has one.
- A table's header begins each of the table's chunks, and what leads into a list each of the list's.
- Within these, a chunk is filled with whole sentences or rows up to the target.

Sentences are found within a block. Memory is bounded by a few dozen chunks,
whatever the length of the document, and equal blocks give equal chunks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from backend.documents.chunks.drafts import ChunkDraft, ChunkUnit, ends_structure, halves, place_of
from backend.documents.parsing.blocks import Block, BlockKind
from backend.documents.parsing.sentences import sentences
from backend.documents.tables import ChunkSpan

CountTokens = Callable[[Sequence[str]], list[int]]
"""Returns the number of tokens of each text, without the special tokens that frame every passage."""

NO_LABELS: Mapping[int, str] = MappingProxyType({})
_BATCH = 64
_TINY_SHARE = 6
_MOST_HEADER_ROWS = 4
_LONGEST_PATH_ENTRY = 200
_MOST_FURNITURE_WORDS = 12
_SMALLEST_TARGET = 16


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """Sizes in tokens: a chunk is filled up to `target`, never above `limit`, and repeats up to `overlap`.

    Only whole sentences are repeated, and only where the chunk before ended because it was full.
    """

    target: int = 180
    limit: int = 250
    overlap: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for sizes that cannot be kept."""
        if not _SMALLEST_TARGET <= self.target <= self.limit or not 0 <= self.overlap <= self.target // 2:
            raise ValueError(f"impossible chunk sizes: {self}")

    def __str__(self) -> str:
        """Returns target, limit and overlap, by which evaluations name them."""
        return f"{self.target}/{self.limit}/{self.overlap}"


class Chunk(ChunkSpan):
    """A passage to retrieve and cite.

    `text` is exactly the document's text from `char_start` to `char_end`, except that a chunk from within a
    table or list begins with the table's header, or with what leads into the list, and a line feed.
    `heading_path` holds the headings that all of the chunk is under, from the outermost; pages count from 1;
    `ordinal` counts the chunks of a document from 0.
    """

    text: str
    token_count: int
    ordinal: int


class Chunker:
    """Takes the blocks of one document in order and gives its chunks as soon as they are certain."""

    def __init__(self, count_tokens: CountTokens, size: ChunkSize, labels: Mapping[int, str] = NO_LABELS) -> None:
        """Counts with the embedder's tokenizer, which is called with dozens of texts at once.

        `labels` are what the file calls its pages; those of a page are looked up when a chunk of it is made.
        """
        self._labels = labels
        self._count_tokens = count_tokens
        self._size = size
        self._tiny = size.target // _TINY_SHARE
        self._path: list[tuple[int, str]] = []
        self._header: list[ChunkUnit] | None = None
        self._lead: ChunkUnit | None = None
        self._last_kind: BlockKind | None = None
        self._unmeasured: list[ChunkUnit] = []
        self._current = ChunkDraft()
        self._closed: list[ChunkDraft] = []
        self._ordinal = 0

    def add(self, block: Block) -> list[Chunk]:
        """Takes the next block; returns the chunks that it completes, often none."""
        self._follow_structure(block)
        for start, text in sentences(block):
            unit = ChunkUnit(block, start, text, tuple(name for _, name in self._path), self._header, self._lead)
            self._unmeasured.append(unit)
            if block.kind is BlockKind.PARAGRAPH and text.endswith(":"):
                self._lead = unit
            if block.kind is BlockKind.TABLE_HEADER and self._header is not None:
                self._header.append(unit)
        self._last_kind = block.kind
        if len(self._unmeasured) < _BATCH:
            return []
        self._pack()
        return self._finished(keep=1) if len(self._closed) > _BATCH else []

    def finish(self) -> list[Chunk]:
        """Returns the last chunks of the document."""
        self._pack()
        if self._current.units and not self._absorbed():
            self._close()
        return self._finished(keep=0)

    def _follow_structure(self, block: Block) -> None:
        if block.kind is BlockKind.HEADING:
            while self._path and self._path[-1][0] >= block.level:
                self._path.pop()
            self._path.append((block.level, block.text[:_LONGEST_PATH_ENTRY]))
        if block.kind is not BlockKind.LIST_ITEM and not _is_furniture(block):
            self._lead = None
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

    def _measured(self, units: list[ChunkUnit]) -> Iterator[ChunkUnit]:
        counts = self._count_tokens([unit.text for unit in units]) if units else []
        for unit, tokens in zip(units, counts, strict=True):
            unit.tokens = tokens
            if tokens <= self._size.limit or len(unit.text) == 1:
                yield unit
            else:
                yield from self._measured(halves(unit))

    def _place(self, unit: ChunkUnit) -> None:
        current = self._current
        if current.units:
            last = current.units[-1]
            if last.block.sheet != unit.block.sheet:
                self._close()
            elif ends_structure(last, unit):
                self._end_structure(unit)
            elif current.tokens + unit.tokens > self._size.target:
                self._close()
                self._repeat(current.units, unit)
        if not self._current.units:
            self._current = self._under_header(unit)
        self._current.add(unit)

    def _end_structure(self, following: ChunkUnit) -> None:
        """Closes the current chunk, unless it is too little to stand alone and can join a neighbour."""
        current = self._current
        if current.tokens < self._tiny:
            if self._absorbed():
                return
            if current.tokens + following.tokens <= self._size.target and place_of(current.units[-1]) == place_of(
                following
            ):
                return
        self._close()

    def _absorbed(self) -> bool:
        """Appends the current chunk to the one before if it is tiny, on the same page and starts no section."""
        current = self._current
        before = self._closed[-1] if self._closed else None
        first = current.units[0]
        if (
            before is None
            or current.tokens >= self._tiny
            or (first.block.kind is BlockKind.HEADING and current.units[-1].block.kind is not BlockKind.HEADING)
            or place_of(before.units[-1]) != place_of(current.units[-1])
            or place_of(first) != place_of(current.units[-1])
            or before.tokens + current.tokens > self._size.limit
        ):
            return False
        for unit in current.units:
            if unit.start >= before.units[-1].end:
                before.add(unit)
        self._current = ChunkDraft()
        return True

    def _close(self) -> None:
        self._closed.append(self._current)
        self._current = ChunkDraft()

    def _under_header(self, unit: ChunkUnit) -> ChunkDraft:
        """Begins a chunk, with what is over the unit if that is in an earlier chunk: a table's header, a list's beginning."""
        over = unit.header if unit.block.kind is BlockKind.TABLE_ROW else None
        if unit.block.kind is BlockKind.LIST_ITEM and unit.lead is not None:
            over = [unit.lead]
        tokens = sum(part.tokens for part in over or ())
        if not over or tokens + unit.tokens > self._size.limit or tokens > self._size.target // 2:
            return ChunkDraft()
        return ChunkDraft(tokens=tokens, header=over)

    def _repeat(self, closed: list[ChunkUnit], following: ChunkUnit) -> None:
        """Begins the next chunk with the last sentences of the one that was full."""
        repeated: list[ChunkUnit] = []
        room = min(self._size.overlap, self._size.target - following.tokens)
        for unit in reversed(closed):
            room -= unit.tokens
            if room < 0 or unit.header is not None or unit.block.kind is BlockKind.HEADING:
                break
            if place_of(unit) != place_of(following):
                break
            repeated.insert(0, unit)
        for unit in repeated:
            self._current.add(unit)

    def _finished(self, keep: int) -> list[Chunk]:
        """Turns all but the last `keep` closed drafts, which may still absorb what follows, into chunks."""
        certain = self._closed[: len(self._closed) - keep]
        del self._closed[: len(certain)]
        return [self._chunk(draft, text, tokens) for draft, text, tokens in self._fitted(certain)]

    def _fitted(self, drafts: Sequence[ChunkDraft]) -> Iterator[tuple[ChunkDraft, str, int]]:
        """Counts each whole text, since tokens of parts need not add up, and split what is above the limit."""
        texts = [draft.text() for draft in drafts]
        for draft, text, tokens in zip(drafts, texts, self._count_tokens(texts) if texts else [], strict=True):
            if tokens <= self._size.limit:
                yield draft, text, tokens
            elif len(draft.units) > 1:
                middle = len(draft.units) // 2
                second = self._under_header(draft.units[middle])
                second.units = draft.units[middle:]
                yield from self._fitted([ChunkDraft(draft.units[:middle], header=draft.header), second])
            elif draft.header:
                yield from self._fitted([ChunkDraft(draft.units)])
            else:
                yield draft, text, tokens

    def _chunk(self, draft: ChunkDraft, text: str, tokens: int) -> Chunk:
        first, last = draft.units[0], draft.units[-1]
        ordinal = self._ordinal
        self._ordinal += 1
        return Chunk(
            text=text,
            heading_path=draft.heading_path(),
            page_start=first.page,
            page_end=last.block.page_at(last.end - 1),
            page_label=None if first.page is None else self._labels.get(first.page),
            sheet=first.block.sheet,
            char_start=first.start,
            char_end=last.end,
            recognition_confidence=draft.confidence(),
            token_count=tokens,
            ordinal=ordinal,
        )


def _is_furniture(block: Block) -> bool:
    """Returns whether a paragraph may be the header or footer of a page, which stands within a list but is not of it."""
    is_short = block.kind is BlockKind.PARAGRAPH and len(block.text.split()) <= _MOST_FURNITURE_WORDS
    return is_short and block.text[-1:] not in ".:;!?"
