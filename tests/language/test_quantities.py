"""A number is its value and unit, in whatever way its language writes it."""

import pytest

from backend.language.languages import language
from backend.language.legible import legible
from backend.language.quantities import quantities
from backend.language.tokens import tokens


def read(code: str, text: str) -> list[str]:
    found = []
    for quantity in quantities(tokens(legible(text).text, language(code)), language(code)):
        value = quantity.parts or format(quantity.value.normalize(), "f")
        found.append(" ".join([str(value), quantity.unit or "-", *sorted(quantity.qualifiers)]))
    return found


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("en", "two and a half business days", ["2.5 day business"]),
        ("en", "$50k or fifty hundred dollars", ["50000 dollar", "5000 dollar"]),
        ("en", "within a dozen years", ["144 month"]),
        ("en", "within a decade", ["120 month"]),
        ("en", "half a million dollars", ["500000 dollar"]),
        ("en", "hundreds of dollars", ["100 many"]),
        ("en", "$2.87 million", ["2870000 dollar"]),
        ("en", "one hundred and twenty-five days", ["125 day"]),
        ("en", "2\u00bd percent", ["250 basis"]),
        ("en", "250 bps", ["250 basis"]),
        ("en", "two years or 24 months", ["24 month", "24 month"]),
        ("en", "$25\u00b9 a month", ["25 dollar"]),
        ("en", "at 5 p.m. or 17:00", ["1020 clock", "1020 clock"]),
        ("en", "on 2026-04-01 and April 1, 2026", ["(2026, 4, 1) date", "(2026, 4, 1) date"]),
        ("en", "\u0663\u0660 days", ["30 day"]),
        ("de", "1.500,50 EUR in f\u00fcnfundzwanzig Tagen", ["1500.5 euro", "25 day"]),
        ("de", "zweihundert Euro am 1. April 2026", ["200 euro", "(2026, 4, 1) date"]),
        ("fr", "1 500 \u20ac en quatre-vingt-dix jours ouvrables", ["1500 euro", "90 day business"]),
        ("fr", "soixante-dix euros le 1er avril 2026", ["70 euro", "(2026, 4, 1) date"]),
        ("es", "treinta y cinco d\u00edas h\u00e1biles, 1.500 euros", ["35 day business", "1500 euro"]),
        ("it", "venticinque giorni lavorativi e duecento euro", ["25 day business", "200 euro"]),
    ],
)
def test_a_number_is_read_as_it_is_meant(code: str, text: str, expected: list[str]) -> None:
    assert read(code, text) == expected
