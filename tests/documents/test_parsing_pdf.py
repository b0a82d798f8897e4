"""PDFs, each written byte by byte by its test."""

import hashlib
import zlib
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from backend.documents.parsing.blocks import Block, BlockKind
from backend.documents.parsing.errors import (
    CorruptFile,
    EncryptedPdf,
    NoText,
    ParseError,
    ParseMemory,
    TooManyPages,
    WrongFormat,
)
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.wire import DocumentInfo
from tests.documents import parsed

pytestmark = pytest.mark.anyio

md5 = partial(hashlib.md5, usedforsecurity=False)

_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
_FILE_ID = b"0123456789abcdef"
_PERMISSIONS = -44


@dataclass
class DrawnPage:
    """Lines of (text, size, bold) from the top of the page; the pitch is in points."""

    lines: list[tuple[str, float, bool]] = field(default_factory=list)
    pitch: float = 14.0

    def content(self) -> bytes:
        shown = []
        bottom = 760.0
        for text, size, bold in self.lines:
            escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            if text:
                shown.append(f"BT /F{int(bold)} {size} Tf 72 {bottom:.1f} Td ({escaped}) Tj ET")
            bottom -= self.pitch
        return "\n".join(shown).encode("latin-1")


def lines(*texts: str, size: float = 10, bold: bool = False) -> list[tuple[str, float, bool]]:
    return [(text, size, bold) for text in texts]


def pdf(contents: list[bytes], *, title: str = "", stream_filter: bytes = b"", password: str | None = None) -> bytes:
    """Return a PDF with one page for each content stream; a password, even an empty one, encrypts it."""
    key = None if password is None else file_key(password)
    first_page = 6
    kids = b" ".join(b"%d 0 R" % (first_page + 2 * number) for number in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(contents)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
        b"<< /Title (%s) >>" % title.encode() if key is None else b"<< >>",
    ]
    for number, content in enumerate(contents):
        stream_object = first_page + 2 * number + 1
        body = content if key is None else rc4(object_key(key, stream_object), content)
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
            b" /Resources << /Font << /F0 3 0 R /F1 4 0 R >> >> >>" % stream_object,
            b"<< /Length %d %s >> stream\n%s\nendstream" % (len(body), stream_filter, body),
        ]
    return serialised(objects, b"" if password is None else encryption_entries(password))


def serialised(objects: list[bytes], trailer: bytes = b"") -> bytes:
    output = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(output))
        output += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(output)
    output += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    output += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    output += b"trailer << /Size %d /Root 1 0 R /Info 5 0 R %s >>\n" % (len(objects) + 1, trailer)
    return bytes(output + b"startxref\n%d\n%%%%EOF\n" % start)


def rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    output = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        output.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(output)


def padded(password: str) -> bytes:
    return (password.encode() + _PADDING)[:32]


def owner_entry(password: str) -> bytes:
    return rc4(md5(padded("owner")).digest()[:5], padded(password))


def file_key(password: str) -> bytes:
    """Return the 40-bit key of PDF 1.4, algorithm 3.2."""
    permissions = _PERMISSIONS.to_bytes(4, "little", signed=True)
    return md5(padded(password) + owner_entry(password) + permissions + _FILE_ID).digest()[:5]


def object_key(key: bytes, number: int) -> bytes:
    return md5(key + number.to_bytes(3, "little") + bytes(2)).digest()[:10]


def encryption_entries(password: str) -> bytes:
    owner, user = owner_entry(password), rc4(file_key(password), _PADDING)
    return b"/ID [<%s> <%s>] /Encrypt << /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P %d >>" % (
        _FILE_ID.hex().encode(),
        _FILE_ID.hex().encode(),
        owner.hex().encode(),
        user.hex().encode(),
        _PERMISSIONS,
    )


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def parse(path: Path, content: bytes, limits: ParseLimits | None = None) -> tuple[list[Block], DocumentInfo]:
    write(path, content)
    return await parsed.parse(path, media_type="application/pdf", limits=limits)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.pdf"


