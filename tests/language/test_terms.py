import pytest

from backend.language.terms import figures, stems


def read(text: str) -> set[str]:
    return {" ".join([figure.value, *sorted(figure.units)]) for figure in figures(text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("within 60 days", {"60 day"}),
        ("within sixty calendar days", {"60 day"}),
        ("the 60-day period, until day 60", {"60 day"}),
        ("30 to 45 business days", {"30 business day", "45 business day"}),
        ("ten working days", {"10 business day"}),
        ("$1,500.00", {"1500 dollar"}),
        ("USD 1500 or 1500 dollars", {"1500 dollar"}),
        ("$2.87 million", {"2.87 dollar million"}),
        ("twenty-five percent, 25%", {"25 percent"}),
        ("at 5:00 p.m. or 3:30 PM", {"5 pm", "3:30 pm"}),
        ("on 2026-04-01", {"2026", "april", "1"}),
        ("on 1 April 2026 and April 1, 2026", {"2026", "april", "1"}),
        ("you may ask in May 2026", {"2026", "may"}),
        ("no figure at all", set()),
    ],
)
def test_a_figure_is_its_value_and_units_however_it_is_written(text: str, expected: set[str]) -> None:
    assert read(text) == expected


def test_stems_leave_out_function_words_and_currencies() -> None:
    assert stems("The bank's customers have disputed 25 dollars") == ["bank", "custom", "disput"]
