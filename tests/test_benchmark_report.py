"""The report of the benchmarks: it names what became worse, whichever way is better, and knows every benchmark."""

from pathlib import Path

import pytest

from tests.benchmarks.documents import ASKED
from tests.benchmarks.report import BENCHMARKS, NOISE, Ratio, _documents, page, warnings
from tests.benchmarks.rulebooks import GoldPassage, PrintedText, Rulebooks, share_found, within

FOLDER = Path(__file__).parent / "benchmarks"
HELPERS = {"__init__", "asked_on", "cost", "crossover", "deployment", "flood", "index_recall", "load_client", "platforms", "report", "synthetic"}  # fmt: skip


def test_what_is_measured_of_documents_is_shown_beside_what_was_asked_for() -> None:
    ratios = {ratio.name.partition(", to")[0]: ratio for ratio in _documents(dict.fromkeys(ASKED, 44.0))}
    assert set(ratios) == set(ASKED)
    assert [ratio.reached for ratio in ratios.values()] == [True, False, False]


def test_every_benchmark_is_run() -> None:
    there = {path.stem for path in FOLDER.glob("*.py")} | {path.parent.name for path in FOLDER.glob("*/__main__.py")}
    assert {benchmark.module for benchmark in BENCHMARKS} == there - HELPERS


@pytest.mark.parametrize(
    ("value", "higher_is_better", "is_worse"),
    [
        (2.0 * (1 + NOISE) + 0.01, False, True),
        (2.0 * (1 + NOISE) - 0.01, False, False),
        (1.0, False, False),
        (2.0 * (1 - NOISE) - 0.01, True, True),
        (2.0 * (1 - NOISE) + 0.01, True, False),
        (3.0, True, False),
    ],
)
def test_what_became_worse_is_warned_of(value: float, *, higher_is_better: bool, is_worse: bool) -> None:
    ratio = Ratio("speed", value, higher_is_better=higher_is_better)
    assert bool(warnings([ratio], {"speed": 2.0})) is is_worse
    assert warnings([ratio], {}) == []


@pytest.mark.parametrize(
    ("asked", "higher_is_better", "reached"), [(2.0, False, True), (1.0, False, False), (1.0, True, True), (2.0, True, False)]
)  # fmt: skip
def test_what_was_asked_for_is_reached_or_not(asked: float, *, higher_is_better: bool, reached: bool) -> None:
    assert Ratio("speed", 1.5, asked, higher_is_better).reached is reached


def test_the_page_shows_each_ratio_and_what_it_was() -> None:
    shown = page([Ratio("a <b> of it", 1.25, 1.1), Ratio("new", 0.5)], {"a <b> of it": 1.05})
    assert "a &lt;b&gt; of it" in shown
    assert "1.25" in shown
    assert "1.05" in shown
    assert "not reached" in shown
    assert "<li>a &lt;b&gt; of it: 1.25, and was 1.05</li>" in shown


def test_a_passage_is_found_when_what_is_shown_holds_half_of_it() -> None:
    passage = GoldPassage("a", (10, 20))
    shown = [GoldPassage("a", (0, 13)), GoldPassage("a", (12, 14)), GoldPassage("b", (10, 20))]
    assert share_found([passage, GoldPassage("a", (10, 18))], shown) == 0.5
    assert share_found([passage], [*shown, GoldPassage("a", (19, 40))]) == 1.0


def test_a_chunk_is_found_where_it_stands_whatever_became_of_white_space() -> None:
    printed = PrintedText("1.\n\nA fee.\n\n2.\n\nA  fee.\u200e Late.")
    assert printed.range_of(4, 10) == (2, 7)
    assert (printed.find("A fee.", near=0.0), printed.find("A\nfee.", near=0.9)) == ((2, 7), (9, 14))
    assert printed.find("Fees are these: Late.", near=0.9) == (0, 0)
    assert printed.find("It is: A fee. Late.", near=0.9) == (11, 19), "its second half, behind what leads into it"


def test_a_chunk_stands_where_its_own_text_does_not_what_leads_into_its_list() -> None:
    text = "It is: A fee. Some more of it. A late fee."
    books = Rulebooks({"a.txt": text}, {"a.txt": PrintedText(text)}, {})
    found = {"doc_id": "rules/a.txt", "chunk_text": "It is: A late fee.", "char_start": 31, "char_end": 42}
    assert books.shown(found) == GoldPassage("a.txt", (23, 32))


def test_as_many_texts_as_have_room_in_a_budget_are_shown() -> None:
    assert [within([3, 4, 5], budget) for budget in (2, 3, 11, 12)] == [0, 1, 2, 3]
