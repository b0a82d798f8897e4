"""Pages that are pictures: the words that RapidOCR recognises in them, where they stand, and how sure that is.

Its packages come with `affidavit[scans]`, its weights in their wheel: nothing is fetched. It runs in the parser's process with
one thread, so that the same picture gives the same words, and only once a page needs it: loading it takes about a second.
"""

import math
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pypdfium2

from backend.documents.parsing.pdf.glyph_runs import GlyphRun
from backend.documents.parsing.pdf.pictured_marks import raised_digits, with_notes

_SCALE = 200 / 72  # dots for each point, unless the page is larger than _LONGEST_SIDE
_LONGEST_SIDE = 2560
_LONGEST_SIDE_TO_FIND = 1600
_SHORTEST_SIDE = 32
_NO_WORDS = 0.5
"""Below this the shapes may be no words at all."""
_UNSURE = 0.9
_FIGURE = re.compile(r"\S*\d\S*")
_UPRIGHT = 1.5
_SLANTING = math.radians(15)
_LINE_RATIO = 4
_SAMPLE = 7
_SAMPLE_RATIO = 8
_NEAR_THE_USUAL = (0.72, 1.35)
_OF_THE_BOX = 0.8
"""What a font's ascender and descender take of the box that is found around a line."""
_MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
}
_UPSIDE_DOWN = "180"
_NO_MEMORY = re.compile(r"(?i)alloc|insufficient memory|out of memory")


class RecognisedPage(NamedTuple):
    """What was recognised on a page; `height` is that of most of its type, in points."""

    pieces: list[GlyphRun]
    uncertain: list[str]
    height: float
    has_unreadable: bool
    is_turned: bool
    """Whether the picture lies on its side or head in its page."""


class _Line(NamedTuple):
    """A line that was recognised: its corners from the top left, clockwise, in dots, and how sure each character is."""

    corners: Any
    text: str
    sure: list[float]
    uncertain: list[str]

    @property
    def confidence(self) -> float:
        return sum(self.sure) / len(self.sure)


class Recogniser:
    """Recognises pages, one after the other."""

    def __init__(self) -> None:
        """Loads nothing yet."""
        self._engine: Any = None

    def recognise(self, page: pypdfium2.PdfPage) -> RecognisedPage:
        """Returns the words of a page as it is shown; lengths are in points from its lower left corner. Raises MemoryError."""
        width, height = page.get_size()
        scale = min(_SCALE, _LONGEST_SIDE / max(width, height))
        try:
            if self._engine is None:
                self._engine = _loaded()
            lines, shape, turns = self._lines(_picture(page, scale))
        except Exception as error:
            # Libraries have many words for too little memory, and a failing import is among them.
            if self._engine is None or _NO_MEMORY.search(str(error)):
                raise MemoryError from error
            raise
        return _placed(lines, shape, turns, scale)

    def _lines(self, picture: Any) -> tuple[list[_Line], tuple[int, int], int]:  # noqa: ANN401 — an array of numpy
        """Returns the lines of a picture, its height and width once it is upright, and how many quarter turns that took."""
        numpy = import_module("numpy")
        turns = 0
        crops, boxes = self._found(picture)
        if boxes and sum(_is_upright(box) for box in boxes) > len(boxes) / 2:
            turns = 1
            picture = numpy.ascontiguousarray(numpy.rot90(picture))
            crops, boxes = self._found(picture)
        if crops and self._is_upside_down(crops):
            turns += 2
            picture = numpy.ascontiguousarray(numpy.rot90(picture, 2))
            crops, boxes = self._found(picture)
        if not crops:
            return [], picture.shape[:2], turns
        read = self._engine.recognize_txt(crops)
        found = zip(crops, boxes, read.txts, read.word_results, strict=True)
        lines = [_line(crop, box, text, words) for crop, box, text, words in found if text.strip()]
        return lines, picture.shape[:2], turns

    def _found(self, picture: Any) -> tuple[list[Any], list[Any]]:  # noqa: ANN401
        detector_error = import_module("rapidocr.main").RapidOCRError
        try:
            crops, found = self._engine.detect_and_crop(picture, {})
        except detector_error:  # as it says that there are none
            return [], []
        return crops, list(found.boxes)

    def _is_upside_down(self, crops: list[Any]) -> bool:
        """Returns whether lines make more sense the other way round; whether to ask is what the classifier is good for."""
        numpy = import_module("numpy")
        begins = [crop[:, : _SAMPLE_RATIO * crop.shape[0]] for crop in sorted(crops, key=lambda crop: -crop.shape[1])]
        sample = begins[:_SAMPLE]
        _, said = self._engine.cls_and_rotate(sample)
        if sum(_UPSIDE_DOWN in label for label, _ in said.cls_res) < len(sample) / 4:
            return False
        turned = [numpy.ascontiguousarray(numpy.rot90(crop, 2)) for crop in sample]
        return bool(sum(self._engine.recognize_txt(turned).scores) > sum(self._engine.recognize_txt(sample).scores))


