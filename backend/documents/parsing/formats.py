"""Which format a file is in: by what it declares, by what it contains, and whether the two agree."""

import re
from enum import StrEnum
from pathlib import Path

from backend.documents.parsing import archives
from backend.documents.parsing.encodings import utf16_without_mark
from backend.documents.parsing.errors import (
    EmptyFile,
    EncryptedFile,
    MacroEnabled,
    UnsupportedFile,
    WrongFormat,
)
from backend.documents.parsing.limits import ParseLimits


class Format(StrEnum):
    """The formats that can be parsed."""

    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    CSV = "csv"
    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"
    EMAIL = "email"
    OUTLOOK = "outlook"


NAMES = "PDF, DOCX, PPTX, XLSX, CSV, HTML, Markdown, TXT, EML, MSG"  # where people are asked for files
PARSERS = {  # the module of this package that reads each
    Format.PDF: "pdf.document",
    Format.DOCX: "word.document",
    Format.PPTX: "slides",
    Format.XLSX: "sheets.document",
    Format.CSV: "separated",
    Format.HTML: "webpage",
    Format.MARKDOWN: "markdown",
    Format.TEXT: "text",
    Format.EMAIL: "mail",
    Format.OUTLOOK: "outlook",
}
_EXTENSIONS = {
    ".pdf": Format.PDF,
    ".docx": Format.DOCX,
    ".pptx": Format.PPTX,
    ".xlsx": Format.XLSX,
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".tab": Format.CSV,
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".txt": Format.TEXT,
    ".text": Format.TEXT,
    ".eml": Format.EMAIL,
    ".msg": Format.OUTLOOK,
}
_OLDER = {".doc": ".docx", ".dot": ".docx", ".xls": ".xlsx", ".xlt": ".xlsx", ".ppt": ".pptx", ".pps": ".pptx"}
_SAVE_AS = {
    ".rtf": ".docx", ".odt": ".docx", ".ods": ".xlsx", ".odp": ".pptx", ".xlsb": ".xlsx", ".pages": ".docx",
    ".numbers": ".xlsx", ".key": ".pptx", ".wpd": ".docx", ".mht": ".html", ".mhtml": ".html", ".xps": ".pdf", ".epub": ".pdf",
}  # fmt: skip
_MACRO_EXTENSIONS = {".docm", ".dotm", ".xlsm", ".xltm", ".xlam", ".pptm", ".potm", ".ppsm", ".ppam"}
_OFFICE = "application/vnd.openxmlformats-officedocument"
_MEDIA_TYPES = {
    "application/pdf": {Format.PDF},
    f"{_OFFICE}.wordprocessingml.document": {Format.DOCX},
    f"{_OFFICE}.presentationml.presentation": {Format.PPTX},
    f"{_OFFICE}.spreadsheetml.sheet": {Format.XLSX},
    # Browsers on machines with a spreadsheet program send this one for .csv.
    "application/vnd.ms-excel": {Format.CSV},
    "text/csv": {Format.CSV},
    "text/tab-separated-values": {Format.CSV},
    "text/html": {Format.HTML},
    "application/xhtml+xml": {Format.HTML},
    "text/markdown": {Format.MARKDOWN},
    # And this one for whatever they take for text.
    "text/plain": {Format.TEXT, Format.MARKDOWN, Format.CSV},
    "message/rfc822": {Format.EMAIL},
    "application/vnd.ms-outlook": {Format.OUTLOOK},
}
_UNDECLARED = {"", "application/octet-stream", "binary/octet-stream", "application/zip"}

_HEAD_BYTES = 65_536
_PDF_MARK_WITHIN = 1024
_COMPOUND_FILE = bytes.fromhex("D0CF11E0A1B11AE1")
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_OUTLOOK_PROPERTY = "__properties_version1.0".encode("utf-16-le")
_OUTLOOK_NAMES = "__nameid_version1.0".encode("utf-16-le")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_BINARY = re.compile(rb"[\x00-\x06\x0e-\x19\x1c-\x1f]|\x1a(?!\x1a*$)")  # older programs end a text with \x1a
_HTML_START = re.compile(
    rb"(?is)(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b"
)
_HEADER_FIELD = re.compile(rb"(?:\xef\xbb\xbf)?(?:From [^\n]+\n)?[!-9;-~]+:[^\n]*\n")


