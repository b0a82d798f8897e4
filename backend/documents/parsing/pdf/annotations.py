"""What is laid over a page: values of form fields, typed remarks, and marks that strike words out."""

import ctypes
from collections.abc import Iterator
from typing import Any, NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.pdf.glyph_runs import GlyphRun
from backend.documents.parsing.pdf.objects import Box

_HIDDEN = 0x2
_PASSWORD_FIELD = 1 << 13
_MOST_ANNOTATIONS = 5_000
_LONGEST_VALUE = 65_536
_LINE_HEIGHT = 12.0
_PLAYED = {
    pdfium.FPDF_ANNOT_SOUND,
    pdfium.FPDF_ANNOT_MOVIE,
    pdfium.FPDF_ANNOT_SCREEN,
    pdfium.FPDF_ANNOT_THREED,
    pdfium.FPDF_ANNOT_RICHMEDIA,
}
_VALUED = {pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX}
_TICKED = {pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON}


class Overlay(NamedTuple):
    """The pieces that annotations add to a page, and the boxes of words that they strike out."""

    pieces: list[GlyphRun]
    struck: list[Box]


def overlay_of(page: pypdfium2.PdfPage, form: Any, place: str, findings: Findings) -> Overlay:  # noqa: ANN401 — a handle of PDFium
    """Returns what annotations show on a page, and tells what of them is left out."""
    overlay = Overlay([], [])
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page.raw), _MOST_ANNOTATIONS)):
        annotation = pdfium.FPDFPage_GetAnnot(page.raw, index)
        if not annotation:
            continue
        try:
            _read(annotation, form, place, findings, overlay)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
    return overlay


def _read(annotation: Any, form: Any, place: str, findings: Findings, overlay: Overlay) -> None:  # noqa: ANN401
    kind = pdfium.FPDFAnnot_GetSubtype(annotation)
    if kind == pdfium.FPDF_ANNOT_LINK or pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
        return
    if kind == pdfium.FPDF_ANNOT_WIDGET:
        value = _field(annotation, form, place, findings)
        overlay.pieces.extend(_pieces(value, _box(annotation)))
    elif kind == pdfium.FPDF_ANNOT_FREETEXT:
        overlay.pieces.extend(_pieces(_contents(annotation), _box(annotation)))
    elif kind == pdfium.FPDF_ANNOT_STRIKEOUT:
        overlay.struck.extend(_quads(annotation))
        findings.warn(WarningKind.STRUCK_OUT, place, "Struck-out text is left out.")
    elif kind == pdfium.FPDF_ANNOT_FILEATTACHMENT:
        findings.warn(WarningKind.EMBEDDED_FILE, place, "An attached file is not read.")
    elif kind in _PLAYED:
        findings.warn(WarningKind.EMBEDDED_FILE, place, "A film, sound or model is not read.")
    elif kind == pdfium.FPDF_ANNOT_STAMP:
        findings.warn(WarningKind.ANNOTATION, place, "A stamp is not read.")
    elif kind != pdfium.FPDF_ANNOT_POPUP and _contents(annotation):
        findings.warn(WarningKind.ANNOTATION, place, "A reader's remark is left out.")


def _field(annotation: Any, form: Any, place: str, findings: Findings) -> str:  # noqa: ANN401
    if form is None:
        findings.warn(WarningKind.FORM_FIELD, place, "A form field is not read.")
        return ""
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in _TICKED:
        return "☒" if pdfium.FPDFAnnot_IsChecked(form, annotation) else "☐"
    if kind not in _VALUED:
        return ""
    if pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD_FIELD:
        findings.warn(WarningKind.PROTECTED_PART, place, "The value of a password field is left out.")
        return ""
    return _string(lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size))


def _contents(annotation: Any) -> str:  # noqa: ANN401
    return _string(lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", buffer, size))


def _string(get: Any) -> str:  # noqa: ANN401
    size = get(None, 0)
    if not 2 < size <= _LONGEST_VALUE:
        return ""
    buffer = ctypes.create_string_buffer(size)
    get(ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace").strip()


def _box(annotation: Any) -> Box:  # noqa: ANN401
    box = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(annotation, box)
    return box.left, min(box.bottom, box.top), box.right, max(box.bottom, box.top)


def _pieces(text: str, box: Box) -> Iterator[GlyphRun]:
    """Yields the lines of a value in its box, from the top; a single line stands in the middle of its height."""
    lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
    height = min(_LINE_HEIGHT, (box[3] - box[1]) / max(len(lines), 1)) or 1.0
    top = (box[1] + box[3] + height) / 2 if len(lines) == 1 else box[3]
    for line in lines:
        yield GlyphRun(line.strip(), box[0], box[2], top - height, top, -1, -1)
        top -= height


def _quads(annotation: Any) -> Iterator[Box]:  # noqa: ANN401
    for index in range(pdfium.FPDFAnnot_CountAttachmentPoints(annotation)):
        points = pdfium.FS_QUADPOINTSF()
        if pdfium.FPDFAnnot_GetAttachmentPoints(annotation, index, points):
            across = (points.x1, points.x2, points.x3, points.x4)
            up = (points.y1, points.y2, points.y3, points.y4)
            yield min(across), min(up), max(across), max(up)
