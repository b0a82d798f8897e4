"""The parts of an office archive and how they refer to each other, read with lxml.

Strict documents use other names for the same things; their parts are read under the transitional names.
"""

import posixpath
import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeAlias

from lxml import etree

from backend.documents.parsing.errors import CorruptFile

Element: TypeAlias = Any
"""An element of lxml, which has no types of its own."""

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(officeDocument/relationships|officeDocument|\w+)(/[\w/]+)?")
_STRICT_NAME = b"purl.oclc.org/ooxml"
_TRANSITIONAL = b"http://schemas.openxmlformats.org/"
_PACKAGE_RELATIONSHIPS = "_rels/.rels"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
R = f"{{{_OFFICE}/relationships}}"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_MEANINGLESS_TITLE = re.compile(
    r"(?i)(microsoft (word|excel|powerpoint)\b.*|untitled\w*|powerpoint presentation|(document|presentation|book|slide)\s?\d*"
    r"|title|.*\.(docx?|xlsx?|pptx?|pdf|rtf|indd|qxd))"
)


@dataclass(frozen=True, slots=True)
class Relationship:
    """What a part refers to: `kind` is the last word of its type, `target` the name of a part or an address."""

    id: str
    kind: str
    target: str
    is_external: bool


class Package:
    """An office archive that was checked already; parts are parsed when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        self._names = {name.lower(): name for name in self._archive.namelist()}

    @property
    def archive(self) -> zipfile.ZipFile:
        """The archive, for parts too large to be held."""
        return self._archive

    def as_transitional(self) -> IO[bytes]:
        """Returns a copy of the archive in which strict parts have the names that libraries know."""
        copy = BytesIO()
        with zipfile.ZipFile(copy, "w") as archive:
            for name in self._archive.namelist():
                content = self._archive.read(name)
                is_text = name.endswith((".xml", ".rels"))
                archive.writestr(name, transitional(content) if is_text else content)
        copy.seek(0)
        return copy

    def name(self, part: str) -> str | None:
        """Returns the part's name as the archive spells it; None if there is none."""
        return self._names.get(part.lower())

    def content(self, part: str) -> bytes | None:
        """Returns the bytes of a part, under transitional names; None if there is none."""
        name = self.name(part)
        return None if name is None else transitional(self._archive.read(name))

    def xml(self, part: str) -> Element | None:
        """Returns the root element of a part; None if there is none. Raises XMLSyntaxError for a damaged one."""
        content = self.content(part)
        return None if content is None else parsed(content)

    def related(self, part: str) -> list[Relationship]:
        """Returns what the part, or with an empty name the archive, refers to."""
        folder, name = posixpath.split(part)
        root = self.xml(posixpath.join(folder, "_rels", f"{name}.rels") if part else _PACKAGE_RELATIONSHIPS)
        return (
            [] if root is None else [_relationship(element, folder) for element in root.iterchildren("{*}Relationship")]
        )

    def main_part(self) -> str:
        """Returns the name of the document's own part; raises CorruptFile."""
        for relationship in self.related(""):
            if relationship.kind == "officeDocument":
                return relationship.target
        raise CorruptFile("The office archive does not say which of its parts is the document.")

    @property
    def is_strict(self) -> bool:
        """Whether the archive uses the names of strict documents."""
        name = self.name(_PACKAGE_RELATIONSHIPS)
        return name is not None and _STRICT_NAME in self._archive.read(name)

    def title(self) -> str | None:
        """Returns the title among the core properties, unless a program filled it in."""
        for relationship in self.related(""):
            root = self.xml(relationship.target) if relationship.kind == "core-properties" else None
            if root is not None:
                return meaningful_title(root.findtext(_DC_TITLE) or "")
        return None


def parsed(content: bytes) -> Element:
    """Returns the root element of a part's bytes. Raises XMLSyntaxError for a damaged one."""
    return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True))


def parsed_or_none(content: bytes | None) -> Element | None:
    """Returns the root element of a part that a document does without, None if there is none or it is damaged."""
    try:
        return None if content is None else parsed(content)
    except etree.XMLSyntaxError:
        return None


def transitional(content: bytes) -> bytes:
    """Returns the part with the names of strict documents replaced."""
    if _STRICT_NAME not in content:
        return content
    return _STRICT.sub(_transitional_name, content)


def _transitional_name(match: re.Match[bytes]) -> bytes:
    # http://purl.oclc.org/ooxml/wordprocessingml/main is …/wordprocessingml/2006/main
    return (
        _TRANSITIONAL
        + match[1].replace(b"/relationships", b"")
        + b"/2006"
        + (b"/relationships" if match[1].endswith(b"/relationships") else b"")
        + (match[2] or b"")
    )


def meaningful_title(title: str) -> str | None:
    """Returns a title that somebody chose: neither a program's nor the name of a file."""
    words = " ".join(title.split())
    return None if not words or _MEANINGLESS_TITLE.fullmatch(words) else words


def _relationship(element: Element, folder: str) -> Relationship:
    target = element.get("Target", "")
    external = element.get("TargetMode") == "External"
    if not external:
        target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
    kind = element.get("Type", "").rpartition("/")[2]
    return Relationship(
        element.get("Id", ""), {"metadata/core-properties": "core-properties"}.get(kind, kind), target, external
    )
