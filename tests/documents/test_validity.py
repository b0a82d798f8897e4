"""The timeline of a document's versions."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from backend.documents.versions.validity import FOREVER, PlannedValidity, Validity, timeline

START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


@st.composite
def plans(draw: st.DrawFn) -> list[PlannedValidity]:
    begins = draw(st.lists(st.integers(0, 20), max_size=6))
    lengths = draw(st.lists(st.one_of(st.none(), st.integers(0, 10)), min_size=len(begins), max_size=len(begins)))
    return [
        PlannedValidity(number, day(first), FOREVER if length is None else day(first + length))
        for number, (first, length) in enumerate(zip(begins, lengths, strict=True), start=1)
    ]


@given(plans())
def test_at_no_moment_are_two_versions_in_force(planned: list[PlannedValidity]) -> None:
    validities = timeline(planned)
    for moment in map(day, range(35)):
        assert sum(v.begins <= moment < v.ends for v in validities.values()) <= 1


@given(plans())
def test_a_version_is_in_force_only_as_planned_and_gives_way_only_to_a_later_one(
    planned: list[PlannedValidity],
) -> None:
    validities = timeline(planned)
    for plan in planned:
        validity = validities[plan.number]
        assert validity.begins == plan.begins
        assert plan.begins <= validity.ends <= max(plan.begins, plan.ends)
        if validity.ends < plan.ends and not validity.is_empty:
            successors = [validities[p.number] for p in planned if p.number > plan.number]
            assert any(s.begins == validity.ends and not s.is_empty for s in successors)


def test_a_version_ends_when_the_next_one_begins() -> None:
    assert timeline([PlannedValidity(1, day(0)), PlannedValidity(2, day(5))]) == {
        1: Validity(day(0), day(5)),
        2: Validity(day(5), FOREVER),
    }


def test_a_version_withdrawn_before_it_began_ends_none() -> None:
    assert timeline([PlannedValidity(1, day(0)), PlannedValidity(2, day(5), day(5))])[1] == Validity(day(0), FOREVER)


def test_a_later_version_that_begins_earlier_leaves_the_earlier_no_time() -> None:
    assert timeline([PlannedValidity(1, day(5)), PlannedValidity(2, day(2))])[1].is_empty


def test_a_version_is_superseded_when_a_later_one_ends_it_and_not_when_its_own_end_comes_first() -> None:
    validities = timeline(
        [
            PlannedValidity(1, day(0), day(3)),
            PlannedValidity(2, day(5), day(9)),
            PlannedValidity(3, day(9)),
            PlannedValidity(4, day(12)),
            PlannedValidity(5, day(20), day(20)),
        ]
    )
    assert {number: validity.is_superseded for number, validity in validities.items()} == {
        1: False,
        2: True,
        3: True,
        4: False,
        5: False,
    }


def test_a_validity_says_when_it_never_was_and_supersedes_nothing_by_itself() -> None:
    assert [Validity(day(2), day(end)).is_empty for end in (1, 2, 3)] == [True, True, False]
    assert not Validity(day(2), day(3)).is_superseded
    assert Validity(day(2), day(3), is_superseded=True) == Validity(day(2), day(3))
