"""The timeline of a document's versions."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from backend.documents.versions.validity import FOREVER, Plan, Validity, timeline

START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


@st.composite
def plans(draw: st.DrawFn) -> list[Plan]:
    begins = draw(st.lists(st.integers(0, 20), max_size=6))
    lengths = draw(st.lists(st.one_of(st.none(), st.integers(0, 10)), min_size=len(begins), max_size=len(begins)))
    return [
        Plan(number, day(first), FOREVER if length is None else day(first + length))
        for number, (first, length) in enumerate(zip(begins, lengths, strict=True), start=1)
    ]


@given(plans())
def test_at_no_moment_are_two_versions_in_force(planned: list[Plan]) -> None:
    validities = timeline(planned)
    for moment in map(day, range(35)):
        assert sum(v.begins <= moment < v.ends for v in validities.values()) <= 1


@given(plans())
def test_a_version_is_in_force_only_as_planned_and_gives_way_only_to_a_later_one(planned: list[Plan]) -> None:
    validities = timeline(planned)
    for plan in planned:
        validity = validities[plan.number]
        assert validity.begins == plan.begins
        assert plan.begins <= validity.ends <= max(plan.begins, plan.ends)
        if validity.ends < plan.ends and not validity.is_empty:
            successors = [validities[p.number] for p in planned if p.number > plan.number]
            assert any(s.begins == validity.ends and not s.is_empty for s in successors)


def test_a_version_ends_when_the_next_one_begins() -> None:
    assert timeline([Plan(1, day(0)), Plan(2, day(5))]) == {1: Validity(day(0), day(5)), 2: Validity(day(5), FOREVER)}


def test_a_version_withdrawn_before_it_began_ends_none() -> None:
    assert timeline([Plan(1, day(0)), Plan(2, day(5), day(5))])[1] == Validity(day(0), FOREVER)


def test_a_later_version_that_begins_earlier_leaves_the_earlier_no_time() -> None:
    assert timeline([Plan(1, day(5)), Plan(2, day(2))])[1].is_empty
