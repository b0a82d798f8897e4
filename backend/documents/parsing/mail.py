"""Mail messages with the messages inside them, through the standard library."""

import base64
import re
from collections.abc import Iterator
from email import policy
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from backend.documents.parsing.blocks import BlockKind, Fragment, collapse
from backend.documents.parsing.encodings import codec_named, of_bytes
from backend.documents.parsing.errors import ParseError
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.formats import declared_format
from backend.documents.parsing.openxml import meaningful_title
from backend.documents.parsing.text import text_fragments
from backend.documents.parsing.webpage import html_fragments

_FIELDS = ("From", "To", "Cc", "Date")
DEEPEST = 10
_FIGURE = re.compile(r"\d[\d.,]*")
_SOFT_BREAK = re.compile(r"(?<!^--) \n(?=[^\n>])", re.MULTILINE)
_SEVEN_BITS = {"iso2022_jp", "hz"}
_OTHER_UNITS = {
    "utf-7",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "utf-32",
    "utf-32le",
    "utf-32be",
}  # which pages are not written in
_MESSAGES = {"message/rfc822", "message/global", "message/news"}
_BEGIN = re.compile(r"begin(?:-base64)? [0-7]{3,4} (?P<name>[^\r\n]{1,200})")
_ENDS = {"end", "===="}
_LONGEST_ENCODED = 100
_SIGNATURES = {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
_ENCRYPTED = {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"}


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yields the subject as a heading, who wrote to whom and when, the body, and messages inside; tell attachments."""
    with path.open("rb") as file:
        message = BytesParser(policy=policy.default).parse(file)
    findings.title = meaningful_title(str(message["Subject"] or ""))
    yield from _message(message, findings, depth=1)


def _message(message: Message, findings: Findings, depth: int) -> Iterator[Fragment]:
    if subject := collapse(str(message["Subject"] or "")):
        yield Fragment(BlockKind.HEADING, subject, level=min(depth, 9))
    for field in _FIELDS:
        if value := collapse(str(message[field] or "")):
            yield Fragment(BlockKind.PARAGRAPH, f"{field}: {value}")
    yield from _part(message, findings, depth)


def _part(part: Message, findings: Findings, depth: int) -> Iterator[Fragment]:
    kind = part.get_content_type()
    name = collapse(part.get_filename() or "")
    if kind in _ENCRYPTED:
        findings.warn(WarningKind.PROTECTED_PART, f"part of type {kind}", "An encrypted part is not read.")
    elif kind in _MESSAGES:
        for inner in map(_decoded, _inner(part)) if depth < DEEPEST else ():
            yield from _message(inner, findings, depth + 1)
        if depth >= DEEPEST:
            findings.warn(WarningKind.EMBEDDED_FILE, "innermost message", "Messages nested deeper are not read.")
    elif kind in {"message/delivery-status", "message/external-body", "message/partial"}:
        findings.warn(WarningKind.ATTACHMENT, f"part of type {kind}", f"A part of type {kind!r} is not read.")
    elif part.is_multipart():
        yield from _parts(_inner(part), kind, findings, depth)
    elif part.get_content_maintype() == "multipart":
        yield from _body(_text(part, findings), part, findings)  # what should part it is missing
    elif part.get_content_disposition() == "attachment" or kind not in {"text/plain", "text/html"}:
        if kind not in _SIGNATURES:
            what = WarningKind.PICTURE if kind.startswith("image/") and part["Content-ID"] else WarningKind.ATTACHMENT
            findings.warn(what, f"part of type {kind}", not_read(name or kind))
    else:
        yield from _body(_text(part, findings), part, findings)


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Message)] if isinstance(payload, list) else []


def _parts(parts: list[Message], kind: str, findings: Findings, depth: int) -> Iterator[Fragment]:
    if kind != "multipart/alternative":
        for part in parts:
            yield from _part(part, findings, depth)
        return
    plain = next((p for p in parts if p.get_content_type() == "text/plain"), None)
    others = [part for part in parts if part is not plain]
    pages = [leaf for part in others for leaf in part.walk() if leaf.get_content_type() == "text/html"]
    html = "\n".join(_text(page, findings) for page in pages)
    if plain is None or (pages and says_less(_text(plain, findings), html)):
        for part in others:
            yield from _part(part, findings, depth)
    else:
        yield from _body(_text(plain, findings), plain, findings)
        for part in others:
            for leaf in part.walk():
                if not leaf.is_multipart() and leaf.get_content_type() != "text/html":
                    yield from _part(leaf, findings, depth)


def not_read(name: str) -> str:
    """Returns what to tell of an attachment, and what to do about one that could be a document."""
    try:
        is_document = declared_format(name, None) is not None
    except ParseError:
        is_document = False
    instead = "; upload it as a document of its own." if is_document else ", nor are others of its kind."
    return f"The attachment {name[:100]!r} is not read{instead}"


def says_less(plain: str, html: str) -> bool:
    """Returns whether the plain version says less than the other, which is what mail programs show.

    It may lack figures, as "see the HTML version" does, or not tell what is struck out.
    """
    if not plain.strip():
        return True
    shown = Findings(max_pages=0)
    words = " ".join(fragment.text for fragment in html_fragments(html, shown))
    hides = {WarningKind.STRUCK_OUT, WarningKind.HIDDEN_CONTENT, WarningKind.INVISIBLE_TEXT}
    figures = set(_FIGURE.findall(words))
    return not figures <= set(_FIGURE.findall(plain)) or (
        bool(words) and any(warning.kind in hides for warning in shown.warnings)
    )


def _text(part: Message, findings: Findings) -> str:
    coding = str(part["Content-Transfer-Encoding"] or "")
    if (
        plain := coding.partition(";")[0].strip()
    ) != coding:  # some programs add parameters, which the library does not expect
        part.replace_header("Content-Transfer-Encoding", plain)
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return str(content or "")
    declared = part.get_content_charset()
    if declared and declared.lower() in _OTHER_UNITS:
        return content.decode(declared, "replace")
    codec = codec_named(declared) if declared else None
    if codec in _SEVEN_BITS:
        return content.decode(codec, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        if declared and codec is None:
            findings.warn(WarningKind.CHARACTER_SET, "message", "The message names an unknown character set.")
        return content.decode(of_bytes(content, findings, None if codec == "utf-8" else declared), "replace")


def _decoded(message: Message) -> Message:
    """Returns a message inside another; some programs encode it whole, which the standard forbids."""
    if message.keys() or message.is_multipart():
        return message
    try:
        return BytesParser(policy=policy.default).parsebytes(
            base64.b64decode(str(message.get_payload()), validate=False)
        )
    except ValueError:
        return message


def _body(text: str, part: Message, findings: Findings) -> Iterator[Fragment]:
    if part.get_content_type() == "text/html":
        title = findings.title
        yield from html_fragments(text, findings)
        findings.title = title
        return
    lines = text.replace("\r\n", "\n")
    lines = _without_encoded(lines, findings)
    if part.get_param("format") == "flowed":
        lines = _SOFT_BREAK.sub("" if part.get_param("delsp") == "yes" else " ", lines)
    yield from text_fragments(lines.splitlines(keepends=True))


def _without_encoded(text: str, findings: Findings) -> str:
    """Leaves out files that older programs write into a body in letters, and tells them."""
    if "\nbegin" not in f"\n{text[:5]}" and "\nbegin" not in text:
        return text
    kept: list[str] = []
    encoded: list[str] = []
    for line in text.splitlines(keepends=True):
        if not encoded and not _BEGIN.match(line):
            kept.append(line)
            continue
        encoded.append(line)
        if line.strip() in _ENDS:
            name = _BEGIN.match(encoded[0])
            findings.warn(
                WarningKind.ATTACHMENT, "body of the message", not_read(collapse(name["name"] if name else ""))
            )
            encoded.clear()
        elif len(line) > _LONGEST_ENCODED:
            kept += encoded
            encoded.clear()
    return "".join([*kept, *encoded])
