"""Presentations, through python-pptx."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pptx import Presentation
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.shapes.autoshape import Shape
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.shapes.picture import Picture
from pptx.slide import Slide
from pptx.text.text import TextFrame

from backend.documents.parsing import marks
from backend.documents.parsing.blocks import BlockKind, Fragment, collapse
from backend.documents.parsing.charts import chart_rows
from backend.documents.parsing.equations import joined
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.grids import Cell, Grid
from backend.documents.parsing.numerals import formatted
from backend.documents.parsing.openxml import Element, Package, meaningful_title
from backend.documents.parsing.slide_lists import bullet, list_styles
from backend.documents.parsing.slide_visibility import Visibility
from backend.documents.parsing.word.equations import M, linear

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_ALTERNATE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_NUMBER_STYLES = {"alphaLc": "lowerLetter", "alphaUc": "upperLetter", "romanLc": "lowerRoman", "romanUc": "upperRoman"}
_LEVELS = 9


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yields each visible slide's title, shapes as they are read, and notes; slides are pages, from 1."""
    package = Package(path)
    presentation = Presentation(package.as_transitional() if package.is_strict else str(path))
    bounds = (presentation.slide_width or 0, presentation.slide_height or 0)
    seen: set[str] = set()
    findings.title = meaningful_title(presentation.core_properties.title or "")
    findings.count_pages(len(presentation.slides))
    for number, slide in enumerate(presentation.slides, start=1):
        if slide.element.get("show") == "0":
            findings.warn(WarningKind.HIDDEN_CONTENT, f"slide {number}", "The hidden slide is left out.")
            continue
        reader = _Slide(package, findings, number, Visibility(slide, bounds))
        for fragment in reader.read(slide):
            yield fragment._replace(page=number)
        for fragment in reader.furniture(slide):
            if fragment.text not in seen:
                seen.add(fragment.text)
                yield fragment._replace(page=number)


