"""Presentations, through python-pptx."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pptx import Presentation
from pptx.shapes.autoshape import Shape
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.slide import Slide
from pptx.text.text import TextFrame

from backend.documents.parsing.blocks import BlockKind, Findings, Fragment, collapse, row_text


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield each visible slide's title, shapes from top to bottom, and notes; slides are pages, from 1."""
    presentation = Presentation(str(path))
    findings.title = presentation.core_properties.title.strip() or None
    findings.count_pages(len(presentation.slides))
    for number, slide in enumerate(presentation.slides, start=1):
        if slide.element.get("show") == "0":
            findings.warn(f"The hidden slide {number} is not read.")
            continue
        for fragment in _slide(slide):
            yield fragment._replace(page=number)


def _slide(slide: Slide) -> Iterator[Fragment]:
    title = slide.shapes.title
    if title is not None and (text := collapse(title.text_frame.text)):
        yield Fragment(BlockKind.HEADING, text, level=1)
    for shape in _from_top(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            yield from _shape(shape)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        yield from _paragraphs(slide.notes_slide.notes_text_frame)


def _from_top(shapes: Iterable[BaseShape]) -> list[BaseShape]:
    """Order shapes as they are read: in the file they stand in the order they were drawn."""
    return sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0))


def _shape(shape: BaseShape) -> Iterator[Fragment]:
    if isinstance(shape, GroupShape):
        for member in _from_top(shape.shapes):
            yield from _shape(member)
    elif isinstance(shape, GraphicFrame) and shape.has_table:
        kind = BlockKind.TABLE_HEADER
        for row in shape.table.rows:
            if text := row_text(cell.text for cell in row.cells if not cell.is_spanned):
                yield Fragment(kind, text)
                kind = BlockKind.TABLE_ROW
    elif isinstance(shape, Shape):
        yield from _paragraphs(shape.text_frame)


def _paragraphs(frame: TextFrame) -> Iterator[Fragment]:
    texts = [text for paragraph in frame.paragraphs if (text := collapse(paragraph.text))]
    kind = BlockKind.LIST_ITEM if len(texts) > 1 else BlockKind.PARAGRAPH
    for text in texts:
        yield Fragment(kind, text)
