"""PDF documents page by page: each is laid out with its neighbours in view, which show what is page furniture."""

from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from backend.documents.parsing.blocks import BlockKind, Fragment, clean, collapse
from backend.documents.parsing.errors import CorruptFile, EncryptedPdf
from backend.documents.parsing.findings import LONGEST_LABEL, Findings, WarningKind, listed
from backend.documents.parsing.openxml import meaningful_title
from backend.documents.parsing.pdf import pages
from backend.documents.parsing.pdf.furniture import edges, furniture
from backend.documents.parsing.pdf.glyph_runs import confidence_of
from backend.documents.parsing.pdf.hyphens import Vocabulary
from backend.documents.parsing.pdf.pages import Page
from backend.documents.parsing.pdf.prose import Item, Style, items
from backend.documents.parsing.pdf.recognition import Recogniser
from backend.documents.parsing.pdf.rows import Row, flows
from backend.documents.parsing.pdf.sequence import Sequence

_NEIGHBOURS = 3


class _RowsOfPage(NamedTuple):
    number: int
    rows: list[Row]


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yields the text of each page in reading order, a few pages in memory at a time; pages count from 1."""
    with opened(path) as document:
        findings.count_pages(len(document))
        findings.title = meaningful_title(document.get_metadata_value("Title"))
        findings.labels.update(_labels(document))
        form = _form(document, findings)
        if pdfium.FPDFDoc_GetAttachmentCount(document.raw):
            findings.warn(WarningKind.EMBEDDED_FILE, "whole file", "Files inside the PDF are not read.")
        yield from _PdfDocument(document, form, findings).fragments()


def opened(path: Path | str) -> pypdfium2.PdfDocument:
    """Returns the document; raises EncryptedPdf and CorruptFile."""
    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
            raise EncryptedPdf from error
        raise CorruptFile("The PDF is damaged.") from error


def _labels(document: pypdfium2.PdfDocument) -> Iterator[tuple[int, str]]:
    """Yields what the document calls its pages, where that is not their number."""
    for number in range(1, len(document) + 1):
        label = collapse(clean(document.get_page_label(number - 1)))
        if label and label != str(number) and len(label) <= LONGEST_LABEL:
            yield number, label


def _form(document: pypdfium2.PdfDocument, findings: Findings) -> Any:  # noqa: ANN401 — a handle of PDFium
    kind = document.get_formtype()
    if kind == pdfium.FORMTYPE_NONE:
        return None
    if kind != pdfium.FORMTYPE_ACRO_FORM:
        findings.warn(WarningKind.FORM_FIELD, "whole file", "The form is of a kind (XFA) that is not read.")
    document.init_forms()
    return document.formenv.raw if document.formenv is not None else None


class _PdfDocument:
    def __init__(self, document: pypdfium2.PdfDocument, form: Any, findings: Findings) -> None:  # noqa: ANN401
        self._document = document
        self._form = form
        self._findings = findings
        self._vocabulary = Vocabulary()
        self._heights: Counter[float] = Counter()
        self._known: deque[_RowsOfPage] = deque(maxlen=2 * _NEIGHBOURS + 1)
        self._seen: set[str] = set()
        self._scanned: list[int] = []
        self._empty: list[int] = []
        self._recognised: list[int] = []
        self._recogniser = Recogniser() if findings.recognises_pages else None

    def fragments(self) -> Iterator[Fragment]:
        sequence = Sequence(self._vocabulary)
        waiting: deque[Page] = deque()
        for index in range(len(self._document)):
            page = self._read(index)
            waiting.append(page)
            if len(waiting) > _NEIGHBOURS:
                yield from sequence.add(*self._laid_out(waiting.popleft()))
        while waiting:
            yield from sequence.add(*self._laid_out(waiting.popleft()))
        yield from sequence.finish()
        unread = "A page is a picture without text and is not read."
        if self._recogniser is not None:
            unread = "A page is a picture in which no words were recognised."
        self._tell(self._scanned, WarningKind.SCANNED_PAGE, unread)
        recognised = "A page is a picture; its words were recognised and may be wrong or missing."
        self._tell(self._recognised, WarningKind.RECOGNISED_PAGE, recognised)
        self._tell(self._empty, WarningKind.EMPTY_PAGE, "A page is empty.")

    def _read(self, index: int) -> Page:
        page = pages.read(self._document, index, self._form, self._findings, self._recogniser)
        if page.is_scanned:
            self._scanned.append(page.number)
        elif not page.rows:
            self._empty.append(page.number)
        if page.height is not None:
            self._recognised.append(page.number)
        for row in page.rows if page.height is None else ():
            self._heights[round(2 * row.height) / 2] += len(row.text)
        self._vocabulary.learn(row.text for row in page.rows)
        self._known.append(_RowsOfPage(page.number, edges(page.rows)))
        return page

    def _laid_out(self, page: Page) -> tuple[list[Fragment], list[Item], list[Fragment]]:
        """Returns the furniture at the page's head, its body, and the furniture at its foot with the page's number."""
        others = [(known.number, known.rows) for known in self._known if known.number != page.number]
        repeated = furniture(page.number, page.rows, others)
        head: list[Fragment] = []
        foot: list[Fragment] = []
        for index, same in sorted(repeated.items()):
            text = page.rows[index].text
            if same and text in self._seen:
                continue
            if same:
                self._seen.add(text)
            side = head if same and index < len(page.rows) / 2 else foot
            sure = confidence_of(page.rows[index].pieces)
            side.append(Fragment(BlockKind.PARAGRAPH, text, page=page.number, confidence=sure))
        body = [row for index, row in enumerate(page.rows) if index not in repeated]
        found: list[Item] = []
        height = page.height or self._body_height()
        for part in flows(body):
            found += items(part, Style.of(part, height), page.number, self._vocabulary, page.lines)
        for part in page.turned:
            found += items(part, Style.of(part, height), page.number, self._vocabulary)
        return head, found, foot

    def _body_height(self) -> float:
        """Returns the height of type below which half of the text is set."""
        half = self._heights.total() / 2
        for height, length in sorted(self._heights.items()):
            half -= length
            if half <= 0:
                return height
        return 0.0

    def _tell(self, numbers: list[int], kind: WarningKind, detail: str) -> None:
        if numbers:
            self._findings.warn(kind, listed(numbers, "page", "pages"), detail)
