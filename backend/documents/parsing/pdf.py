"""PDF pages as fragments, through PDFium."""

from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium

from backend.documents.parsing import pdf_layout
from backend.documents.parsing.blocks import Fragment, collapse
from backend.documents.parsing.errors import CorruptFile, EncryptedPdf
from backend.documents.parsing.findings import Findings, WarningKind, listed
from backend.documents.parsing.pdf_layout import Line

_BOLD_FROM = 600
_FONT_NAME_BYTES = 64


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield the text of each page in reading order, one page in memory at a time; pages count from 1."""
    with _opened(path) as document:
        findings.count_pages(len(document))
        findings.title = collapse(document.get_metadata_value("Title")) or None
        if document.get_formtype() != pdfium.FORMTYPE_NONE:
            findings.warn(WarningKind.FORM_FIELD, "whole file", "The values of form fields are not read.")
        textless = []
        running_head = None
        for index in range(len(document)):
            lines = _page_lines(document, index)
            if not lines:
                textless.append(index + 1)
                continue
            yield from pdf_layout.fragments(lines, index + 1, running_head)
            running_head = lines[0].text
        if textless:
            where = listed(textless, "page", "pages")
            findings.warn(WarningKind.SCANNED_PAGE, where, "No text (scanned or empty).")


def _opened(path: Path) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
            raise EncryptedPdf from error
        raise CorruptFile("The PDF is damaged.") from error


def _page_lines(document: pypdfium2.PdfDocument, index: int) -> list[Line]:
    try:
        page = document[index]
    except pypdfium2.PdfiumError as error:
        raise CorruptFile(f"Page {index + 1} of the PDF is damaged.") from error
    textpage = page.get_textpage()
    try:
        return _lines(textpage)
    finally:
        textpage.close()
        page.close()


def _lines(textpage: pypdfium2.PdfTextPage) -> list[Line]:
    # PDFium marks a hyphen at the end of a line, where it joins the two lines, with this noncharacter.
    text = textpage.get_text_range().replace("\ufffe", "-")
    lines = []
    start = 0
    for raw in text.splitlines(keepends=True):
        content = raw.strip()
        if content:
            first = start + raw.index(content[0])
            lines.append(_measured(textpage, content, first, first + len(content) - 1))
        start += len(raw)
    return lines


def _measured(textpage: pypdfium2.PdfTextPage, text: str, first: int, last: int) -> Line:
    """Measure the line by its first and last character: to ask for all would cost more than the parsing."""
    first_index = pdfium.FPDFText_GetCharIndexFromTextIndex(textpage, first)
    last_index = pdfium.FPDFText_GetCharIndexFromTextIndex(textpage, last)
    start, end = pdfium.FS_RECTF(), pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(textpage, first_index, start)
    pdfium.FPDFText_GetLooseCharBox(textpage, last_index, end)
    bold = _is_bold(textpage, first_index) and _is_bold(textpage, last_index)
    return Line(collapse(text), start.left, end.right, start.bottom, abs(start.top - start.bottom), bold)


def _is_bold(textpage: pypdfium2.PdfTextPage, index: int) -> bool:
    if pdfium.FPDFText_GetFontWeight(textpage, index) >= _BOLD_FROM:
        return True
    name = (pdfium.c_char * _FONT_NAME_BYTES)()
    pdfium.FPDFText_GetFontInfo(textpage, index, name, _FONT_NAME_BYTES, None)
    return b"bold" in name.value.lower()
