"""What a question asks for, and whether a sentence has it."""

import pytest

from backend.answers import elements
from backend.answers.asked import ParsedQuestion, QuestionKind


@pytest.mark.parametrize(
    ("question", "better", "worse"),
    [
        (
            "How many indicators make a referral?",
            "Two or more indicators are referred to the unit.",
            "An indicator is a reason to look closer.",
        ),
        (
            "When am I told the new payment?",
            "The servicer tells you seven months before it is due.",
            "The servicer sends you an estimate of the payment.",
        ),
        (
            "When is a wire sent?",
            "A wire is sent within two hours.",
            "A wire of $500 is sent to the beneficiary.",
        ),
        ("How much is the late fee?", "The late fee is $20.", "You may be charged a late fee."),
        ("How high can the late fee be?", "State law limits the amount.", "You may be charged a late fee."),
        ("Can a lender require insurance?", "No. It cannot require insurance.", "Insurance covers the vehicle."),
        (
            "How do I make a collector stop?",
            "You can stop it by writing a letter.",
            "Ignoring a collector is unlikely to make it stop.",
        ),
        ("Which loans count?", "Only direct loans are eligible.", "There are a number of programs."),
        ("Who approves a credit of $300?", "A manager approves up to $500.", "Staff approve up to $100."),
    ],
)
def test_a_sentence_with_what_is_asked_gains_more(question: str, better: str, worse: str) -> None:
    asked = ParsedQuestion.read(question)
    assert elements.bonus(asked, better) > elements.bonus(asked, worse)


def test_when_within_a_question_asks_for_no_time() -> None:
    assert ParsedQuestion.read("What do I promise when I co-sign a loan?").kind is not QuestionKind.FIGURE
    assert ParsedQuestion.read("I deposited cash. When can I use it?").kind is QuestionKind.FIGURE
    assert ParsedQuestion.read("By when must I file?").kind is QuestionKind.FIGURE


def test_a_name_that_only_some_passages_have_is_part_of_what_is_asked() -> None:
    asked = ParsedQuestion.read("How do I get my Harbor money from the ATM?")
    one, other = "Harbor pays money at a counter.", "Harbor has an ATM for money."
    assert asked.coverage(one) == asked.coverage(other)
    asked = asked.among([one, other])
    assert asked.coverage(other) > asked.coverage(one)
    assert "harbor" not in asked.subject
