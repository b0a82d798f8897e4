"""Duties, permissions, bans and exemptions in other words: each form says what the others say, and none says another kind."""

from itertools import permutations, product

import pytest

from backend.answers.grounding.check import Evidence
from tests.answers.passages import passages

ENGLISH = {
    "duty": ["must", "is required to", "has to", "needs to", "shall", "is obliged to", "is under an obligation to"],
    "permission": ["may", "can", "is allowed to", "is entitled to", "has the right to", "is able to"],
    "ban": ["may not", "must not", "cannot", "is not allowed to", "isn't permitted to", "has no right to", "is unable to"],
    "exemption": ["need not", "does not have to", "isn't required to", "is under no obligation to", "has no duty to"],
    "advice": ["should", "ought to", "is advised to", "is encouraged to"],
}  # fmt: skip
OTHERS = [
    ("Die Bank muss das Konto nicht schließen.", "Die Bank braucht das Konto nicht zu schließen."),
    ("Die Bank kann das Konto schließen.", "Die Bank ist befugt, das Konto zu schließen."),
    ("La banque n'est pas tenue de fermer le compte.", "La banque n'a pas l'obligation de fermer le compte."),
    ("La banca non è tenuta a chiudere il conto.", "La banca non ha l'obbligo di chiudere il conto."),
    ("A collector must not call you.", "It is against the law for a collector to call you."),
    ("You should send a letter to the bank.", "It is a good idea to send a letter to the bank."),
    ("Keep the check, but don't use it for another payment.", "You should not use the check for another payment."),
]


def is_shown(passage: str, sentence: str) -> bool:
    """Whether the rules alone let a sentence pass."""
    return Evidence(passages(passage), lambda _: 1.0, 0.5).verdict(sentence, [1]).level is not None


def said(form: str) -> str:
    return f"The bank {form} disclose the fee to the customer."


@pytest.mark.parametrize("kind", ENGLISH)
def test_each_form_says_what_the_others_of_its_kind_say(kind: str) -> None:
    dropped = [pair for pair in permutations(ENGLISH[kind], 2) if not is_shown(*map(said, pair))]
    assert dropped == []


@pytest.mark.parametrize(("kind", "other"), list(permutations(ENGLISH, 2)))
def test_no_form_says_what_another_kind_says(kind: str, other: str) -> None:
    shown = [pair for pair in product(ENGLISH[kind], ENGLISH[other]) if is_shown(*map(said, pair))]
    assert shown == []


@pytest.mark.parametrize(("passage", "sentence"), OTHERS)
def test_forms_of_other_languages_and_whole_sentences(passage: str, sentence: str) -> None:
    assert is_shown(passage, sentence)


@pytest.mark.parametrize(
    ("passage", "sentence"),
    [
        ("Die Bank hat das Konto zu schließen.", "Die Bank ist befugt, das Konto zu schließen."),
        (
            "Even if you are late, remember that you have rights when dealing with debt collectors, and it is against "
            "the law for a collector to harass you.",
            "You are not allowed to harass a debt collector.",
        ),
        ("Keep the check, but don't use it for another payment.", "You should use the check for another payment."),
        ("The lender offers optional insurance to borrowers.", "The lender offers mandatory insurance to borrowers."),
    ],
)
def test_what_these_forms_do_not_say(passage: str, sentence: str) -> None:
    assert not is_shown(passage, sentence)
