"""Which tenants should move, and why: a pure function of what was measured.

A tenant's share of a region is the mean of its share of the chunks, as they will be in some months, and of its share of the
events. Cells of a region are taken for equal. A tenant only ever moves to a cell of its own region.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HORIZON_DAYS = 90
# A cell that is this much heavier than the mean is worth a move, and a move must win this much of the mean.
UNEVEN, WORTH = 1.15, 0.02
# A tenant that is this much of what a cell of its region has at the mean is large; no two of them should share a cell.
LARGE = 0.5
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class MeasuredTenant:
    """A tenant at home in a cell: chunks, how many more a day, and how many events a day its log grew by."""

    slug: str
    cell: str
    chunks: int
    chunks_per_day: float
    events_per_day: float


@dataclass(frozen=True, slots=True)
class MeasuredCell:
    """A cell that answered. From one that is draining everybody moves, and nobody to it, nor to one that has no room."""

    name: str
    region: str
    draining: bool = False
    room: int | None = None  # for so many tenants more; None is for as many as come


@dataclass(frozen=True, slots=True)
class ProposedMove:
    """A move, and why."""

    tenant: str
    source: str
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What is proposed, who could not be helped, and each cell's share of its region before and after."""

    moves: Sequence[ProposedMove]
    stuck: Sequence[str]
    before: dict[str, float]
    after: dict[str, float]


def plan(cells: Sequence[MeasuredCell], tenants: Iterable[MeasuredTenant], most_moves: int) -> MovePlan:
    """Returns at most so many moves, the most urgent first: out of draining cells, then large tenants apart, then evening out."""
    at = {cell.name: cell for cell in cells}
    known = sorted((tenant for tenant in tenants if tenant.cell in at), key=lambda tenant: tenant.slug)
    regions = [
        _RegionPlan(
            [cell for cell in cells if cell.region == region],
            [tenant for tenant in known if at[tenant.cell].region == region],
        )
        for region in sorted({cell.region for cell in cells})
    ]
    before = {name: share for region in regions for name, share in region.shares.items()}
    for step in (_RegionPlan.empty, _RegionPlan.part, _RegionPlan.even):
        for region in regions:
            while sum(len(each.moves) for each in regions) < most_moves and step(region):
                pass
    return MovePlan(
        [move for _, move in sorted((move for region in regions for move in region.moves), key=lambda move: move[0])],
        [slug for region in regions for slug in region.stuck],
        before,
        {name: share for region in regions for name, share in region.shares.items()},
    )


