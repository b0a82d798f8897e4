"""Whose turn it is: a flood waits in its own queue, and is refused at once where that is full."""

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from backend import request_scope
from backend.errors import TooManyRequests
from backend.identity.callers import admission, refusals
from backend.identity.callers import gate as gate_of
from backend.identity.callers.admission import Admission, Lane, LaneLimits, LaneName, Overloaded, Party
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

FLOOD, OTHER = Party("flood", "one"), Party("other", "two")


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands: a machine that pauses between two lines makes no request look slow, and no tenant idle."""
    monkeypatch.setattr(admission, "time", SimpleNamespace(monotonic=lambda: 100.0))


def lane(running: int = 4, tenant_running: int = 2, tenant_waiting: int = 10, **more: Any) -> Lane:
    return Lane(LaneLimits(running, tenant_running, tenant_waiting, **more))


@pytest.mark.usefixtures("still")
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


@pytest.mark.usefixtures("still")
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


@pytest.mark.usefixtures("still")
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


@pytest.mark.usefixtures("still")
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


async def test_a_wait_behind_what_hangs_has_an_end() -> None:
    limited = lane(running=1, tenant_running=1, wait_seconds=0.01)
    async with limited.admitted(FLOOD):
        with pytest.raises(Overloaded):
            async with limited.admitted(OTHER):
                pass
    assert (limited.running, limited.waiting) == (0, 0)


async def test_what_was_let_wait_for_longer_is_not_refused_for_having_waited() -> None:
    limited = lane(running=1, tenant_running=1, tenant_waiting=40, wait_seconds=0.5, usual_seconds=10)

    async def work() -> None:
        async with limited.admitted(FLOOD):
            await asyncio.sleep(2)

    async with limited.admitted(FLOOD):
        waiting = [asyncio.create_task(work()), asyncio.create_task(_pass(limited))]
        await asyncio.sleep(0)
    assert await asyncio.gather(*waiting) == [None] * 2  # the second waited for longer than three times half a second


@pytest.mark.usefixtures("still")
async def test_what_would_wait_too_long_is_refused_when_it_comes_and_told_when_to_come_back() -> None:
    limited, gate = lane(running=1, tenant_running=1, wait_seconds=3, usual_seconds=2), asyncio.Event()

    async def work(party: Party) -> None:
        async with limited.admitted(party):
            await gate.wait()

    held = [asyncio.create_task(work(Party("flood", f"{n}"))) for n in range(3)]  # one runs, two wait: 2 and 4 seconds
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests) as refused:
        work(FLOOD).send(None)  # without ever giving way
    assert (refused.value.reason, refused.value.headers["Retry-After"]) == ("admission:wait", "4")
    other = asyncio.create_task(work(OTHER))  # whose own queue is empty
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*held, other)
    assert limited.running == 0


@pytest.mark.usefixtures("still")
async def test_a_burst_waits_however_long_what_is_before_it_takes() -> None:
    limited, gate = (
        lane(running=1, tenant_running=1, tenant_waiting=40, wait_seconds=3, usual_seconds=2),
        asyncio.Event(),
    )

    async def work(party: Party) -> None:
        async with limited.admitted(party):
            await gate.wait()

    burst = [asyncio.create_task(work(FLOOD)) for _ in range(11)]  # ten wait, as they go for 20 seconds
    await asyncio.sleep(0)
    assert limited.waiting == 10
    with pytest.raises(TooManyRequests) as refused:
        work(FLOOD).send(None)
    assert refused.value.reason == "admission:wait"
    gate.set()
    await asyncio.gather(*burst)


@pytest.mark.usefixtures("still")
async def test_what_a_request_of_the_tenant_took_lately_tells_how_long_the_next_would_wait() -> None:
    limited = lane(running=2, tenant_running=2, wait_seconds=5, usual_seconds=20)
    async with limited.admitted(FLOOD):  # so that the tenant is remembered
        for _ in range(20):
            await _pass(limited)
        waiting = [asyncio.create_task(_pass(limited)) for _ in range(5)]  # 40 s, if they took what is usual
        assert await asyncio.gather(*waiting) == [None] * 5


@pytest.mark.usefixtures("still")
async def test_a_tenant_runs_fewer_requests_at_once_while_others_ask_too() -> None:
    limited, gate = lane(running=8, tenant_running=4), asyncio.Event()

    async def work(party: Party) -> None:
        async with limited.admitted(party):
            await gate.wait()

    flood = [asyncio.create_task(work(Party("flood", f"{n}"))) for n in range(6)]
    await asyncio.sleep(0)
    assert (limited.running, limited.waiting) == (4, 2)
    async with limited.admitted(OTHER):
        pass
    gate.set()
    gate.clear()
    await asyncio.sleep(0)
    await asyncio.gather(*flood[:4])
    assert (limited.running, limited.waiting) == (2, 0)
    late = asyncio.create_task(work(FLOOD))
    await asyncio.sleep(0)
    assert (limited.running, limited.waiting) == (2, 1)  # half of what it may alone
    gate.set()
    await asyncio.gather(*flood[4:], late)


@pytest.mark.usefixtures("still")
async def test_half_of_what_computes_is_kept_free_while_others_ask_in_whatever_lane() -> None:
    lanes, gate = Admission.limited_to(running=8, tenant_running=8, tenant_waiting=10).lanes, asyncio.Event()

    async def upload() -> None:
        async with lanes[LaneName.TRANSFER].admitted(FLOOD):
            await gate.wait()

    async with lanes[LaneName.SHORT].admitted(OTHER):
        uploads = [asyncio.create_task(upload()) for _ in range(4)]
        await asyncio.sleep(0)
        assert (lanes[LaneName.TRANSFER].running, lanes[LaneName.TRANSFER].waiting) == (2, 2)
    gate.set()
    await asyncio.gather(*uploads)


@pytest.mark.usefixtures("still")
async def test_who_asks_from_many_addresses_takes_nothing_of_a_tenants_share() -> None:
    limited, gate = lane(running=8, tenant_running=4, computes=True), asyncio.Event()

    async def work(party: Party) -> None:
        async with limited.admitted(party):
            await gate.wait()

    strangers = [asyncio.create_task(work(Party(f"address:{n}", f"{n}", known=False))) for n in range(3)]
    await asyncio.sleep(0)
    tenant = [asyncio.create_task(work(OTHER)) for _ in range(4)]
    await asyncio.sleep(0)
    assert (limited.running, limited.waiting) == (7, 0)
    gate.set()
    await asyncio.gather(*strangers, *tenant)


@pytest.mark.parametrize(
    ("address", "party"),
    [("2001:db8:1:2:3::9", "2001:db8:1:2::/64"), ("192.0.2.7", "192.0.2.7"), ("unknown", "unknown")],
)
def test_whoever_has_a_whole_network_is_one_party(address: str, party: str) -> None:
    assert gate_of.network_of(address) == party


async def _pass(limited: Lane) -> None:
    async with limited.admitted(FLOOD):
        pass


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
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["error"] == "too_many_requests"


async def test_a_flood_of_refusals_is_logged_as_one_and_a_number(
    service: Service, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "COUNTED_SECONDS", 0.5)
    for module in (refusals, request_scope):  # a logger that was used before is not captured
        monkeypatch.setattr(module, "log", structlog.get_logger())
    for each in (tenant, other_tenant):
        await service.token(each, "analyst")
    before = service.services.admission
    service.exchange(admission=Admission({name: Lane(LaneLimits(0, 0, 0)) for name in LaneName}))
    try:
        with capture_logs() as logged:
            floods = [service.post("/retrieve", tenant, "analyst", {"query": "fees"}) for _ in range(30)]
            answers = await asyncio.gather(
                *floods, service.post("/retrieve", other_tenant, "analyst", {"query": "fees"})
            )
            async with asyncio.timeout(20):
                while len(_own(logged)) + sum(line["times"] for line in _sums(logged)) < 31:
                    await asyncio.sleep(0.05)
    finally:
        service.exchange(admission=before)
    assert {answer.status_code for answer in answers} == {429}
    assert len(_own(logged)) + sum(line["times"] for line in _sums(logged)) == 31
    assert len(_own(logged)) < 10, "one of each tenant, in each time that is counted"
    assert {line["tenant_id"] for line in _sums(logged)} == {str(tenant.id)}


def _own(logged: list[Any]) -> list[Any]:
    return [line for line in logged if line["event"] == "request" and line["status"] == 429]


def _sums(logged: list[Any]) -> list[Any]:
    return [line for line in logged if line["event"] == "requests refused" and line["reason"] == "admission:tenant"]


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


async def test_who_signs_in_does_not_wait_behind_what_others_ask(service: Service, tenant: Tenant) -> None:
    before = service.services.admission
    full = {name: Lane(LaneLimits(0, 0, 0)) for name in LaneName}
    form = {"username": "analyst", "password": PASSWORD, "client_id": tenant.slug}
    service.exchange(admission=Admission(full | {LaneName.SIGN_IN: before.lanes[LaneName.SIGN_IN]}))
    try:
        assert (await service.client.post("/auth/token", data=form)).status_code == 200
        assert (await service.client.get("/auth/me")).status_code == 429
    finally:
        service.exchange(admission=before)
