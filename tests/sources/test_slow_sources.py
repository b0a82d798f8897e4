"""Slow sources leave workers to others: a run takes so long, and runs take no more than half of the places."""

import asyncio

import pytest

from backend.jobs.worker import Worker
from backend.sources.running import RUN
from tests.jobs.noted_jobs import Noting, enqueue, new_caller
from tests.service import Service, Tenant
from tests.sources.site import site
from tests.sources.sources import bank_with_policies, counted, created, documents, reaching, run

pytestmark = pytest.mark.anyio

WIRES = "Wires leave before noon."


async def test_a_list_that_comes_too_slowly_ends_the_run(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service, run_seconds=0.5, request_seconds=500.0):
        there.held["/map.txt"] = asyncio.Event()
        ended = await run(service, bank, await created(service, bank, f"{there.url}/map.txt", "sitemap"))
        assert (ended["state"], ended["reason"]) == ("failed", "took_too_long")


async def test_what_a_run_had_no_time_for_the_next_one_does(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there:
        wires, slow, last = (there.page(f"/{name}.md", f"{WIRES} {name}") for name in ("wires", "slow", "last"))
        there.held["/slow.md"] = asyncio.Event()
        async with reaching(service, run_seconds=3.0, request_seconds=500.0):
            source = await created(service, bank, f"{wires} {slow} {last}")
            first = counted(await run(service, bank, source))
            assert (first["left"] >= 2, first["left"] + first.get("new", 0)) == (True, 3)
        there.held["/slow.md"].set()
        async with reaching(service):
            assert counted(await run(service, bank, source))["new"] == first["left"]
        assert len(await documents(service, bank)) == 3


async def test_what_is_gone_is_told_by_a_run_that_had_no_time_for_files_that_are_known(service: Service) -> None:
    """Or a source that is slow as a whole would never tell. Of a new file that was left, it may be the other name."""
    bank = await bank_with_policies(service)
    async with site() as there:
        slow, last = (there.page(f"/{name}.md", f"{WIRES} {name}") for name in ("slow", "last"))
        there.pages["/map.txt"] = f"{slow}\n{last}".encode()
        async with reaching(service):
            source = await created(service, bank, f"{there.url}/map.txt", "sitemap")
            assert counted(await run(service, bank, source)) == {"new": 2}
        there.slow |= {"/slow.md", "/new.md"}
        async with reaching(service, run_seconds=4.0, request_seconds=500.0):
            there.pages["/map.txt"] = slow.encode()
            assert counted(await run(service, bank, source)) == {"gone": 1, "left": 1}
            there.pages["/map.txt"] = f"{there.url}/new.md".encode()
            assert counted(await run(service, bank, source)) == {"left": 1}


async def test_runs_that_wait_for_their_servers_leave_half_of_the_places_to_others(service: Service) -> None:
    banks = [await bank_with_policies(service) for _ in range(3)]
    async with site() as there, reaching(service, request_seconds=500.0):
        there.held["/map.txt"] = asyncio.Event()
        for bank in banks:
            source = await created(service, bank, f"{there.url}/map.txt", "sitemap")
            assert (await service.post(f"/sources/{source['id']}/runs", bank, "admin", {})).status_code == 202
        others = Noting(service)
        handlers = {**service.services.job_handlers(), "test:note": others}
        four = Worker(service.services.tenancy, handlers, at_once=4, idle_seconds=0.01, waiting_kinds=frozenset({RUN}))
        working = asyncio.create_task(four.run())
        async with asyncio.timeout(60):
            while len(there.asked) < 2:
                await asyncio.sleep(0.02)
            ids = await enqueue(service, await new_caller(service, "bystander"), 3)
            while len(others.finished) < len(ids):
                await asyncio.sleep(0.02)
        assert len(there.asked) == 2
        there.held["/map.txt"].set()
        async with asyncio.timeout(60):
            while len(there.asked) < 3:
                await asyncio.sleep(0.02)
        four.stopping.set()
        await working


async def asked_for(service: Service, bank: Tenant, address: str) -> None:
    source = await created(service, bank, address, "sitemap", name=address[-60:])
    assert (await service.post(f"/sources/{source['id']}/runs", bank, "admin", {})).status_code == 202


async def test_a_worker_with_one_place_reads_files_while_a_source_is_slow(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service, request_seconds=500.0):
        there.held |= {"/map.txt": asyncio.Event(), "/other.txt": asyncio.Event()}
        for path in there.held:
            await asked_for(service, bank, there.url + path)
        others = Noting(service)
        handlers = {**service.services.job_handlers(), "test:note": others}
        one = Worker(service.services.tenancy, handlers, idle_seconds=0.01, waiting_kinds=frozenset({RUN}))
        working = asyncio.create_task(one.run())
        async with asyncio.timeout(60):
            while not there.asked:
                await asyncio.sleep(0.02)
            ids = await enqueue(service, await new_caller(service, "beside"), 3)
            while len(others.finished) < len(ids):
                await asyncio.sleep(0.02)
        assert (others.finished, len(there.asked)) == (ids, 1)  # one after the other, and one source beside them
        one.stopping.set()
        for waits in there.held.values():
            waits.set()
        await working


async def test_one_tenants_slow_sources_leave_a_place_to_those_of_others(service: Service) -> None:
    banks = [await bank_with_policies(service) for _ in range(2)]
    async with site() as there, reaching(service, request_seconds=500.0):
        there.held |= {f"/{name}.txt": asyncio.Event() for name in ("a", "b", "c", "of-another")}
        for path in list(there.held)[:3]:
            await asked_for(service, banks[0], there.url + path)
        four = Worker(
            service.services.tenancy,
            service.services.job_handlers(),
            at_once=4,
            idle_seconds=0.01,
            waiting_kinds=frozenset({RUN}),
        )
        working = asyncio.create_task(four.run())
        async with asyncio.timeout(60):
            while not there.asked:
                await asyncio.sleep(0.02)
            await asyncio.sleep(1)
            assert len(there.asked) == 1
            await asked_for(service, banks[1], f"{there.url}/of-another.txt")
            while len(there.asked) < 2:
                await asyncio.sleep(0.02)
        assert there.asked[1][1] == "/of-another.txt"
        four.stopping.set()
        for waits in there.held.values():
            waits.set()
        await working
