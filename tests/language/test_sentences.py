from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.language.sentences import spans, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fees are $5.50. Wires cost 25 USD.", ["Fees are $5.50.", "Wires cost 25 USD."]),
        ("Fees are free. [1] Wires are not. [2][3]", ["Fees are free. [1]", "Wires are not. [2][3]"]),
        ("He said “no.” Then he left!", ["He said “no.”", "Then he left!"]),
        ("U.S. customers pay Mr. Smith.", ["U.S. customers pay Mr. Smith."]),
        ("See No. 5 and sec. 7. The answer is no.", ["See No. 5 and sec. 7.", "The answer is no."]),
        ("The answer is no. Fees apply.", ["The answer is no.", "Fees apply."]),
        ("It opens at 5 p.m. on Monday.", ["It opens at 5 p.m. on Monday."]),
        ("You may close it.If you do, tell us.", ["You may close it.", "If you do, tell us."]),
        ("Bring:\n- a passport\n- a bill", ["Bring:", "- a passport", "- a bill"]),
        ("1. Bring a passport.\n2. Bring a bill.", ["1. Bring a passport.", "2. Bring a bill."]),
        ("A wrapped\nsentence.\n\nA new paragraph", ["A wrapped\nsentence.", "A new paragraph"]),
        ("Yes. It is.", ["Yes.", "It is."]),
        (" \n ... \n", []),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_a_sentence_that_is_too_long_is_cut_at_line_ends() -> None:
    table = "Net sales 3,642\nCost of sales (2,980)\nGross profit 662"
    assert split(table, longest=30) == table.split("\n")
    assert split(table, longest=100) == [table]


@given(st.text(alphabet="ab. \n[1]?!:-(A\u2019", max_size=60), st.integers(1, 20))
def test_spans_are_in_order_and_lose_no_letter_or_digit(text: str, longest: int) -> None:
    found = spans(text, longest)
    assert found == sorted(found)
    assert all(end <= start for (_, end), (start, _) in pairwise(found))
    kept = "".join(text[start:end] for start, end in found)
    assert [c for c in kept if c.isalnum()] == [c for c in text if c.isalnum()]