class _Slide:
    def __init__(self, package: Package, findings: Findings, number: int, visibility: Visibility) -> None:
        self._package = package
        self._findings = findings
        self._place = f"slide {number}"
        self._visibility = visibility
        self._is_on_ground = True

    def read(self, slide: Slide) -> Iterator[Fragment]:
        title = slide.shapes.title
        if title is not None and (text := collapse(self._text(title.text_frame._txBody))):  # noqa: SLF001 — has no other name
            yield Fragment(BlockKind.HEADING, text, level=1)
        for shape in _as_read(slide.shapes):
            if title is None or shape.shape_id != title.shape_id:
                yield from self._shape(shape)
        for element in slide.element.iter(_ALTERNATE):
            yield from self._alternative(element)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            yield from self._paragraphs(slide.notes_slide.notes_text_frame)
        if any(relationship.reltype.endswith("/comments") for relationship in slide.part.rels.values()):
            self._warn(WarningKind.ANNOTATION, "Comments are left out.")

    def furniture(self, slide: Slide) -> Iterator[Fragment]:
        """Yields what the slide's layout and master print on it; placeholders there only say what belongs into them."""
        for layer in (slide.slide_layout, slide.slide_layout.slide_master):
            for shape in layer.shapes:
                if isinstance(shape, Shape) and not shape.is_placeholder:
                    yield from self._paragraphs(shape.text_frame)

    def _warn(self, kind: WarningKind, detail: str) -> None:
        self._findings.warn(kind, self._place, detail)

    def _shape(self, shape: BaseShape, *, is_member: bool = False) -> Iterator[Fragment]:
        left_out = self._visibility.left_out(shape, is_member=is_member)
        if left_out is not None:
            self._warn(*left_out)
        elif isinstance(shape, GroupShape):
            for member in _as_read(shape.shapes):
                yield from self._shape(member, is_member=True)
        elif isinstance(shape, GraphicFrame):
            yield from self._graphic(shape)
        elif isinstance(shape, Picture):
            self._warn(WarningKind.PICTURE, "A picture is not read.")
        elif isinstance(shape, Shape) and not _is_slide_number(shape):
            self._is_on_ground = self._visibility.is_on_ground(shape)
            yield from self._paragraphs(shape.text_frame, list_styles(shape))
            self._is_on_ground = True

    def _graphic(self, shape: GraphicFrame) -> Iterator[Fragment]:
        if shape.has_table:
            grid = Grid()
            for row in shape.table.rows:
                cells = [
                    Cell(collapse(self._text(cell._tc)), cell.span_width, cell.span_height)  # noqa: SLF001 — has no other name
                    for cell in row.cells
                    if not cell.is_spanned
                ]
                yield from grid.row(cells, first_is_header=True)
        elif shape.has_chart:
            rows = chart_rows(self._package, str(shape.chart.part.partname).lstrip("/"))
            yield from rows
            if not rows:
                self._warn(WarningKind.CHART, "A chart is not read.")
        elif "diagram" in shape.element.xml:
            self._warn(WarningKind.PICTURE, "A diagram is not read.")
        else:
            self._warn(WarningKind.EMBEDDED_FILE, "An embedded object is not read.")

    def _alternative(self, element: Element) -> Iterator[Fragment]:
        """Reads the words of content that only newer programs show, such as equations; a chart in it becomes a warning."""
        choice = element.find("{*}Choice")
        texts = [] if choice is None else [collapse(self._text(paragraph)) for paragraph in choice.iter(_A + "p")]
        for text in filter(None, texts):
            yield Fragment(BlockKind.PARAGRAPH, text)
        if any(texts):
            return
        if choice is not None and "chart" in (choice.get("Requires") or ""):
            self._warn(WarningKind.CHART, "A chart is not read.")

    def _paragraphs(self, frame: TextFrame, styles: Sequence[Element] = ()) -> Iterator[Fragment]:
        counts = [0] * _LEVELS
        texts = []
        for paragraph in frame._txBody.iterchildren(_A + "p"):  # noqa: SLF001 — has no other name
            number = _number(paragraph, styles, counts)
            if text := collapse(self._text(paragraph)):
                texts.append(f"{number} {text}" if number else text)
        kind = BlockKind.LIST_ITEM if len(texts) > 1 else BlockKind.PARAGRAPH
        for text in texts:
            yield Fragment(kind, text)

    def _text(self, element: Element) -> str:
        """Returns the words of runs: struck-out ones are left out and raised ones stand apart."""
        pieces: list[str] = []
        for node in element.iter(_A + "r", _A + "br", _A + "fld", _A + "p", M + "oMath"):
            if node.tag == M + "oMath":
                pieces.append(linear(node))
                continue
            if node.tag in {_A + "br", _A + "p"}:
                pieces.append(" ")
                continue
            text = node.findtext(_A + "t") or ""
            properties = node.find(_A + "rPr")
            if properties is not None and properties.get("strike", "noStrike") != "noStrike" and text.strip():
                self._warn(WarningKind.STRUCK_OUT, "Struck-out text is left out.")
                continue
            if not self._is_on_ground and self._visibility.is_white(properties) and text.strip():
                self._warn(WarningKind.INVISIBLE_TEXT, "White text on white is left out.")
                continue
            shift = 0 if properties is None else _integer(properties.get("baseline"))
            if shift:
                text = (marks.raised if shift > 0 else marks.lowered)("".join(pieces[-4:]), text)
            pieces.append(text)
        return joined(pieces)


def _as_read(shapes: Iterable[BaseShape]) -> list[BaseShape]:
    """Orders shapes by rows from the top, each from the left: in the file they stand in the order they were drawn."""
    rows: list[list[BaseShape]] = []
    for shape in sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        top = shape.top or 0
        if rows and top < (rows[-1][0].top or 0) + min(rows[-1][0].height or 0, shape.height or 0) / 4:
            rows[-1].append(shape)
        else:
            rows.append([shape])
    return [shape for row in rows for shape in sorted(row, key=lambda shape: shape.left or 0)]


def _is_slide_number(shape: Shape) -> bool:
    return shape.is_placeholder and shape.placeholder_format.type == PP_PLACEHOLDER.SLIDE_NUMBER


def _number(paragraph: Element, styles: Sequence[Element], counts: list[int]) -> str:
    """Counts a paragraph of a numbered list; returns its number as shown, or the empty string."""
    properties = paragraph.find(_A + "pPr")
    level = min(_integer(properties.get("lvl")), _LEVELS - 1) if properties is not None else 0
    counts[level + 1 :] = [0] * (_LEVELS - level - 1)
    numbered = bullet(paragraph, styles, level)
    if numbered is None or numbered.tag != _A + "buAutoNum" or next(paragraph.iter(_A + "t"), None) is None:
        counts[level] = 0
        return ""
    counts[level] = counts[level] + 1 if counts[level] else max(1, _integer(numbered.get("startAt")))
    style = numbered.get("type", "arabicPeriod")
    named = next((name for prefix, name in _NUMBER_STYLES.items() if style.startswith(prefix)), "decimal")
    text = formatted(counts[level], named)
    if style.endswith("ParenBoth"):
        return f"({text})"
    return text + (")" if style.endswith("ParenR") else "." if style.endswith("Period") else "")


def _integer(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0
