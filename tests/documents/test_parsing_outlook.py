"""Messages in Outlook's own format: heads, bodies in three kinds, what is attached, and damage."""

import random
from pathlib import Path

import pytest

from backend.documents.parsing.errors import ParseError
from tests.documents import parsed
from tests.documents.outlook_messages import Folder, compound, message

SUBJECT, CLASS, FROM, ADDRESS, TO, CC = "0037", "001A", "0042", "5D02", "0E04", "0E03"
PLAIN, HTML, RICH, HEADERS = "1000", "1013", "1009", "007D"
FILE_NAME, CONTENT_ID = "3707", "3712"
HEAD = {SUBJECT: "Rates", CLASS: "IPM.Note", FROM: "Desk", ADDRESS: "desk@bank.example", TO: "A; B", CC: "C"}
JUNE_30 = 134_272_872_000_000_000  # in hundreds of nanoseconds since 1601


def read(folder: Path, root: Folder) -> tuple[list[str], list[tuple[str, str]]]:
    path = folder / "mail.msg"
    path.write_bytes(compound(root))
    texts, told = parsed.in_this_process(path)
    return [text for text in texts if text], [(str(warning.kind), warning.detail) for warning in told]


def raw(rich: str) -> bytes:
    return (
        (len(rich) + 12).to_bytes(4, "little")
        + len(rich).to_bytes(4, "little")
        + b"MELA"
        + bytes(4)
        + rich.encode("ascii")
    )


def test_a_message_is_read_with_its_head_and_body(tmp_path: Path) -> None:
    texts, told = read(tmp_path, message({**HEAD, PLAIN: "The fee is £25.\r\n\r\nFrom 1 July."}, times={0x39: JUNE_30}))
    assert texts == [
        "Rates", "From: Desk <desk@bank.example>", "To: A; B", "Cc: C", "Date: Tue, 30 Jun 2026 10:00:00 +0000",
        "The fee is £25.", "From 1 July.",
    ]  # fmt: skip
    assert told == []


def test_the_date_is_as_it_was_written_where_that_is_kept(tmp_path: Path) -> None:
    headers = "Received: x\r\nDate: Tue, 30 Jun 2026 12:00:00 +0200\r\nSubject: Rates"
    texts, _ = read(tmp_path, message({SUBJECT: "Rates", HEADERS: headers, PLAIN: "x" * 5_000}, times={0x39: JUNE_30}))
    assert texts[1] == "Date: Tue, 30 Jun 2026 12:00:00 +0200"
    assert texts[2] == "x" * 5_000


def test_a_message_from_before_unicode_is_read_in_its_code_page(tmp_path: Path) -> None:
    texts, _ = read(tmp_path, message({SUBJECT: "Gebühr", PLAIN: "25 €"}, numbers={0x3FFD: 1252}, kind="001E"))
    assert texts == ["Gebühr", "25 €"]


@pytest.mark.parametrize(
    ("binary", "plain", "wanted", "told"),
    [
        ({HTML: "<p>The fee is <s>$5</s> £6.</p>".encode("cp1252")}, "The fee is $5 £6.", "The fee is £6.", ["struck_out"]),
        ({HTML: b"<p>The fee is 25.</p>"}, "The fee is 25.", "The fee is 25.", []),
        ({HTML: b"<p>The fee is 25.</p>"}, "See the other version.", "The fee is 25.", []),
        ({RICH: raw("{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0 Arial;}}The fee\\par is \\'a3 25 \\u8364?.}")}, "", "The fee\nis £ 25 €.", []),
        (
            {RICH: raw(
                "{\\rtf1\\ansi\\ansicpg1252\\fromhtml1 \\deff0{\\*\\htmltag64 <p>}\\htmlrtf {\\htmlrtf0 Fee &"
                " {\\*\\htmltag84 <s>}\\htmlrtf {\\strike\\htmlrtf0 5\\htmlrtf }\\htmlrtf0{\\*\\htmltag92 </s>} 6\\'80"
                "\\htmlrtf\\par}\\htmlrtf0{\\*\\htmltag72 </p>}}"
            )},
            "Fee & 5 6€", "Fee & 6€", ["struck_out"],
        ),
    ],
)  # fmt: skip
def test_the_version_of_the_body_that_says_most_is_read(
    tmp_path: Path, binary: dict[str, bytes], plain: str, wanted: str, told: list[str]
) -> None:
    texts, warnings = read(tmp_path, message({PLAIN: plain}, binary=binary, numbers={0x3FDE: 1252}))
    assert texts == [wanted]
    assert [kind for kind, _ in warnings] == told


def test_what_is_attached_is_read_or_told_by_its_name(tmp_path: Path) -> None:
    inner = message({SUBJECT: "Limit", PLAIN: "At most 500."}, head=24)
    forwarded: Folder = {"__properties_version1.0": bytes(8), "__substg1.0_3701000D": inner}
    files = [message({FILE_NAME: name}, binary={"3701": b"x"}, head=8) for name in ("fees.pdf", "logo.png")]
    logo = {**files[1], f"__substg1.0_{CONTENT_ID}001F": "logo@x".encode("utf-16-le")}
    texts, told = read(tmp_path, message({SUBJECT: "FW", PLAIN: "See below."}, attached=[forwarded, files[0], logo]))
    assert texts == ["FW", "See below.", "Limit", "At most 500."]
    assert told == [
        ("attachment", "The attachment 'fees.pdf' is not read; upload it as a document of its own."),
        ("picture", "The attachment 'logo.png' is not read, nor are others of its kind."),
    ]  # fmt: skip


def test_an_encrypted_message_is_told(tmp_path: Path) -> None:
    texts, told = read(tmp_path, message({SUBJECT: "Secret", CLASS: "IPM.Note.SMIME"}))
    assert texts == ["Secret"]
    assert [kind for kind, _ in told] == ["protected_part"]


def test_messages_nested_deep_are_told(tmp_path: Path) -> None:
    innermost: Folder = message({SUBJECT: "0"}, head=24)
    for number in range(1, 15):
        attached: Folder = {"__properties_version1.0": bytes(8), "__substg1.0_3701000D": innermost}
        innermost = message({SUBJECT: str(number)}, attached=[attached], head=24 if number < 14 else 32)
    texts, told = read(tmp_path, innermost)
    assert texts == [str(number) for number in range(14, 4, -1)]
    assert [kind for kind, _ in told] == ["embedded_file"]


@pytest.mark.anyio
async def test_a_damaged_message_is_refused_or_read_and_always_ends(tmp_path: Path) -> None:
    whole = compound(
        message({**HEAD, PLAIN: "The fee is 25. " * 900}, attached=[message({FILE_NAME: "a.pdf"}, head=8)])
    )
    drawn = random.Random(12)
    path = tmp_path / "damaged.msg"
    for turn in range(300):
        damaged = bytearray(whole[: drawn.randrange(512, len(whole))] if turn % 3 == 0 else whole)
        for _ in range(drawn.randrange(1, 30)):
            at = drawn.choice(
                (drawn.randrange(len(damaged)), drawn.randrange(24, 512), len(damaged) - drawn.randrange(1, 512))
            )
            damaged[at] = drawn.choice((0, 1, 2, 0xFE, 0xFF, drawn.randrange(256)))
        path.write_bytes(damaged)
        try:
            parsed.in_this_process(path)
        except ParseError:
            continue
    ring = bytearray(whole)
    ring[-512:] = b"".join(number.to_bytes(4, "little") for number in [0] * 128)
    path.write_bytes(ring)
    with pytest.raises(ParseError):
        await parsed.parse(path)
