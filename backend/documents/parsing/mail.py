"""Mail messages, through the standard library."""

from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import cast

from backend.documents.parsing.blocks import BlockKind, Findings, Fragment, collapse
from backend.documents.parsing.webpage import html_fragments

_FIELDS = ("From", "To", "Cc", "Date")


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield the subject as a heading, who wrote to whom and when, and the body; name the attachments."""
    with path.open("rb") as file:
        message = BytesParser(policy=policy.default).parse(file)
    findings.title = collapse(str(message["Subject"] or "")) or None
    for attachment in message.iter_attachments() if message.is_multipart() else ():
        name = collapse(attachment.get_filename() or attachment.get_content_type())
        findings.warn(f"The attachment {name[:100]!r} is not read.")
    if findings.title:
        yield Fragment(BlockKind.HEADING, findings.title, level=1)
    for field in _FIELDS:
        if value := collapse(str(message[field] or "")):
            yield Fragment(BlockKind.PARAGRAPH, f"{field}: {value}")
    yield from _body(message, findings)


def _body(message: EmailMessage, findings: Findings) -> Iterator[Fragment]:
    part = message.get_body(("plain", "html"))
    if part is None:
        return
    try:
        text = part.get_content()
    except (LookupError, UnicodeError):
        findings.warn("The message names an unknown character set and was read as Latin-1.")
        text = cast("bytes", part.get_payload(decode=True)).decode("latin-1")
    if part.get_content_subtype() == "html":
        yield from html_fragments(text, findings)
        return
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        if paragraph.strip():
            yield Fragment(BlockKind.PARAGRAPH, paragraph.strip())
