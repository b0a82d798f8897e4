"""What a name and a media type declare, and names made safe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.documents.parsing.errors import MacroEnabled, ParseError, UnsupportedFile, WrongFormat, from_code
from backend.documents.parsing.filenames import safe_filename
from backend.documents.parsing.formats import Format, declared_format


@pytest.mark.parametrize(
    ("filename", "media_type", "expected"),
    [
        ("policy.PDF", "application/pdf", Format.PDF),
        ("policy.pdf", None, Format.PDF),
        ("policy", "application/pdf", Format.PDF),
        ("rates.csv", "application/vnd.ms-excel", Format.CSV),
        ("notes.md", "text/plain; charset=utf-8", Format.MARKDOWN),
        ("notes", "text/plain", Format.TEXT),
        ("notes", "application/octet-stream", None),
    ],
)
def test_the_extension_and_the_media_type_declare_the_format(
    filename: str, media_type: str | None, expected: Format | None
) -> None:
    assert declared_format(filename, media_type) is expected


def test_an_extension_and_a_media_type_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(WrongFormat):
        declared_format("policy.pdf", "text/html")


@pytest.mark.parametrize(("filename", "media_type"), [("run.exe", None), ("a.zip", None), ("a", "image/png")])
def test_other_types_are_refused(filename: str, media_type: str | None) -> None:
    with pytest.raises(UnsupportedFile):
        declared_format(filename, media_type)


@pytest.mark.parametrize(
    ("filename", "instead"),
    [
        ("rates.xls", ".xlsx"),
        ("terms.RTF", ".docx"),
        ("terms.odt", ".docx"),
        ("rates.xlsb", ".xlsx"),
    ],
)
def test_a_type_that_is_not_read_is_refused_with_what_to_save_it_as(filename: str, instead: str) -> None:
    with pytest.raises(UnsupportedFile, match=f"save it as '{instead}'"):
        declared_format(filename, None)


@pytest.mark.parametrize(
    ("filename", "media_type"),
    [("a.docm", None), ("a.XLSM", None), ("a", "application/vnd.ms-excel.sheet.macroEnabled.12")],
)
def test_macro_enabled_types_are_refused(filename: str, media_type: str | None) -> None:
    with pytest.raises(MacroEnabled):
        declared_format(filename, media_type)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("policy.pdf", "policy.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\fees.docx", "fees.docx"),
        ("fees\r\nSet-Cookie: a=b.pdf", "feesSet-Cookie a=b.pdf"),
        ("fees\x00.pdf", "fees.pdf"),
        ("\u202efdp.exe", "fdp.exe"),
        ('a"b<c>.txt', "a b c.txt"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("con.pdf", "_con.pdf"),
        ("Gebühren 2026.pdf", "Gebühren 2026.pdf"),
        ("ä" * 300 + ".pdf", "ä" * 98 + ".pdf"),
    ],
)
def test_a_file_name_loses_paths_and_what_cannot_be_shown(name: str, safe: str) -> None:
    assert safe_filename(name) == safe


@given(st.text())
def test_a_safe_name_is_short_printable_and_stable(name: str) -> None:
    safe = safe_filename(name)
    assert 0 < len(safe.encode()) <= 200
    assert not set(safe) & set('/\\\0\r\n"')
    assert all(character.isprintable() for character in safe)
    assert safe_filename(safe) == safe


def test_every_error_has_its_own_code_and_a_sentence() -> None:
    errors = ParseError.__subclasses__()
    assert len({error.code for error in errors}) == len(errors)
    assert all(error().detail.endswith(".") for error in errors)
    assert all(type(from_code(error.code, "x")) is error for error in errors)
