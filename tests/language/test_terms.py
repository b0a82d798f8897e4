import pytest

from backend.language.terms import has_figure, stems, words


@pytest.mark.parametrize(
    "text",
    [
        "within 60 days", "ten working days", "twenty-five percent", "25%", "$1,500.00", "at 5:00 p.m.", "on 2026-04-01",
        "from April on", "you may ask in May 2026",
    ],
)  # fmt: skip
def test_a_figure_is_found_in_digits_in_words_and_in_dates(text: str) -> None:
    assert has_figure(text)


@pytest.mark.parametrize("text", ["no figure at all", "you may ask", "at noon, or p.m.", "$ and %", ""])
def test_what_only_stands_beside_figures_is_none(text: str) -> None:
    assert not has_figure(text)


def test_words_leave_out_numbers_and_name_the_month_of_a_date() -> None:
    assert words("The bank's twenty-five days end on 2026-04-01") == ["the", "bank", "days", "end", "on", "april"]
    assert stems("A couple's joint account, 5 usd, two euros") == ["coupl", "joint", "account"]


def test_stems_leave_out_function_words_and_currencies() -> None:
    assert stems("The bank's customers have disputed 25 dollars") == ["bank", "custom", "disput"]
