"""Words that belong together in a question are looked for together."""

import pytest

from backend.answers.word_pairs import apart

MARGIN = "An adjustable-rate mortgage has an index and a margin. The interest of the loan is calculated each month."


@pytest.mark.parametrize(
    ("question", "text", "share"),
    [
        ("How is the interest on a margin loan calculated?", MARGIN, 0.5),
        ("How is the interest on a margin loan calculated?", "A margin loan is calculated daily.", 0.0),
        ("Is an expired passport accepted?", "Expired passports are accepted.", 0.0),
        ("Is an expired passport accepted?", "A passport is accepted. Cards that expired are not.", 0.5),
        ("Who pays?", MARGIN, 0.0),
    ],
)
def test_words_that_stand_together_in_the_question_may_stand_apart_in_the_text(
    question: str, text: str, share: float
) -> None:
    assert apart(question, text) == share
