"""What is drawn on a page besides text: pictures, grounds that make white text readable, lines through words."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

_THICKEST_LINE = 1.6
_THICKEST_SHARE = 0.16  # of the height of the type that a line strikes out
_SAME_COLOUR = 6
_WHOLE_LINE = 0.12
_BESIDE = 1.0

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""
Colour = tuple[int, int, int]
_PAPER: Colour = (255, 255, 255)


class Fill(NamedTuple):
    """What is filled on a page: its place in the order of drawing, and its colour unless that is not one or not known."""

    order: float
    box: Box
    colour: Colour | None


class Lines(NamedTuple):
    """The thin lines of a page: level rules and upright ones."""

    rules: Sequence[Box] = ()
    uprights: Sequence[Box] = ()


@dataclass
class Drawn:
    """The boxes of pictures and grounds, and thin level lines by the whole points around their height."""

    pictures: list[Box] = field(default_factory=list)
    grounds: list[Box] = field(default_factory=list)
    lines: dict[int, list[Box]] = field(default_factory=dict)
    rules: list[Box] = field(default_factory=list)
    uprights: list[Box] = field(default_factory=list)
    covers: list[tuple[float, Box]] = field(default_factory=list)
    """What is drawn opaque in black or white over text before it, each with its place in the order of drawing."""
    fills: list[Fill] = field(default_factory=list)
    has_paths: bool = False
    orders: dict[int, float] = field(default_factory=dict)
    """The place of each text object, by its address, in the order of drawing."""
    within_forms: set[int] = field(default_factory=set)
    """The text objects of forms, which draw a part of the page in one step and may be switched off."""
    is_whole: bool = True
    """Whether all objects of the page were looked at."""

    def strikes(self, left: float, right: float, bottom: float, top: float) -> bool:
        """Returns whether a line is drawn through the middle of a word."""
        height = top - bottom
        middle = bottom + 0.46 * height
        near = self.lines.get(int(middle))
        if near is None:  # as for by far most words
            return False
        centre = (left + right) / 2
        return any(
            line[0] <= centre <= line[2]
            and abs((line[1] + line[3]) / 2 - middle) < _WHOLE_LINE * height
            and line[3] - line[1] < max(_THICKEST_LINE, _THICKEST_SHARE * height)
            for line in near
        )

    def is_on_ground(self, left: float, right: float, bottom: float, top: float) -> bool:
        """Returns whether something that is not white is drawn behind the middle of a word."""
        across, up = (left + right) / 2, (bottom + top) / 2
        return any(box[0] <= across <= box[2] and box[1] <= up <= box[3] for box in self.grounds)

    def parts(self, left: float, right: float, bottom: float, top: float) -> bool:
        """Returns whether an upright line stands in a gap between words, as between the cells of a table."""
        if not self._across:
            return False
        middle = (bottom + top) / 2
        place = bisect_left(self._across, (left - _BESIDE,))
        while place < len(self._across) and self._across[place][0] <= right + _BESIDE:
            if self._across[place][1] <= middle <= self._across[place][2]:
                return True
            place += 1
        return False

    @cached_property
    def _across(self) -> list[tuple[float, float, float]]:
        return sorted(((box[0] + box[2]) / 2, box[1], box[3]) for box in self.uprights)

    def is_on_picture(self, left: float, right: float, bottom: float, top: float) -> bool:
        """Returns whether words stand in a picture, as those that a scanner recognised do."""
        across, up = (left + right) / 2, (bottom + top) / 2
        return any(box[0] <= across <= box[2] and box[1] <= up <= box[3] for box in self.pictures)

    def covers_text(self, text: int, left: float, right: float, bottom: float, top: float) -> bool:
        """Returns whether words of the text object at this address are under something that was drawn after them."""
        across, up = (left + right) / 2, (bottom + top) / 2
        order = self.orders.get(text)
        if order is None:
            return False
        for later, box in reversed(self.covers):
            if later < order:
                break
            if _holds(box, across, up):
                return True
        return False

    def is_in_colour_of_ground(self, text: int, colour: Colour, place: Box) -> bool:
        """Returns whether words of the text object at this address have the colour of what was drawn last behind them.

        Where that has several colours, as a picture has, or one that is not known, the words are taken to be seen,
        and so are words of which it is not known what was drawn before them.
        """
        order = self.orders.get(text)
        if order is None:
            return False
        left, bottom, right, top = place
        across, up = (left + right) / 2, (bottom + top) / 2
        is_paper = _is_same(_PAPER, colour)
        if not is_paper and not any(_holds(fill.box, across, up) for fill in self.fills_of(colour)):
            return False
        for fill in reversed(self.fills):
            if fill.order < order and _holds(fill.box, across, up):
                return fill.colour is not None and _is_same(fill.colour, colour)
        return is_paper

    def fills_of(self, colour: Colour) -> list[Fill]:
        """Returns what is filled with nearly this colour."""
        if colour not in self._by_colour:
            self._by_colour[colour] = [fill for fill in self.fills if fill.colour and _is_same(fill.colour, colour)]
        return self._by_colour[colour]

    @cached_property
    def _by_colour(self) -> dict[Colour, list[Fill]]:
        return {}


def _holds(box: Box, across: float, up: float) -> bool:
    return box[0] <= across <= box[2] and box[1] <= up <= box[3]


def _is_same(one: Colour, other: Colour) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= _SAME_COLOUR