async def test_pages_count_from_one_and_spans_point_into_the_text(path: Path) -> None:
    pages = [DrawnPage(lines(f"Page {number} says {word}.")) for number, word in enumerate(["alpha", "beta"], start=1)]
    blocks, info = await parse(path, pdf([page.content() for page in pages], title="Fee policy"))
    assert [(block.page, block.text) for block in blocks] == [
        (1, "Page 1 says alpha."),
        (2, "Page 2 says beta."),
    ]
    assert (info.format, info.title, info.page_count, info.warnings) == ("pdf", "Fee policy", 2, ())
    assert [block.end + 1 for block in blocks] == [blocks[1].start, info.characters]


async def test_lines_of_a_paragraph_are_joined_and_a_gap_separates_two(path: Path) -> None:
    body = lines("A fee is charged for each", "transfer abroad.", "", "It is waived for students.")
    blocks, _ = await parse(path, pdf([DrawnPage(body).content()]))
    assert [block.text for block in blocks] == [
        "A fee is charged for each transfer abroad.",
        "It is waived for students.",
    ]


async def test_larger_and_bolder_lines_are_headings(path: Path) -> None:
    body = lines(*["The body of the page is set in ten points and says so again."] * 6)
    page = DrawnPage(
        lines("Fees", size=18, bold=True)
        + lines("")
        + lines("Transfers", size=12.5)
        + lines("")
        + lines("Abroad", bold=True)
        + body
    )
    blocks, _ = await parse(path, pdf([page.content()]))
    assert [(block.kind, block.level, block.text) for block in blocks[:3]] == [
        (BlockKind.HEADING, 1, "Fees"),
        (BlockKind.HEADING, 2, "Transfers"),
        (BlockKind.HEADING, 3, "Abroad"),
    ]
    assert blocks[3].kind is BlockKind.PARAGRAPH


async def test_a_line_repeated_at_the_head_of_pages_is_no_heading(path: Path) -> None:
    body = lines(*["The body of the page is set in ten points and says so again."] * 6)
    pages = [
        DrawnPage(
            lines("Fee policy", bold=True) + lines("") + body + lines(f"Only on page {number}.", f"{number} / 2")
        ).content()
        for number in (1, 2)
    ]
    blocks, _ = await parse(path, pdf(pages))
    assert [block.kind for block in blocks if block.text == "Fee policy"] == [BlockKind.PARAGRAPH]
    assert [block.text for block in blocks if "/" in block.text] == ["1 / 2", "2 / 2"]


async def test_a_page_that_a_file_holds_twice_is_read_twice(path: Path) -> None:
    signed = DrawnPage(
        lines("In witness whereof the parties have signed.", "")
        + lines(*[f"Party {number} has signed this indenture." for number in range(6)])
        + lines("", "By: Jane Roe, for the trustee.")
    ).content()
    between = DrawnPage(lines(*["The second copy of the indenture follows."] * 8)).content()
    blocks, _ = await parse(path, pdf([signed, between, signed]))
    for page in (1, 3):
        text = "\n".join(block.text for block in blocks if block.page == page)
        assert "In witness whereof" in text
        assert "Jane Roe" in text


async def test_rows_of_figures_are_table_rows_under_their_years(path: Path) -> None:
    table = lines(
        "(in millions)", "Years ended December 31, 2022 2021", "Net interest income $ 1,058 $ 815",
        "Changes in provisions", "Retail (57) 107", "Total 1,001 922",
    )  # fmt: skip
    page = DrawnPage(lines("The results of the group follow.", "") + table + lines("", "They were audited."))
    blocks, _ = await parse(path, pdf([page.content()]))
    assert [block.kind for block in blocks] == [
        BlockKind.PARAGRAPH,
        *[BlockKind.TABLE_HEADER] * 2,
        *[BlockKind.TABLE_ROW] * 4,
        BlockKind.PARAGRAPH,
    ]
    assert blocks[3].text == "Net interest income $ 1,058 $ 815"


