"""Passages and answers that hold up who reads them: what is done for a sentence does not grow with all others."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from backend.answers import units as reading
from backend.answers.asked import ParsedQuestion
from backend.answers.candidates import candidates
from backend.answers.generator import Passage
from backend.answers.grounding import check
from backend.answers.units import LONGEST_RUN, Unit, run, units
from backend.documents.chunks.vectors import NOWHERE
from tests.answers.grounding_model import grounding
from tests.answers.passages import passages

LONGEST_TEXT = 20_000  # characters of a chunk
HOSTILE = (
    "- a fee is\n",
    "- the fee of a wire\n",
    "It is a fee. ",
    "And so the fee. ",
    "Yes. The fee is. ",
    "1. fee is it\n",
)
ORDINARY = """# Wires

A wire costs 25 dollars. It is waived for students. This holds for two years.

You need:
- a passport
- a card
1. First, sign in.
2. Then send it.

No. Fees are not returned. Such fees are:

They differ. However, the first one is free.
"""
pytestmark = pytest.mark.anyio

ID = UUID(int=1)


def passage(text: str) -> Passage:
    return Passage(1, ID, ID, "fees", 1, NOWHERE, "Fees", text, 0.9, 0.8, 5.0)


def by_its_words(text: str, found: Sequence[Unit], position: int) -> tuple[int, int]:
    """The run as it is described, looked for from its sentence on."""
    first = last = position
    while first > 0 and reading._needs_what_stands_before(text, found, first):
        first -= 1
    while last + 1 < len(found) and reading._needs_what_follows(text, found, last):
        last += 1
    while found[last].end - found[first].start > LONGEST_RUN and last > position:
        last -= 1
    return first, last


@pytest.mark.parametrize(
    "text", [ORDINARY, ORDINARY * 4, *(unit * 40 for unit in HOSTILE), *(unit * 200 for unit in HOSTILE)]
)
def test_a_run_is_what_a_sentence_needs_around_it(text: str) -> None:
    found = units(text)
    assert len(found) > 3
    for position in range(len(found)):
        assert run(text, found, position) == by_its_words(text, found, position)


@pytest.mark.parametrize("unit", HOSTILE)
def test_each_sentence_is_looked_at_once_for_what_stands_before_it(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (unit * LONGEST_TEXT)[: LONGEST_TEXT - 7]
    looked, needs = list[int](), reading._needs_what_stands_before

    def noting(text: str, found: Sequence[Unit], position: int) -> bool:
        looked.append(position)
        return needs(text, found, position)

    monkeypatch.setattr(reading, "_needs_what_stands_before", noting)
    found = units(text)
    for position in range(len(found)):
        run(text, found, position)
    assert 0 < len(looked) <= len(found)


@pytest.mark.parametrize("unit", [*HOSTILE, "No. "])
def test_little_of_a_passage_without_an_end_is_compared_with_the_question(unit: str) -> None:
    asked = ParsedQuestion.read("What is the fee?")
    quotes = [one.quote for one in candidates(asked, passage((unit * LONGEST_TEXT)[:LONGEST_TEXT]))]
    assert sum(map(len, quotes)) <= 200 * 3_600
    assert max(map(len, quotes), default=0) <= 3_600
    assert len(quotes) <= 200


@pytest.mark.parametrize("joint", ["; ", " and "])
async def test_a_model_that_repeats_itself_has_few_halves_of_its_sentence_parsed(
    joint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed, read = list[str](), check.parsed
    monkeypatch.setattr(check, "parsed", lambda text, *more: (parsed.append(text), read(text, *more))[1])
    checked = grounding()
    said = joint.join(["the fee of a wire is 24 dollars"] * 60)
    verdict = await checked.verdict(f"{said} [1].", checked.evidence(passages("The fee of a wire is 25 dollars.")))
    assert verdict.level is None
    assert 3 <= len(parsed) <= 25