def declared_format(filename: str, media_type: str | None) -> Format | None:
    """Returns the format that an upload claims to be in, None if it claims nothing.

    Raises UnsupportedFile for another type, MacroEnabled for a macro-enabled one, and WrongFormat when the
    extension and the media type contradict each other.
    """
    extension = Path(filename).suffix.lower()
    named = _by_extension(extension)
    essence = (media_type or "").partition(";")[0].strip().lower()
    if essence in _UNDECLARED:
        return named
    if "macroenabled" in essence:
        raise MacroEnabled
    possible = _MEDIA_TYPES.get(essence)
    if possible is None:
        raise UnsupportedFile(f"Files of the media type {essence[:100]!r} are not accepted.")
    if named is None:
        return Format.TEXT if Format.TEXT in possible else next(iter(possible))
    if named not in possible:
        raise WrongFormat(f"The extension {extension!r} and the media type {essence!r} contradict each other.")
    return named


def _by_extension(extension: str) -> Format | None:
    if extension in _MACRO_EXTENSIONS:
        raise MacroEnabled
    if extension in _OLDER:
        detail = f"Office files in the format from before 2007 are not accepted; save it as {_OLDER[extension]!r}."
        raise UnsupportedFile(detail)
    if extension in _SAVE_AS:
        raise UnsupportedFile(
            f"Files with the extension {extension!r} are not accepted; save it as {_SAVE_AS[extension]!r}."
        )
    if extension and extension not in _EXTENSIONS:
        raise UnsupportedFile(f"Files with the extension {extension[:20]!r} are not accepted.")
    return _EXTENSIONS.get(extension)


def is_pdf(path: Path) -> bool:
    """Returns whether the file begins as a PDF does, whatever it is called."""
    with path.open("rb") as file:
        return _begins_as_pdf(file.read(_PDF_MARK_WITHIN))


def _begins_as_pdf(head: bytes) -> bool:
    return b"%PDF-" in head[:_PDF_MARK_WITHIN]


def recognise(path: Path, declared: Format | None, limits: ParseLimits) -> Format:
    """Returns the format of the file's content; raises WrongFormat if another one is declared.

    An office archive is checked for bombs and macros on the way, since its format is written inside it.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise EmptyFile
    if _begins_as_pdf(head):
        found = Format.PDF
    elif head.startswith(b"PK\x03\x04"):
        found = Format(archives.office_format(path, limits))
    elif head.startswith(_COMPOUND_FILE):
        found = _compound_file(path)
    elif _BINARY.search(head) and not head.startswith(_UTF16_MARKS) and utf16_without_mark(head) is None:
        raise UnsupportedFile if declared is None else WrongFormat
    else:
        return _text_format(head, declared)
    if declared not in {found, None}:
        raise WrongFormat(f"The file is declared as {declared} but contains {found}.")
    return found


def _compound_file(path: Path) -> Format:
    """Tells a message, an encrypted office file and one in the old format apart by the names in its directory's first sectors."""
    with path.open("rb") as file:
        header = file.read(512)
        sector_size = 1 << min(int.from_bytes(header[30:32], "little"), 12)
        file.seek((int.from_bytes(header[48:52], "little") + 1) * sector_size)
        directory = file.read(4 * sector_size)
    if _ENCRYPTED_PACKAGE in directory:
        raise EncryptedFile
    if _OUTLOOK_PROPERTY in directory or _OUTLOOK_NAMES in directory:
        return Format.OUTLOOK
    raise UnsupportedFile("Office files in the format from before 2007 are not accepted.")


def _text_format(head: bytes, declared: Format | None) -> Format:
    """Returns the declared kind of text if the content can be one; plain text and Markdown can be anything."""
    looks_like_html = bool(_HTML_START.match(head))
    if declared is None:
        return Format.HTML if looks_like_html else Format.TEXT
    contradicts = {
        Format.CSV: looks_like_html,
        Format.HTML: b"<" not in head,
        Format.EMAIL: not _HEADER_FIELD.match(head),
        Format.MARKDOWN: False,
        Format.TEXT: False,
    }.get(declared, True)
    if contradicts:
        raise WrongFormat(f"The file is declared as {declared} but does not contain it.")
    return declared
