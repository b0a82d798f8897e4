"""Ids as OpenAI's clients expect them: a prefix and the hexadecimal digits of one of ours, so that no table is needed."""

import re
from uuid import UUID

from backend.errors import NotFound

VERSION_MARK = "_v"
_FILE = re.compile(rf"file-([0-9a-f]{{32}}){VERSION_MARK}([1-9][0-9]{{0,8}})")


def spelled(prefix: str, identifier: UUID) -> str:
    """Returns an id such as `vs_0196…`; `chatcmpl-` has its hyphen in the prefix."""
    return f"{prefix}{identifier.hex}"


def parsed(prefix: str, text: str) -> UUID:
    """Returns our id; raises NotFound for anything that `spelled` does not write."""
    digits = text.removeprefix(prefix)
    if not text.startswith(prefix) or not re.fullmatch("[0-9a-f]{32}", digits):
        raise NotFound(f"There is no {text[:80]!r} that you may see.", reason="openai:id")
    return UUID(digits)


def file_id(document_id: UUID, version: int) -> str:
    """Returns the id of a version of a document: evidence names the version, and not only the document."""
    return f"file-{document_id.hex}{VERSION_MARK}{version}"


def parsed_file(text: str) -> tuple[UUID, int]:
    """Returns document and version; raises NotFound."""
    match = _FILE.fullmatch(text)
    if match is None:
        raise NotFound(f"There is no file {text[:80]!r} that you may see.", reason="openai:id")
    return UUID(match[1]), int(match[2])