def _loaded() -> Any:  # noqa: ANN401
    if sys.modules.get("numpy", sys) is None:  # as parsers have it, which do without
        del sys.modules["numpy"]
    cv2 = import_module("cv2")
    cv2.setNumThreads(0)
    rapidocr = import_module("rapidocr")
    folder = Path(str(rapidocr.__file__)).with_name("models")
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_preprocess_img": False,
            "Global.use_vertical_padding": False,
            "Global.return_word_box": True,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            # One by one, lines take a sixth of the memory, and what is beside a line changes nothing of it.
            "Rec.rec_batch_num": 1,
            # Lines are found as well in a smaller picture, in a third of the time; they are read in the larger one.
            "Det.limit_type": "max",
            "Det.limit_side_len": _LONGEST_SIDE_TO_FIND,
            "Cls.cls_batch_num": 1,
            **{f"{part}.model_path": str(folder / name) for part, name in _MODELS.items()},
        }
    )


def _picture(page: pypdfium2.PdfPage, scale: float) -> Any:  # noqa: ANN401
    """Returns the page as dots in blue, green and red; one that is narrower than anything readable is widened with white."""
    numpy = import_module("numpy")
    bitmap = page.render(scale=scale, may_draw_forms=True)
    dots = numpy.array(bitmap.to_numpy()[:, :, :3])
    bitmap.close()
    below, beside = (max(0, _SHORTEST_SIDE - side) for side in dots.shape[:2])
    return numpy.pad(dots, ((0, below), (0, beside), (0, 0)), constant_values=255) if below or beside else dots


def _is_upright(box: Any) -> bool:  # noqa: ANN401
    across, down = math.dist(box[0], box[1]), math.dist(box[1], box[2])
    return down > _UPRIGHT * across


def _placed(lines: list[_Line], shape: tuple[int, int], turns: int, scale: float) -> RecognisedPage:
    """Returns the lines as pieces of a page that lies straight, with one height of type where it is nearly the same."""
    slant = _slant(lines)
    middle = (shape[1] / 2, shape[0] / 2)
    readable = [line for line in lines if line.confidence >= _NO_WORDS]
    boxes = [_box(line.corners, slant, middle) for line in readable]
    usual = _usual_height(readable, boxes)
    pieces = []
    for line, (left, upper, right, lower) in zip(readable, boxes, strict=True):
        height = lower - upper
        if usual * _NEAR_THE_USUAL[0] <= height <= usual * _NEAR_THE_USUAL[1]:
            height = usual
        centre, half = shape[0] - (upper + lower) / 2, _OF_THE_BOX * height / 2
        pieces.append(
            GlyphRun(
                line.text.strip(), left / scale, right / scale, (centre - half) / scale, (centre + half) / scale,
                first=-1, last=-1, confidence=int(100 * line.confidence),
            )
        )  # fmt: skip
    uncertain = [figure for line in readable for figure in line.uncertain]
    return RecognisedPage(pieces, uncertain, _OF_THE_BOX * usual / scale, len(readable) < len(lines), bool(turns))


def _slant(lines: list[_Line]) -> float:
    """Returns the angle by which most long lines rise or fall, as on paper that was laid down askew."""
    angles = [
        math.atan2(line.corners[1][1] - line.corners[0][1], line.corners[1][0] - line.corners[0][0])
        for line in lines
        if math.dist(line.corners[0], line.corners[1]) > _LINE_RATIO * math.dist(line.corners[1], line.corners[2])
    ]
    angle = median(angles) if angles else 0.0
    return angle if abs(angle) < _SLANTING else 0.0


def _box(corners: Any, slant: float, middle: tuple[float, float]) -> tuple[float, float, float, float]:  # noqa: ANN401
    cosine, sine = math.cos(slant), math.sin(slant)
    across, down = [], []
    for x, y in corners:
        right, below = float(x) - middle[0], float(y) - middle[1]
        across.append(middle[0] + right * cosine + below * sine)
        down.append(middle[1] - right * sine + below * cosine)
    return min(across), min(down), max(across), max(down)


def _usual_height(lines: list[_Line], boxes: list[tuple[float, float, float, float]]) -> float:
    """Returns the height of the line below which half of the text is set."""
    heights = sorted((box[3] - box[1], len(line.text)) for line, box in zip(lines, boxes, strict=True))
    half = sum(length for _, length in heights) / 2
    for height, length in heights:
        half -= length
        if half <= 0:
            return height
    return 0.0


def _line(crop: Any, box: Any, text: str, words: Any) -> _Line:  # noqa: ANN401
    columns = [column for word in words.word_cols for column in word]
    raised = raised_digits(text, crop, columns, crop.shape[1] / words.line_txt_len)
    sure = [0.0 if at in raised else share for at, share in enumerate(words.confs)]
    return _Line(box, with_notes(text, raised), list(words.confs), _uncertain(text, sure))


def _uncertain(text: str, sure: Sequence[float]) -> list[str]:
    """Returns the figures of a line of which one sign is unsure, or may be a raised mark."""
    return [
        found[0] for found in _FIGURE.finditer(text) if min(sure[found.start() : found.end()], default=1.0) < _UNSURE
    ]
