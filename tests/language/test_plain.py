"""Ways of saying a thing are put into plain words, and what means something else is left as it is."""

import pytest

from backend.language.languages import language
from backend.language.plain import plain


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        ("en", "Should the insurance lapse, the bank is entitled to act.", "If the insurance lapse, the bank may act."),
        ("en", "The borrower is obliged to insure the house.", "The borrower must insure the house."),
        ("en", "Losses are compensated only if the bank was negligent.", "Losses are not compensated unless the bank was negligent."),
        ("en", "Withdrawals are limited to 500 euros.", "Withdrawals may be up to 500 euros."),
        ("en", "Send it no later than two weeks after the trip.", "Send it within two weeks after the trip."),
        ("de", "Das Konto ist gebührenfrei.", "Das Konto ist ohne kosten."),
        ("de", "Der Kunde ist verpflichtet, die Karte zu melden.", "Der Kunde muss, die Karte zu melden."),
        ("fr", "Le client est tenu de payer sans tarder.", "Le client doit payer immédiatement."),
        ("es", "El cliente está obligado a pagar.", "El cliente debe pagar."),
        ("it", "Il cliente ha il diritto di recedere.", "Il cliente può recedere."),
        ("en", "The borrower is not obliged to insure the house.", "The borrower need not insure the house."),
        ("fr", "Le client n'est pas tenu de payer.", "Le client n'est pas obligé de payer."),
    ],
)  # fmt: skip
def test_a_phrase_is_put_into_plain_words(code: str, said: str, expected: str) -> None:
    spoken = language(code)
    assert plain(said, spoken) == expected
    assert plain(expected, spoken) == expected


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("en", "No customer is required to pay."),
        ("en", "Nobody is entitled to a refund."),
        ("en", "Should the bank refund the fee?"),
        ("de", "Der Kunde ist nicht verpflichtet, die Karte zu melden."),
        ("es", "El cliente no está obligado a pagar."),
        ("it", "Il cliente non ha il diritto di recedere."),
    ],
)
def test_what_a_negation_turns_keeps_its_words(code: str, said: str) -> None:
    assert plain(said, language(code)) == said
