"""Raised marks in the picture of a line: recognition takes the mark in 25¹ for the last digit of 251."""

import re
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from typing import Any

from backend.documents.parsing import marks

_INK = 0.4  # of the way from the ground to the ink that differs most from it
_LEAST_HEIGHT = 0.15  # of the line's picture; less is a dot or a comma
_LEAST_RISE = 0.25  # of the height of a capital
_LEAST_TOP = 0.8
_LEAST_SHARE, _MOST_SHARE = 0.35, 0.8
_END = re.compile(r"(?:$|\s|[.,;:)\]](?:$|\s))")
_FRACTION = ("/", "⁄")

Box = tuple[int, int, int, int]
"""Left, upper, right and lower edge of a sign, in dots."""


def raised_digits(text: str, picture: Any, columns: list[int], width: float) -> set[int]:  # noqa: ANN401 — an array of numpy
    """Returns which digits of a line seem to be raised.

    `columns` say for each character but spaces where it stands, in steps of `width` dots.
    """
    signs = [at for at, sign in enumerate(text) if not sign.isspace()]
    if not any(map(str.isdecimal, text)) or len(columns) != len(signs):
        return set()
    places = [(column + 0.5) * width for column in columns]
    nearest = (min(zip(places, signs, strict=True), key=lambda at: abs(at[0] - middle)) for middle in _raised(picture))
    return {sign for _, sign in nearest if text[sign].isdecimal()}


def with_notes(text: str, raised: set[int]) -> str:
    """Returns the text with raised digits at the end of a word as notes; those of a fraction stand apart from the figure before.

    A digit within a figure is left alone: in a coarse picture any may seem to be raised.
    """
    read, at = "", 0
    for is_raised, run in groupby(range(len(text)), key=raised.__contains__):
        end = at + len(list(run))
        part = text[at:end]
        if is_raised and text[end : end + 1] in _FRACTION:
            part = f" {part}" if read[-1:].isdecimal() else part
        elif is_raised and read and not read[-1].isspace() and _END.match(text, end):
            part = marks.raised(read, part)
        read, at = read + part, end
    return read


def _raised(picture: Any) -> Iterator[float]:  # noqa: ANN401
    """Yields the middle of each sign that is smaller than others and stands above their line."""
    boxes = _boxes(picture)
    if boxes:
        base = sorted(bottom for _, _, _, bottom in boxes)[len(boxes) // 2]
        capital = sorted(bottom - top for _, top, _, bottom in boxes)[3 * len(boxes) // 4]
        for left, top, right, bottom in boxes:
            is_small = _LEAST_SHARE * capital < bottom - top < _MOST_SHARE * capital
            if is_small and bottom < base - _LEAST_RISE * capital and top < base - _LEAST_TOP * capital:
                yield (left + right) / 2


def _boxes(picture: Any) -> list[Box]:  # noqa: ANN401
    """Returns where the signs of a line stand in its picture."""
    cv2, numpy = import_module("cv2"), import_module("numpy")
    grey = picture.mean(axis=2)
    apart = numpy.abs(grey - numpy.median(grey))
    ink = (apart > _INK * apart.max()).astype("uint8")
    count, _, shapes, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    found = [(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h, _ in shapes[1:count]]
    least = _LEAST_HEIGHT * picture.shape[0]
    return [box for box in found if box[3] - box[1] >= least]
