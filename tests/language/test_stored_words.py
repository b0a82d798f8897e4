"""What is stored of texts stays findable: the words that an earlier release stored are the words that are asked for today."""

import pytest

from backend.audit.search_words import search_words
from backend.language.stemming import LANGUAGES
from backend.language.stop_words import RANKING, SEARCHING, stop_words
from backend.retrieval.lexicon import terms

ENGLISH = (
    "Which customers' disputed transfers must the bank's compliance officers investigate without any further delay?"
)


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("english", ENGLISH, "custom disput transfer bank complianc offic investig without further delay"),
        ("english", "You may not; neither may us, nor she", "may not neither may us nor"),
        ("german", "Welche Gebühren gelten für die Überweisungen", "welch gebuhr gelt fur die uberweis"),
        ("french", "Quelles commissions sont prélevées", "quel comm sont prélev"),
        ("spanish", "Las comisiones de las transferencias", "las comision de las transferent"),
        ("italian", "Le commissioni sui bonifici", "le commission sui bonif"),
    ],
)
def test_passages_have_the_terms_that_they_were_stored_with(language: str, text: str, expected: str) -> None:
    assert " ".join(terms(text, language)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ENGLISH, "custom disput transfer must bank s complianc offic investig without ani further delay"),
        ("Who has been asked, and why not?", "been ask whi not"),
        ("Gebühren für Überweisungen", "gebühren für überweisungen"),
    ],
)
def test_the_log_is_searched_by_the_words_that_it_was_stored_with(text: str, expected: str) -> None:
    assert " ".join(search_words(text)) == expected


def test_the_lists_that_decide_what_is_stored_have_not_grown() -> None:
    assert len(stop_words(RANKING)) == 142
    assert len(stop_words(SEARCHING)) == 38
    assert stop_words(RANKING, "german") == frozenset()


def test_collections_may_name_every_language_that_has_stems() -> None:
    assert {"english", "german", "french", "spanish", "italian"} <= set(LANGUAGES)
