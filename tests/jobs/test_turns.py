"""Tenants take turns in the queue, and places of a worker too."""

import asyncio
from typing import Literal
from uuid import UUID

import pytest

from backend.jobs.job import Job
from tests.jobs.noted_jobs import Noting, caller_of, enqueue, new_caller, worker
from tests.service import Service, Tenant

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("empty_queue")]


async def test_the_last_place_is_for_another_tenant_however_many_jobs_one_has(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    """Files that are read for an hour are not told from others before they are read."""
    flood = set(await enqueue(service, await caller_of(service, tenant), 5))
    begun, go_on = asyncio.Queue[UUID](), asyncio.Event()

    async def endless(job: Job) -> None:
        await begun.put(job.id)
        if job.id in flood:
            await go_on.wait()

    handler = Noting(service, endless)
    three = worker(service, handler, at_once=3, idle_seconds=0.01)
    working = asyncio.create_task(three.run())
    async with asyncio.timeout(60):
        assert {await begun.get(), await begun.get()} < flood
        others = await enqueue(service, await caller_of(service, other_tenant), 2)
        assert [await begun.get() for _ in others] == others
        while len(handler.finished) < 2:
            await asyncio.sleep(0.01)
        assert handler.finished == others
        go_on.set()
        assert {await begun.get() for _ in range(3)} < flood
    three.stopping.set()
    await working


class WatchedStop(asyncio.Event):
    """Counts who waits for it beside each other."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = self.most = self.times = 0

    async def wait(self) -> Literal[True]:
        self.waiting, self.times = self.waiting + 1, self.times + 1
        self.most = max(self.most, self.waiting)
        try:
            return await super().wait()
        finally:
            self.waiting -= 1


async def test_places_without_work_ask_the_queue_in_turn(service: Service) -> None:
    stopping = WatchedStop()
    four = worker(service, Noting(service), at_once=4, idle_seconds=0.05, stopping=stopping)
    working = asyncio.create_task(four.run())
    async with asyncio.timeout(60):
        while stopping.times < 8:
            await asyncio.sleep(0.01)
    stopping.set()
    await working
    assert stopping.most == 1


async def test_a_worker_that_does_one_job_at_a_time_does_everybodys(service: Service, tenant: Tenant) -> None:
    ids = await enqueue(service, await caller_of(service, tenant), 3)
    handler = Noting(service)
    one = worker(service, handler, at_once=1)
    while await one.work_once():
        pass
    assert handler.finished == ids


async def test_a_large_backlog_of_one_tenant_does_not_starve_others(service: Service) -> None:
    await enqueue(service, await new_caller(service, "large"), 1_000)
    last = [(await enqueue(service, await new_caller(service, f"small-{number}")))[0] for number in range(20)]
    handler = Noting(service)
    working = worker(service, handler)
    turns = 0
    while not set(last) <= set(handler.finished):
        assert await working.work_once()
        turns += 1
    assert turns <= 22, f"{turns} turns until each of 20 tenants had its one"