class _RegionPlan:
    """One region while moves are proposed. Each step proposes one, or tells that there is none."""

    def __init__(self, cells: Sequence[MeasuredCell], tenants: Sequence[MeasuredTenant]) -> None:
        chunks = sum(_coming(tenant) for tenant in tenants) or 1
        events = sum(tenant.events_per_day for tenant in tenants) or 1
        self.weights = {t.slug: (_coming(t) / chunks + t.events_per_day / events) / 2 for t in tenants}
        self.draining = sorted(cell.name for cell in cells if cell.draining)
        self.serving = sorted(cell.name for cell in cells if not cell.draining)
        self.room = {cell.name: cell.room for cell in cells if cell.room is not None}
        self.homes: dict[str, list[str]] = {cell.name: [] for cell in cells}
        for tenant in tenants:
            self.homes[tenant.cell].append(tenant.slug)
        for slugs in self.homes.values():
            slugs.sort(key=lambda slug: (-self.weights[slug], slug))
        self.shares = {name: sum(self.weights[slug] for slug in slugs) for name, slugs in self.homes.items()}
        self.moves: list[tuple[int, ProposedMove]] = []
        self.moved = set[str]()
        self.mean = sum(self.shares.values()) / (len(self.serving) or 1)

    @property
    def taking(self) -> list[str]:
        """The cells that tenants may move to."""
        return [name for name in self.serving if self.room.get(name, 1) > 0]

    @property
    def stuck(self) -> list[str]:
        """Tenants of draining cells that have nowhere to go in their region."""
        return [] if self.taking else [slug for name in self.draining for slug in self.homes[name]]

    def empty(self) -> bool:
        """Moves the largest tenant of a draining cell to where most room is, and not to another large one if that can be."""
        leaving = [slug for name in self.draining for slug in self.homes[name]]
        if not leaving or not self.taking:
            return False
        slug = min(leaving, key=lambda one: (-self.weights[one], one))
        source = next(name for name in self.draining if slug in self.homes[name])
        target = min(
            self.taking, key=lambda name: (self._is_large(slug) and self._has_large(name), self.shares[name], name)
        )
        return self._move(0, slug, source, target, f"{source} is being emptied")

    def part(self) -> bool:
        """Parts two large tenants that share a cell, where another cell has none and would not be heavier for it."""
        free = [name for name in self.taking if not self._has_large(name)]
        for name in sorted(self.serving, key=lambda cell: (-self.shares[cell], cell)):
            large = [slug for slug in self.homes[name] if self._is_large(slug)]
            movable = [slug for slug in large if slug not in self.moved]
            if len(large) < 2 or not movable:
                continue
            slug = movable[-1]
            fits = [cell for cell in free if self.shares[cell] + self.weights[slug] < self.shares[name]]
            if fits:
                other = next(one for one in large if one != slug)
                target = min(fits, key=lambda cell: (self.shares[cell], cell))
                return self._move(1, slug, name, target, f"{slug} and {other} are large, and share {name}")
        return False

    def even(self) -> bool:
        """Moves from the heaviest cell to the lightest what brings both nearest to each other."""
        if len(self.serving) < 2 or not self.taking:
            return False
        source = max(self.serving, key=lambda name: (self.shares[name], name))
        target = min(self.taking, key=lambda name: (self.shares[name], name))
        gap = self.shares[source] - self.shares[target]
        if self.shares[source] <= UNEVEN * self.mean + _ROUNDING:
            return False
        may = [
            slug for slug in self.homes[source]
            if slug not in self.moved and WORTH * self.mean <= self.weights[slug] <= gap - WORTH * self.mean
            and not (self._is_large(slug) and self._has_large(target))
        ]  # fmt: skip
        if not may:
            return False
        slug = min(may, key=lambda one: (abs(self.weights[one] - gap / 2), one))
        times = self.shares[source] / self.mean
        return self._move(
            2, slug, source, target, f"{source} has {times:.1f} times what a cell of the region has at the mean"
        )

    def _move(self, rank: int, slug: str, source: str, target: str, why: str) -> bool:
        self.homes[source].remove(slug)
        if target in self.room:
            self.room[target] -= 1
        self.homes[target].append(slug)
        self.homes[target].sort(key=lambda one: (-self.weights[one], one))
        self.shares[source] -= self.weights[slug]
        self.shares[target] += self.weights[slug]
        self.moved.add(slug)
        self.moves.append((rank, ProposedMove(slug, source, target, why)))
        return True

    def _is_large(self, slug: str) -> bool:
        return self.weights[slug] >= LARGE * self.mean > 0

    def _has_large(self, cell: str) -> bool:
        return any(self._is_large(slug) for slug in self.homes[cell][:1])


def _coming(tenant: MeasuredTenant) -> float:
    return tenant.chunks + HORIZON_DAYS * tenant.chunks_per_day


def counted(tenants: Iterable[MeasuredTenant]) -> dict[str, dict[str, float]]:
    """Returns of each cell how many tenants, chunks, chunks and events a day."""
    found: dict[str, dict[str, float]] = defaultdict(
        lambda: {"tenants": 0, "chunks": 0, "chunks_per_day": 0.0, "events_per_day": 0.0}
    )
    for tenant in tenants:
        row = found[tenant.cell]
        row["tenants"] += 1
        row["chunks"] += tenant.chunks
        row["chunks_per_day"] += tenant.chunks_per_day
        row["events_per_day"] += tenant.events_per_day
    return dict(found)
