"""Rich text as Outlook keeps the bodies of messages: compressed ([MS-OXRTFCP]), and often a page around which it is written."""

import re
from dataclasses import dataclass, replace
from html import escape

from backend.documents.parsing.errors import CorruptFile

_BEGINNING = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_WINDOW = 4_096
_LONGEST = 50_000_000
_TOKEN = re.compile(
    rb"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,9})? ?|\\'(?P<code>[0-9a-fA-F]{2})|\\(?P<sign>[^a-zA-Z])|(?P<brace>[{}])"
    rb"|[\r\n]+|(?P<text>[^\\{}\r\n]+)",
    re.DOTALL,
)
_SIGNS = {
    **dict.fromkeys(("par", "line", "row", "sect", "page"), "\n"), **dict.fromkeys(("tab", "cell"), "\t"), "lquote": "‘",
    "rquote": "’", "ldblquote": "“", "rdblquote": "”", "bullet": "•", "endash": "–", "emdash": "—",
    "emspace": " ", "enspace": " ",
}  # fmt: skip
_CODE_PAGE = re.compile(rb"\\ansicpg(\d{3,5})")
_SILENT = {
    "fonttbl",
    "colortbl",
    "stylesheet",
    "info",
    "pict",
    "object",
    "header",
    "footer",
    "listtable",
    "listoverridetable",
}
_PLAIN_SIGNS = {b"~": "\u00a0", b"_": "\u2011", b"{": "{", b"}": "}", b"\\": "\\", b"\n": "\n", b"\r": "\n"}


def decompressed(content: bytes) -> bytes:
    """Returns the rich text of a compressed body; raises CorruptFile."""
    length, kind = int.from_bytes(content[4:8], "little"), content[8:12]
    if kind == b"MELA":
        return content[16 : 16 + length]
    if kind != b"LZFu" or length > _LONGEST:
        raise CorruptFile
    window = bytearray(_BEGINNING.ljust(_WINDOW, b"\x00"))
    written, at, end = len(_BEGINNING), 16, len(content)
    found = bytearray()
    while at < end and len(found) < length:
        flags = content[at]
        at += 1
        for bit in range(8):
            if at >= end:
                break
            if not flags >> bit & 1:
                piece = content[at : at + 1]
                at += 1
            else:
                reference = int.from_bytes(content[at : at + 2], "big")
                at += 2
                offset, size = reference >> 4, (reference & 15) + 2
                if offset == written % _WINDOW:
                    return bytes(found[:length])
                # What is copied may reach into what it writes.
                piece = b""
                for step in range(size):
                    byte = window[(offset + step) % _WINDOW]
                    window[(written + step) % _WINDOW] = byte
                    piece += bytes((byte,))
            for byte in piece:
                window[written % _WINDOW] = byte
                written += 1
            found += piece
    return bytes(found[:length])


@dataclass(frozen=True, slots=True)
class _Group:
    is_silent: bool = False
    is_repeated: bool = False  # what a page says in another way
    is_tag: bool = False
    skipped_after: int = 1


def words(rich: bytes) -> tuple[str, bool]:
    """Returns the text of rich text, and whether it is a page in HTML that was kept within."""
    reader = _Reader(rich[:2_000])
    for token in _TOKEN.finditer(rich):
        reader.read(token)
    text = reader.text()
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), reader.is_page


class _Reader:
    def __init__(self, head: bytes) -> None:
        self.is_page = b"\\fromhtml" in head
        code_page = _CODE_PAGE.search(head)
        self._codec = f"cp{code_page[1].decode()}" if code_page is not None else "cp1252"
        self._pieces: list[str] = []
        self._codes = bytearray()
        self._group = _Group()
        self._around: list[_Group] = []
        self._follows_star = False
        self._skip = 0  # characters that repeat the one before for older programs

    def text(self) -> str:
        """Returns what was read."""
        self._end_codes()
        return "".join(self._pieces)

    def read(self, token: re.Match[bytes]) -> None:
        """Takes the next token."""
        if token["code"] is not None:
            self._code(bytes.fromhex(token["code"].decode()))
            return
        self._end_codes()
        if token["brace"] is not None:
            self._skip = 0
            if token["brace"] == b"{":
                self._around.append(self._group)
            elif self._around:
                self._group = self._around.pop()
        elif token["word"] is not None:
            self._word(token["word"].decode().lower(), token["number"])
        elif token["sign"] is not None:
            self._write(_PLAIN_SIGNS.get(token["sign"], ""))
        elif token["text"] is not None:
            self._plain(token["text"])
        self._follows_star = token["sign"] == b"*"

    @property
    def _is_shown(self) -> bool:
        return not self._group.is_silent and (self._group.is_tag or not (self.is_page and self._group.is_repeated))

    def _word(self, name: str, number: bytes | None) -> None:
        if name == "htmltag" and self._follows_star:
            self._group = replace(self._group, is_tag=True)
        elif self._follows_star or name in _SILENT:
            self._group = replace(self._group, is_silent=True)
        elif name == "htmlrtf":
            self._group = replace(self._group, is_repeated=number != b"0")
        elif name == "uc":
            self._group = replace(self._group, skipped_after=max(int(number or 1), 0))
        elif name == "u" and number is not None:
            self._write(chr(int(number) % 0x10000))
            self._skip = self._group.skipped_after
        else:
            self._write(_SIGNS.get(name, ""))

    def _code(self, code: bytes) -> None:
        if self._skip:
            self._skip -= 1
        elif self._is_shown:
            self._codes += code

    def _plain(self, text: bytes) -> None:
        written = _decoded(text[self._skip :], self._codec)
        self._skip = 0
        self._write(escape(written, quote=False) if self.is_page and not self._group.is_tag else written)

    def _end_codes(self) -> None:
        if self._codes:
            self._write(_decoded(bytes(self._codes), self._codec))
            self._codes.clear()

    def _write(self, text: str) -> None:
        if text and self._is_shown:
            self._pieces.append(text)


def _decoded(content: bytes, codec: str) -> str:
    try:
        return content.decode(codec, "replace")
    except LookupError:
        return content.decode("cp1252", "replace")
