"""Which paragraphs of a slide are numbered: by themselves, by their shape, its layout, or the slide's master."""

from collections.abc import Sequence

from pptx.shapes.autoshape import Shape

from backend.documents.parsing.openxml import Element

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_BULLETS = tuple(_A + name for name in ("buNone", "buAutoNum", "buChar", "buBlip"))
_DEEPEST = 4  # shape, layout, master, and one more


def list_styles(shape: Shape) -> Sequence[Element]:
    """Returns the styles of lists that count for a shape, the one that counts most first."""
    styles = []
    above = shape
    for _ in range(_DEEPEST):
        styles += list(above.element.iterfind(f"{_P}txBody/{_A}lstStyle"))
        if not above.is_placeholder or (base := getattr(above, "_base_placeholder", None)) is None:
            break
        above = base
    slide = getattr(shape.part, "slide", None)
    if shape.is_placeholder and slide is not None:
        styles += list(slide.slide_layout.slide_master.element.iterfind(f"{_P}txStyles/{_P}bodyStyle"))
    return styles


def bullet(paragraph: Element, styles: Sequence[Element], level: int) -> Element | None:
    """Returns what stands before a paragraph at a level of a list, None where nothing says it."""
    own = paragraph.find(_A + "pPr")
    said = [own, *(style.find(f"{_A}lvl{level + 1}pPr") for style in styles)]
    found = (child for properties in said if properties is not None for child in properties if child.tag in _BULLETS)
    return next(found, None)