async def test_at_most_four_rows_above_the_first_figures_are_a_tables_header(path: Path) -> None:
    words = [("Product", "One", "Two"), ("Kind", "Aa", "Bb"), ("Sort", "Cc", "Dd"), ("Brand", "Ee", "Ff")]
    further = [("Class", "Gg", "Hh"), ("Type", "Ii", "Jj"), ("Net income", "1,058", "815"), ("Total", "1,001", "922")]
    cells = [
        f"BT /F0 10 Tf {left} {760 - 14 * number} Td ({cell}) Tj ET"
        for number, row in enumerate([*words, *further])
        for left, cell in zip((72, 250, 400), row, strict=True)
    ]
    blocks, _ = await parse(path, pdf(["\n".join(cells).encode()]))
    assert [block.kind for block in blocks] == [BlockKind.TABLE_HEADER] * 4 + [BlockKind.TABLE_ROW] * 4


async def test_an_encrypted_pdf_is_reported_as_such(path: Path) -> None:
    content = pdf([DrawnPage(lines("Secret.")).content()], password="open sesame")
    with pytest.raises(EncryptedPdf) as refusal:
        await parse(path, content)
    assert refusal.value.code == "encrypted_pdf"


async def test_a_pdf_that_anyone_may_open_is_read_although_it_is_encrypted(path: Path) -> None:
    blocks, _ = await parse(path, pdf([DrawnPage(lines("Public all the same.")).content()], password=""))
    assert [block.text for block in blocks] == ["Public all the same."]


@pytest.mark.parametrize("share", [0.1, 0.5])
async def test_a_truncated_pdf_is_corrupt(path: Path, share: float) -> None:
    content = pdf([DrawnPage(lines(f"Page {number}.")).content() for number in range(40)])
    with pytest.raises(CorruptFile):
        await parse(path, content[: int(len(content) * share)])


async def test_noise_after_a_pdf_signature_is_corrupt(path: Path) -> None:
    with pytest.raises(CorruptFile):
        await parse(path, b"%PDF-1.7\n" + bytes(range(256)) * 64)


async def test_something_else_named_pdf_is_refused(path: Path) -> None:
    with pytest.raises(WrongFormat):
        await parse(path, b"<html><body>Not a PDF.</body></html>")


async def test_pages_without_text_are_reported_when_there_are_others(path: Path) -> None:
    blocks, info = await parse(path, pdf([b"0 0 100 100 re f", DrawnPage(lines("Text.")).content()]))
    assert [block.page for block in blocks] == [2]
    assert [(warning.kind, warning.place) for warning in info.warnings] == [("scanned_page", "page 1")]


async def test_a_pdf_of_pictures_only_is_reported_as_having_no_text(path: Path) -> None:
    with pytest.raises(NoText) as refusal:
        await parse(path, pdf([b"0 0 100 100 re f"] * 3))
    assert refusal.value.code == "no_text"


async def test_a_pdf_of_ten_thousand_pages_is_refused_by_the_limit_before_a_page_is_read(path: Path) -> None:
    with pytest.raises(TooManyPages) as refusal:
        await parse(path, pdf([b"BT ET"] * 10_000))
    assert "10000" in refusal.value.detail


async def test_ten_thousand_pages_within_the_limit_are_read_in_bounded_memory(path: Path) -> None:
    content = pdf([DrawnPage(lines(f"Page {number}.")).content() for number in range(10_000)])
    limits = ParseLimits(max_pages=10_000, memory_bytes=256 * 1024 * 1024)
    blocks, info = await parse(path, content, limits)
    assert (len(blocks), info.page_count) == (10_000, 10_000)
    assert all(before.end + 1 == after.start for before, after in pairwise(blocks))


async def test_a_page_that_unpacks_to_a_gigabyte_is_stopped_by_the_memory_limit(path: Path) -> None:
    line = b"BT /F0 10 Tf 72 700 Td (bomb) Tj ET\n"
    compressor = zlib.compressobj(9)
    bomb = b"".join(compressor.compress(line * 30_000) for _ in range(1_000)) + compressor.flush()
    limits = ParseLimits(memory_bytes=256 * 1024 * 1024, cpu_seconds=30)
    with pytest.raises(ParseMemory):
        await parse(path, pdf([bomb], stream_filter=b"/Filter /FlateDecode"), limits)


async def test_a_page_tree_that_contains_itself_ends_in_an_error(path: Path) -> None:
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"]
    with pytest.raises(ParseError):
        await parse(path, serialised(objects))
