"""Office archives, checked before any parser opens them: for bombs, for macros, and for what is inside."""

import zipfile
from pathlib import Path
from typing import IO

from defusedxml.common import DTDForbidden
from defusedxml.ElementTree import ParseError as XmlError
from defusedxml.ElementTree import iterparse

from backend.documents.parsing.errors import (
    CorruptFile,
    EncryptedFile,
    MacroEnabled,
    UnsupportedFile,
    XmlBomb,
    ZipBomb,
)
from backend.documents.parsing.limits import MiB, ParseLimits

_MAIN_PARTS = {
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml": "docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml": "xlsx",
}
_CONTENT_TYPES = "[Content_Types].xml"
_MOST_PARTS = 10_000
_MOST_CONTENT_TYPES = 100_000
# Deflate reaches 1,032 : 1 on nothing but zeros; sheets of repeated cells stay below 100 : 1.
_HIGHEST_RATIO = 200
_RATIO_MATTERS_FROM = 8 * MiB
_ENCRYPTED_FLAG = 0x1


def office_format(path: Path, limits: ParseLimits) -> str:
    """Returns docx, pptx or xlsx.

    Raises ZipBomb, XmlBomb, MacroEnabled, EncryptedFile, UnsupportedType or CorruptFile. The sizes are those
    that the archive declares: reading stops at the declared size, so that a lie ends as a damaged file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            _refuse_bomb(parts, limits)
            _refuse_macros(parts)
            for part in parts:
                _refuse_entities(archive, part)
            return _main_part(archive)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise CorruptFile("The office archive is damaged.") from error


def _refuse_bomb(parts: list[zipfile.ZipInfo], limits: ParseLimits) -> None:
    if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > limits.max_unpacked_bytes:
        raise ZipBomb
    for part in parts:
        highest = _HIGHEST_RATIO * max(part.compress_size, 1)
        if part.file_size > max(highest, _RATIO_MATTERS_FROM):
            raise ZipBomb


def _refuse_macros(parts: list[zipfile.ZipInfo]) -> None:
    for part in parts:
        name = part.filename.lower()
        if name.endswith("vbaproject.bin") or "/macrosheets/" in name:
            raise MacroEnabled
        if part.flag_bits & _ENCRYPTED_FLAG:
            raise EncryptedFile


def _refuse_entities(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Reads each part up to its root element, before which a document type would stand; none is needed."""
    with archive.open(part) as file:
        try:
            next(iter(iterparse(file, events=("start",), forbid_dtd=True)), None)
        except DTDForbidden as error:
            raise XmlBomb from error
        except (XmlError, ValueError, LookupError):
            # An image or the like. A parser that takes it for XML all the same resolves no entities.
            return


def _main_part(archive: zipfile.ZipFile) -> str:
    try:
        with archive.open(_CONTENT_TYPES) as file:
            declared = _content_types(file)
    except (KeyError, XmlError) as error:
        raise UnsupportedFile("The archive is not an office document.") from error
    if any("macroenabled" in content_type.lower() for content_type in declared):
        raise MacroEnabled
    kinds = [_MAIN_PARTS[content_type] for content_type in declared if content_type in _MAIN_PARTS]
    if not kinds:
        raise UnsupportedFile("The archive is not an office document.")
    return kinds[0]


def _content_types(file: IO[bytes]) -> list[str]:
    declared = []
    for _, element in iterparse(file, events=("start",), forbid_dtd=True):
        declared.append(element.get("ContentType", ""))
        if len(declared) > _MOST_CONTENT_TYPES:
            raise ZipBomb
    return declared
