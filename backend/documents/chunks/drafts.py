"""What chunks are made of: units that are not split, and drafts that gather them."""

import re
from dataclasses import dataclass, field, replace
from itertools import pairwise, takewhile

from backend.documents.parsing.blocks import Block, BlockKind

_WHITE_SPACE = re.compile(r"\s+")


@dataclass(slots=True, eq=False)
class ChunkUnit:
    """What is not split: a sentence, a heading, a table row, or a part of one that is above the limit."""

    block: Block
    start: int
    text: str
    path: tuple[str, ...]
    header: "list[ChunkUnit] | None" = None
    lead: "ChunkUnit | None" = None
    tokens: int = 0

    @property
    def end(self) -> int:
        """The first character after it."""
        return self.start + len(self.text)

    @property
    def page(self) -> int | None:
        """The page where it begins."""
        return self.block.page_at(self.start)


@dataclass(slots=True)
class ChunkDraft:
    """The units of a chunk to be, and what they stand under if they start within a table or a list."""

    units: list[ChunkUnit] = field(default_factory=list)
    tokens: int = 0
    header: list[ChunkUnit] = field(default_factory=list)

    def add(self, unit: ChunkUnit) -> None:
        """Puts a unit at the end."""
        self.units.append(unit)
        self.tokens += unit.tokens

    def text(self) -> str:
        """Returns the text of the chunk, under its header if it has one."""
        header = "".join(f"{unit.text}\n" for unit in self.header)
        return header + self.units[0].text + "".join(_gap(a, b) + b.text for a, b in pairwise(self.units))

    def confidence(self) -> int | None:
        """Returns how sure recognition is of the parts that it recognised, by their lengths; None if there are none."""
        sure = [(unit.block.confidence, len(unit.text)) for unit in self.units if unit.block.confidence is not None]
        return sum(share * length for share, length in sure) // sum(length for _, length in sure) if sure else None

    def heading_path(self) -> tuple[str, ...]:
        """Returns the headings that all of it is under."""
        body = [unit.path for unit in self.units if unit.block.kind is not BlockKind.HEADING]
        paths = body or [self.units[-1].path]
        return tuple(names[0] for names in takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False)))


def _gap(before: ChunkUnit, after: ChunkUnit) -> str:
    if before.block is not after.block:
        return "\n"
    offset = before.block.start
    return before.block.text[before.end - offset : after.start - offset]


def place_of(unit: ChunkUnit) -> tuple[str | None, int | None]:
    """Returns the sheet and the page of a unit."""
    return unit.block.sheet, unit.page


def ends_structure(last: ChunkUnit, unit: ChunkUnit) -> bool:
    """Returns whether a page, a section or a table ends between two units."""
    starts_section = unit.block.kind is BlockKind.HEADING and last.block.kind is not BlockKind.HEADING
    return last.page != unit.page or starts_section or last.header is not unit.header


def halves(unit: ChunkUnit) -> list[ChunkUnit]:
    """Cuts a unit at the white space nearest its middle, or in the middle if it has none near it."""
    middle = len(unit.text) // 2
    spaces = _WHITE_SPACE.finditer(unit.text, middle // 2, middle + middle // 2 + 1)
    nearest = min(spaces, key=lambda space: abs(space.start() - middle), default=None)
    left_end, right_start = (nearest.start(), nearest.end()) if nearest else (middle, middle)
    left = replace(unit, text=unit.text[:left_end])
    return [left, replace(unit, text=unit.text[right_start:], start=unit.start + right_start)]
