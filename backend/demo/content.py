"""The documents of the demo tenants: `content/<tenant>/<collection>/<doc_id>.v<version>.md`.

A file is a JSON object, a blank line, and paragraphs. Each paragraph becomes one chunk, unless `on_paper` says that the document
is uploaded as PDF, with headings, of which the parser makes chunks.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

_CONTENT = files("backend.demo").joinpath("content")
HEADING = "## "
_FILE_NAME = re.compile(r"(?P<doc_id>.+)\.v(?P<version>\d+)\.md")


@dataclass(frozen=True, slots=True)
class DemoDocument:
    """One version of a document, in force from `effective_from` until the day before `effective_to`."""

    doc_id: str
    collection: str
    source_type: str
    title: str
    jurisdiction: str
    product_line: str
    version: int
    approval_date: date
    effective_from: date
    effective_to: date | None
    parts: tuple[str, ...]  # paragraphs, and headings on paper
    on_paper: bool

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """What it says, without headings."""
        return tuple(part for part in self.parts if not part.startswith(HEADING))

    @property
    def metadata(self) -> dict[str, str]:
        """The keys by which retrieval can be filtered."""
        return {
            "jurisdiction": self.jurisdiction,
            "product_line": self.product_line,
            "version": str(self.version),
            "approval_date": self.approval_date.isoformat(),
        }


def load(tenant_slug: str) -> list[DemoDocument]:
    """Returns the tenant's documents, earlier versions first; FileNotFoundError when the tenant has none."""
    documents = (
        _parse(collection.name, file)
        for collection in _CONTENT.joinpath(tenant_slug).iterdir()
        for file in _documents_in(collection)
    )
    return sorted(documents, key=lambda document: (document.collection, document.doc_id, document.version))


def _documents_in(collection: Traversable) -> Iterator[Traversable]:
    return (file for file in collection.iterdir() if file.name.endswith(".md"))


def _parse(collection: str, file: Traversable) -> DemoDocument:
    name = _FILE_NAME.fullmatch(file.name)
    if name is None:
        message = f"{file.name} is not named <doc_id>.v<version>.md"
        raise ValueError(message)
    text = file.read_text(encoding="utf-8")
    head, end = json.JSONDecoder().raw_decode(text)
    return DemoDocument(
        doc_id=name["doc_id"],
        collection=collection,
        source_type=head["source_type"],
        title=head["title"],
        jurisdiction=head["jurisdiction"],
        product_line=head["product_line"],
        version=int(name["version"]),
        approval_date=date.fromisoformat(head["approval_date"]),
        effective_from=date.fromisoformat(head["effective_from"]),
        effective_to=_optional_date(head["effective_to"]),
        parts=_parts(text[end:]),
        on_paper=head.get("on_paper", False),
    )


def _optional_date(value: Any) -> date | None:  # noqa: ANN401 -- a JSON value
    return None if value is None else date.fromisoformat(value)


def _parts(body: str) -> tuple[str, ...]:
    unwrapped = (" ".join(paragraph.split()) for paragraph in body.split("\n\n"))
    return tuple(paragraph for paragraph in unwrapped if paragraph)
