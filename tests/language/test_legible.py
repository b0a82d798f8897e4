"""A text is read as a person sees it, and every character of it is still known by its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.language.languages import detected
from backend.language.legible import legible


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("can\u200bnot", "cannot"),
        ("n\u043et free", "not free"),
        ("\ud835\udc2f\ud835\udc1e\ud835\udc2b\ud835\udc32 free".encode("utf-16", "surrogatepass").decode("utf-16"), "very free"),
        ("\uff11\uff10\uff10 days", "100 days"),
        ("$25\u00b9 fee", "$25  fee"),
        ("2\u00bd days", "2 1/2 days"),
        ("\u201cfree\u201d \u2013 isn\u2019t", '"free" - isn\'t'),
        ("a\u202eb\U000e0041c", "abc"),
        ("fr\u0065\u0301 ", "fr\u00e9 "),
        ("f\u0336r\u0336ee", "free"),
        ("\u043f\u0440\u0438\u0432\u0435\u0442", "\u043f\u0440\u0438\u0432\u0435\u0442"),
    ],
)  # fmt: skip
def test_a_text_is_read_as_it_is_seen(text: str, read: str) -> None:
    assert legible(text).text == read


@given(st.text(max_size=40))
def test_every_character_comes_from_its_place(text: str) -> None:
    found = legible(text)
    assert len(found.origins) == len(found.text)
    assert list(found.origins) == sorted(found.origins)
    assert all(0 <= origin < len(text) for origin in found.origins)
    assert legible(found.text).text == found.text or not text.isascii()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The fee is due on the first day of the month.", "en"),
        ("Die Geb\u00fchr ist am ersten Tag des Monats f\u00e4llig.", "de"),
        ("Les frais sont dus le premier jour du mois.", "fr"),
        ("La comisi\u00f3n se debe pagar el primer d\u00eda del mes.", "es"),
        ("La commissione \u00e8 dovuta il primo giorno del mese.", "it"),
        ("De kosten zijn op de eerste dag van de maand verschuldigd.", None),
        ("A taxa deve ser paga no primeiro dia do m\u00eas e n\u00e3o pode ser adiada.", None),
        ("\u5e74\u4f1a\u8cbb\u306f\u7121\u6599\u3067\u3059\u3002", None),
    ],
)
def test_a_language_is_known_by_its_most_frequent_words(text: str, code: str | None) -> None:
    found = detected(text)
    assert (found.code if found else None) == code
