"""How long a refusal takes tells nothing: another tenant's id is refused as fast as one that is nobody's."""

import math
import random
import time

import pytest

from backend.identity.callers.permissions import Role
from tests.isolation.never_answered import NEVER
from tests.isolation.rightly_asked import Requester, given
from tests.isolation.routes import Given, Route, served
from tests.isolation.things import Things
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

ROUNDS = 25  # of each kind
MOST = 4.5  # of |z|


@pytest.mark.slow
async def test_another_tenants_id_takes_as_long_as_a_random_one(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    """By the Mann-Whitney test, each pair in an order drawn by lot, so that what differs by chance is as often either kind.

    |z| exceeds 4.5 by chance once in 150,000 routes. A route that does is measured anew, and must do so again: of 100 routes one
    is accused wrongly in 200 million runs. What a machine's pauses add falls on both kinds alike.
    """
    things = Things(service, tenant)
    await things.prepare()
    for route in await served(service):
        if not route.names_something:
            continue
        asked = await given(things, route, Requester(things.tenant, "admin"))
        nobodys = Given(arguments=asked.arguments)
        headers = await _of_who_may(service, other_tenant, route, nobodys)
        if headers is None:
            assert route.name in NEVER, f"nobody gets as far as a 404 at {route.name}"
            continue
        for _ in range(2):
            foreign, unknown = await _measured(service, route, headers, asked, nobodys)
            if abs(_rank_sum_z(foreign, unknown)) < MOST:
                break
        else:
            medians = sorted(foreign)[ROUNDS // 2], sorted(unknown)[ROUNDS // 2]
            raise AssertionError((route.path, *medians))


async def _measured(
    service: Service, route: Route, headers: dict[str, str], foreign: Given, unknown: Given
) -> tuple[list[float], list[float]]:
    """Returns how long refusals of both kinds took, in seconds."""
    taken: tuple[list[float], list[float]] = [], []
    for _ in range(ROUNDS):
        pair = [(taken[0], foreign), (taken[1], unknown)]
        random.shuffle(pair)
        for of_kind, asked in pair:
            of_kind.append(await _seconds(service, route, headers, asked))
    return taken


async def _of_who_may(service: Service, tenant: Tenant, route: Route, nobodys: Given) -> dict[str, str] | None:
    """Headers of somebody to whom a route says that there is no such thing; none where it refuses everybody for another reason."""
    for role in Role:
        headers = await service.as_user(tenant, role.value)
        if (await route.ask(service, headers, nobodys)).status_code == 404:
            return headers
    return None


async def _seconds(service: Service, route: Route, headers: dict[str, str], asked: Given) -> float:
    started = time.perf_counter()
    answer = await route.ask(service, headers, asked)
    elapsed = time.perf_counter() - started
    assert answer.status_code == 404
    return elapsed


def _rank_sum_z(first: list[float], second: list[float]) -> float:
    ranked = sorted([(value, True) for value in first] + [(value, False) for value in second])
    ranks = sum(rank for rank, (_, is_first) in enumerate(ranked, start=1) if is_first)
    n, m = len(first), len(second)
    u = ranks - n * (n + 1) / 2
    return (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


def test_the_comparison_of_times_notices_a_difference_of_a_tenth() -> None:
    base = [1.0 + 0.001 * (n % 7) for n in range(ROUNDS)]
    assert abs(_rank_sum_z(base, base)) < MOST
    assert abs(_rank_sum_z([value * 1.1 for value in base], base)) > MOST
