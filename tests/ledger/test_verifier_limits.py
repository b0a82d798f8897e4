"""The verifier's limits at their exact values: what is just within them passes, and the next is a finding."""

from datetime import UTC, datetime

import pytest

from backend.audit.details import timestamp
from backend.ledger.verifier.archives import Archives
from backend.ledger.verifier.events import Turns
from backend.ledger.verifier.findings import ARCHIVED, INVALID, MISSING, NOTE, OK, Report
from backend.ledger.verifier.payloads import Erasures, Payloads

FIVE_MINUTES = 300_000  # that an answer may take
YEAR = 365 * 86_400_000  # that every event stays in the log
SEALED = 1_700_000_000_000


def kinds(report: Report) -> list[str]:
    return [str(finding.kind) for finding in report.findings]


@pytest.mark.parametrize(("late", "found"), [(FIVE_MINUTES, []), (FIVE_MINUTES + 1, [MISSING])])
def test_an_answer_needs_its_prompt_once_every_turn_from_before_the_export_has_ended(
    late: int, found: list[str]
) -> None:
    report = Report()
    Turns(report, began=SEALED).check(7, "answer:returned", {"turn": "one"}, SEALED + late)
    assert kinds(report) == found


@pytest.mark.parametrize(("age", "found"), [(FIVE_MINUTES - 1, [NOTE]), (FIVE_MINUTES, [MISSING])])
def test_a_prompt_may_wait_for_its_answer_for_less_than_five_minutes_at_the_end(age: int, found: list[str]) -> None:
    report = Report()
    turns = Turns(report, began=None)
    turns.check(7, "prompt:submitted", {"turn": "one"}, SEALED)
    turns.finish(SEALED + age)
    assert kinds(report) == found


def test_of_two_prompts_and_one_answer_one_turn_is_counted_and_one_is_missing() -> None:
    report = Report()
    turns = Turns(report, began=None)
    for turn in ("one", "two", "two"):
        turns.check(7, "prompt:submitted", {"turn": turn}, SEALED)
    turns.check(8, "answer:refused", {"turn": "one"}, SEALED)
    turns.finish(SEALED + FIVE_MINUTES)
    assert kinds(report) == [INVALID, MISSING, OK]
    assert report.findings[-1].detail == "1 prompts have their answer"


def archived(when: int, *, first: int = 0, end: int = 2) -> list[str]:
    report = Report()
    archives = Archives(report)
    for leaf in (0, 1):
        archives.miss(leaf, SEALED)
    written = timestamp(datetime.fromtimestamp(when / 1000, UTC))
    said = {"first_leaf": first, "end_leaf": end, "month": "2023-11", "sha256": "0" * 64}
    archives.execute(9, {"time": written, "archive": said})
    archives.finish()
    return kinds(report)


def test_an_archive_accounts_for_what_is_a_year_old_and_for_nothing_younger() -> None:
    assert archived(SEALED + YEAR) == [ARCHIVED]
    assert archived(SEALED + YEAR - 1) == [MISSING, MISSING]


def test_an_archive_accounts_for_its_own_leaves_alone() -> None:
    assert archived(SEALED + YEAR, end=1) == [ARCHIVED, MISSING]
    assert archived(SEALED + YEAR, first=1) == [MISSING, ARCHIVED]
    assert archived(SEALED + YEAR, first=2) == [MISSING, MISSING]
    with pytest.raises(ValueError, match="not sealed before"):
        archived(SEALED + YEAR, end=10)


@pytest.mark.parametrize("mark", [1, 2, "true", [True], None, False])
def test_a_payload_is_marked_as_erased_by_true_and_nothing_like_it(mark: object) -> None:
    report = Report()
    payloads = Payloads(report, Erasures(report), all_revealed=True)
    with pytest.raises(ValueError, match="malformed"):
        payloads.check(1, "id", {"payloads": {"prompt": "0"}}, [{"name": "prompt", "erased": mark}])
    payloads.check(1, "id", {"payloads": {"prompt": "0"}}, [{"name": "prompt", "erased": True}])


def test_a_thousand_findings_of_a_kind_are_listed_and_the_next_is_counted() -> None:
    report = Report()
    for leaf in range(1_000):
        report.add(MISSING, f"leaf {leaf}", "is gone")
    assert (len(list(report.lines())), report.facts()["unlisted"]) == (1_000, {})
    report.add(MISSING, "leaf 1000", "is gone")
    assert list(report.lines())[1_000:] == ["MISSING report: 1 more that are not listed"]
    assert report.facts()["unlisted"] == {MISSING: 1}


def test_a_bundle_is_good_when_something_is_proved_and_nothing_convicts() -> None:
    report = Report()
    assert not report.ok, "nothing is proved"
    report.add(OK, "events", "are in the signed log")
    assert report.ok
    report.add(INVALID, "leaf 0", "differs")
    assert not report.ok
