"""What is proposed keeps every tenant in its region, moves each once at most, makes no cell worse, and says why."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from backend.operation.moving.planning import LARGE, MeasuredCell, MeasuredTenant, MovePlan, plan

NAMES = tuple(f"{region}-{number}" for region in ("eu", "us") for number in range(4))
cells = st.lists(st.sampled_from(NAMES), min_size=1, max_size=8, unique=True).flatmap(
    lambda names: st.tuples(*(st.builds(MeasuredCell, st.just(n), st.just(n[:2]), st.sampled_from([False, False, False, True]), st.sampled_from([None, None, None, 0, 1, 3])) for n in names))
)  # fmt: skip
sizes = st.one_of(st.just(0), st.integers(0, 1000), st.integers(0, 10_000_000))
tenants = st.lists(
    st.tuples(st.sampled_from(NAMES), sizes, st.floats(0, 1e5), st.floats(0, 1e7)), max_size=30
).map(lambda rows: [MeasuredTenant(f"t{number:02}", *row) for number, row in enumerate(rows)])  # fmt: skip


def carried_out(there: Sequence[MeasuredTenant], proposed: MovePlan) -> list[MeasuredTenant]:
    targets = {move.tenant: move.target for move in proposed.moves}
    return [replace(tenant, cell=targets.get(tenant.slug, tenant.cell)) for tenant in there]


@given(cells, tenants, st.integers(0, 40))
def test_whatever_is_proposed_can_be_done(
    there: Sequence[MeasuredCell], measured: list[MeasuredTenant], most: int
) -> None:
    proposed, at, homes = (
        plan(there, measured, most),
        {cell.name: cell for cell in there},
        {t.slug: t.cell for t in measured},
    )
    assert len(proposed.moves) <= most
    assert max(Counter(move.tenant for move in proposed.moves).values(), default=1) == 1
    for move in proposed.moves:
        assert homes[move.tenant] == move.source != move.target
        assert at[move.source].region == at[move.target].region
        assert not at[move.target].draining
        assert move.why
    coming = Counter(move.target for move in proposed.moves)
    assert all(at[name].room is None or number <= at[name].room for name, number in coming.items())
    shuffled = measured[:]
    Random(most).shuffle(shuffled)
    assert plan(there[::-1], shuffled, most).moves == proposed.moves


@given(cells, tenants, st.integers(0, 40))
def test_no_region_is_more_uneven_afterwards_and_large_tenants_are_not_brought_together(
    there: Sequence[MeasuredCell], measured: list[MeasuredTenant], most: int
) -> None:
    there = [replace(cell, draining=False) for cell in there]
    proposed = plan(there, measured, most)
    regions: dict[str, list[str]] = defaultdict(list)
    for cell in there:
        regions[cell.region].append(cell.name)
    again = plan(there, carried_out(measured, proposed), 0)
    for names in regions.values():
        assert max(proposed.after[name] for name in names) <= max(proposed.before[name] for name in names) + 1e-9
        assert sum(proposed.after[name] for name in names) - sum(proposed.before[name] for name in names) < 1e-9
    for name, share in proposed.after.items():
        assert abs(again.before[name] - share) < 1e-9, "what it says comes of it does"
    assert most_large(there, carried_out(measured, proposed)) <= most_large(there, measured)


def most_large(there: Sequence[MeasuredCell], measured: Sequence[MeasuredTenant]) -> int:
    """How many large tenants are in cells beside another one."""
    found = 0
    for cell in there:
        region = [one.name for one in there if one.region == cell.region]
        shares = shares_of([tenant for tenant in measured if tenant.cell in region])
        mean = sum(shares.values()) / len(region)
        large = [t.slug for t in measured if t.cell == cell.name and shares[t.slug] >= LARGE * mean > 0]
        found += max(len(large) - 1, 0)
    return found


def shares_of(measured: Sequence[MeasuredTenant]) -> dict[str, float]:
    """Each tenant's share of a region, by the handbook's own words."""
    coming = {t.slug: t.chunks + 90 * t.chunks_per_day for t in measured}
    events = {t.slug: t.events_per_day for t in measured}
    of_all = (sum(coming.values()) or 1, sum(events.values()) or 1)
    return {slug: (coming[slug] / of_all[0] + events[slug] / of_all[1]) / 2 for slug in coming}


@given(cells, tenants)
def test_cells_that_are_emptied_become_empty_or_it_says_who_has_nowhere_to_go(
    there: Sequence[MeasuredCell], measured: list[MeasuredTenant]
) -> None:
    proposed = plan(there, measured, 1000)
    draining = {cell.name for cell in there if cell.draining}
    left = [tenant.slug for tenant in carried_out(measured, proposed) if tenant.cell in draining]
    assert sorted(left) == sorted(proposed.stuck)
    coming = Counter(move.target for move in proposed.moves)
    with_room = {
        cell.region for cell in there if not cell.draining and (cell.room is None or coming[cell.name] < cell.room)
    }
    regions = {cell.name: cell.region for cell in there}
    assert all(regions[t.cell] not in with_room for t in measured if t.slug in proposed.stuck)


def measured_at(cell: str, **chunks: int) -> list[MeasuredTenant]:
    return [MeasuredTenant(slug, cell, number, 0, 0) for slug, number in chunks.items()]


EU = [MeasuredCell("eu-1", "eu"), MeasuredCell("eu-2", "eu"), MeasuredCell("us-1", "us")]


def test_two_large_tenants_are_parted_and_none_leaves_its_region() -> None:
    small = {f"s{number}": 10 for number in range(20)}
    proposed = plan(EU, [*measured_at("eu-1", whale=1000, shark=900), *measured_at("eu-2", **small)], 3)
    (move,) = proposed.moves
    assert (move.tenant, move.source, move.target) == ("shark", "eu-1", "eu-2")
    assert "shark and whale are large, and share eu-1" in move.why


def test_a_heavy_cell_gives_to_a_light_one_until_they_are_alike_or_the_day_is_over() -> None:
    crowd = measured_at("eu-1", **{f"t{number}": 10 for number in range(40)})
    assert len(plan(EU, crowd, 3).moves) == 3
    whole = plan(EU, crowd, 1000)
    assert 15 <= len(whole.moves) <= 20
    assert whole.after["eu-1"] < 0.6
    assert "eu-1 has 2.0 times" in whole.moves[0].why
    assert plan(EU, carried_out(crowd, whole), 1000).moves == []


def test_who_grows_or_asks_much_counts_for_what_it_will_be() -> None:
    growing = [MeasuredTenant("grows", "eu-1", 10, 100.0, 0), MeasuredTenant("asks", "eu-1", 10, 0, 1e6)]
    (move,) = plan(EU, [*growing, *measured_at("eu-2", still=10)], 1).moves
    assert move.tenant in {"grows", "asks"}
