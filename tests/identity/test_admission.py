"""Whose turn it is: a flood waits in its own queue, and is refused at once where that is full."""

import asyncio
from collections import Counter

import httpx
import pytest

from backend.errors import TooManyRequests
from backend.identity.callers.admission import Admission, Lane, LaneLimits, LaneName, Overloaded, Party
from tests.conftest import Service, Tenant

pytestmark = pytest.mark.anyio

FLOOD, OTHER = Party("flood", "one"), Party("other", "two")


def lane(running: int = 4, tenant_running: int = 2, tenant_waiting: int = 10) -> Lane:
    return Lane(LaneLimits(running, tenant_running, tenant_waiting))


async def test_no_tenant_runs_more_than_its_share_and_all_get_their_turn() -> None:
    limited, running, most, done = lane(), Counter[str](), Counter[str](), list[str]()

    async def work(party: Party) -> None:
        async with limited.admitted(party):
            running[party.tenant] += 1
            most[party.tenant] = max(most[party.tenant], running[party.tenant])
            most["all"] = max(most["all"], running.total())
            await asyncio.sleep(0.001)
            running[party.tenant] -= 1
            done.append(party.tenant)

    parties = [Party(f"tenant-{n % 5}", f"user-{n % 15}") for n in range(45)]
    await asyncio.gather(*(work(party) for party in parties))
    assert len(done) == 45
    assert most["all"] == 4
    assert max(most[f"tenant-{n}"] for n in range(5)) <= 2
    assert (limited.running, limited.waiting) == (0, 0)


async def test_who_comes_late_does_not_wait_behind_a_flood() -> None:
    limited, order = lane(running=1, tenant_running=1), list[str]()

    async def work(party: Party) -> None:
        async with limited.admitted(party):
            await asyncio.sleep(0)
            order.append(party.tenant)

    flood = [asyncio.create_task(work(Party("flood", f"{n}"))) for n in range(9)]
    await asyncio.sleep(0)
    late = asyncio.create_task(work(OTHER))
    await asyncio.gather(*flood, late)
    assert order.index("other") <= 3


async def test_a_full_queue_refuses_at_once_and_only_its_tenant() -> None:
    limited, gate = lane(running=2, tenant_running=1, tenant_waiting=4), asyncio.Event()

    async def work(party: Party) -> None:
        async with limited.admitted(party):
            await gate.wait()

    held = [asyncio.create_task(work(Party("flood", f"{n}"))) for n in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests) as refused:
        await work(FLOOD)
    assert (refused.value.reason, refused.value.headers["Retry-After"]) == ("admission:tenant", "1")
    other = asyncio.create_task(work(OTHER))
    await asyncio.sleep(0)
    assert limited.running == 2
    gate.set()
    await asyncio.gather(*held, other)
    assert limited.running == 0


async def test_one_principal_cannot_fill_the_queue_of_its_tenant() -> None:
    limited, gate = lane(running=1, tenant_running=1, tenant_waiting=4), asyncio.Event()

    async def work(party: Party) -> None:
        async with limited.admitted(party):
            await gate.wait()

    held = [asyncio.create_task(work(FLOOD)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests) as refused:
        await work(FLOOD)
    assert refused.value.reason == "admission:principal"
    colleague = asyncio.create_task(work(Party("flood", "colleague")))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*held, colleague)


async def test_a_request_that_goes_away_leaves_its_place() -> None:
    limited, gate = lane(running=1, tenant_running=1), asyncio.Event()

    async def work(party: Party) -> None:
        async with limited.admitted(party):
            await gate.wait()

    first, second = asyncio.create_task(work(FLOOD)), asyncio.create_task(work(FLOOD))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert (limited.running, limited.waiting) == (1, 0)
    third = asyncio.create_task(work(OTHER))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.sleep(0)
    assert limited.running == 1  # the third
    gate.set()
    await third
    assert limited.running == 0


async def test_a_wait_behind_what_hangs_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.identity.callers.admission.WAIT_SECONDS", 0.01)
    limited = lane(running=1, tenant_running=1)
    async with limited.admitted(FLOOD):
        with pytest.raises(Overloaded):
            async with limited.admitted(OTHER):
                pass
    assert (limited.running, limited.waiting) == (0, 0)


async def test_a_flood_of_one_tenant_is_refused_and_the_other_is_served(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    before = service.services.admission
    service.exchange(admission=Admission.limited_to(2, 1, 4))
    try:
        flood = [service.post("/retrieve", tenant, "analyst", {"query": "fees"}) for _ in range(40)]
        await service.token(tenant, "analyst")
        await service.token(other_tenant, "analyst")
        flooding = asyncio.gather(*flood)
        await asyncio.sleep(0)
        served = await service.post("/retrieve", other_tenant, "analyst", {"query": "fees"})
        answers: list[httpx.Response] = await flooding
    finally:
        service.exchange(admission=before)
    assert served.status_code == 200
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[429] > 0
    assert set(statuses) == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["error"] == "too_many_requests"


async def test_somebody_unknown_takes_no_turn_of_a_tenant(service: Service, tenant: Tenant) -> None:
    """A token that claims a tenant and is not signed by us waits by its address."""
    lane_of_short = service.services.admission.lanes[LaneName.SHORT]
    forged = (await service.token(tenant, "analyst")).rsplit(".", 1)[0] + "." + "A" * 86
    answer = await service.client.get("/auth/me", headers={"Authorization": f"Bearer {forged}"})
    assert answer.status_code == 401
    assert lane_of_short.running == 0


async def test_health_answers_whatever_waits(service: Service) -> None:
    before = service.services.admission
    service.exchange(admission=Admission({name: Lane(LaneLimits(0, 0, 0)) for name in LaneName}))
    try:
        assert (await service.client.get("/health")).status_code == 200
        assert (await service.client.get("/auth/me")).status_code == 429
    finally:
        service.exchange(admission=before)
