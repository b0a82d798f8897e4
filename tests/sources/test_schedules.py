"""Sources run by themselves when they are due, once, whoever looks and whatever happens to a worker."""

import asyncio
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from anyio import to_thread

from backend.client import Client
from backend.sources.scheduling import Scheduler
from tests.cells.test_directory import homes, moved
from tests.service import PASSWORD, Service, Tenant
from tests.sources.site import site
from tests.sources.sources import POLICIES, bank_with_policies, created, documents, reaching, run, work

pytestmark = pytest.mark.anyio

WIRES = "Wires leave before noon."


async def altered(service: Service, statement: str, *arguments: object) -> None:
    """Changes what only time, or a lost worker, would."""
    connection = await asyncpg.connect(service.database.superuser_url)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


async def runs_of(service: Service, tenant: Tenant, source: str) -> list[str]:
    found = (await service.get(f"/sources/{source}/runs", tenant, "admin")).json()["runs"]
    return [one["state"] for one in found]


async def test_a_source_that_is_due_runs_once_and_is_due_again_later(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        source = (await created(service, bank, there.page("/wires.md", WIRES), schedule={"every_minutes": 60}))["id"]
        looking = [Scheduler(tenancy=service.services.tenancy) for _ in range(4)]
        assert not any([await one.queue_next() for one in looking])
        await altered(service, "update sources.source set next_run_at = now() - interval '1 day' where id = $1", source)
        assert sum(await asyncio.gather(*(one.queue_next() for one in looking))) == 1
        await work(service)
        assert (await runs_of(service, bank, source), len(await documents(service, bank))) == (["succeeded"], 1)
        shown = (await service.get(f"/sources/{source}", bank, "admin")).json()
        assert datetime.fromisoformat(shown["next_run_at"]) > datetime.now(UTC)
        (asked,) = (await service.get(f"/sources/{source}/runs", bank, "admin")).json()["runs"]
        assert asked["asked_by"] is None


async def test_a_run_that_is_not_over_is_not_joined_by_another_and_a_lost_one_holds_nobody_up(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        source = (await created(service, bank, there.page("/wires.md", WIRES), schedule={"daily_at": "02:30"}))["id"]
        first = await service.post(f"/sources/{source}/runs", bank, "admin", {})
        assert (await service.post(f"/sources/{source}/runs", bank, "admin", {})).status_code == 409
        due = "update sources.source set next_run_at = now() - interval '1 day' where id = $1"
        await altered(service, due, source)
        assert await Scheduler(tenancy=service.services.tenancy).queue_next()
        assert await runs_of(service, bank, source) == ["waiting"]
        await altered(service, "delete from jobs.job where id = $1", first.json()["id"])
        await altered(service, due, source)
        assert await Scheduler(tenancy=service.services.tenancy).queue_next()
        await work(service)
        assert await runs_of(service, bank, source) == ["succeeded", "failed"]


async def test_of_the_runs_of_a_source_the_last_two_hundred_are_kept(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        source, other = [await created(service, bank, there.page(f"/{name}.md", WIRES)) for name in ("wires", "other")]
        long_ago = (
            "insert into sources.run (tenant_id, id, source_id, state, finished_at)"
            " select $1, ('00000000-0000-7000-8000-' || lpad((n + $3)::text, 12, '0'))::uuid, $2, 'failed', now()"
            " from generate_series(1, 250) n"
        )
        for place, one in enumerate((source, other)):
            await altered(service, long_ago, bank.id, one["id"], 1000 * place)
        made = await run(service, bank, source)
        assert await counts_of_runs(service, bank) == {source["id"]: 200, other["id"]: 250}
        assert (await runs_of(service, bank, source["id"]))[0] == made["state"] == "succeeded"


async def counts_of_runs(service: Service, tenant: Tenant) -> dict[str, int]:
    connection = await asyncpg.connect(service.database.superuser_url)
    try:
        rows = await connection.fetch(
            "select source_id::text, count(*) from sources.run where tenant_id = $1 group by 1", tenant.id
        )
    finally:
        await connection.close()
    return dict(map(tuple, rows))


async def test_a_source_that_is_disabled_does_not_run_and_a_cancelled_run_says_so(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        source = (await created(service, bank, there.page("/wires.md", WIRES), schedule={"every_minutes": 5}))["id"]
        asked = await service.post(f"/sources/{source}/runs", bank, "admin", {})
        cancelled = await service.post(f"/jobs/{asked.json()['id']}/cancel", bank, "admin", None)
        assert cancelled.status_code == 200, cancelled.text
        assert await runs_of(service, bank, source) == ["cancelled"]
        headers = await service.as_user(bank, "admin")
        await service.client.patch(f"/sources/{source}", json={"status": "disabled"}, headers=headers)
        await altered(service, "update sources.source set next_run_at = now() - interval '1 day' where id = $1", source)
        assert not await Scheduler(tenancy=service.services.tenancy).queue_next()
        assert (await service.post(f"/sources/{source}/runs", bank, "admin", {})).status_code == 409
        await work(service)
        assert there.asked == []


@pytest.mark.parametrize(
    ("every", "daily", "since", "due"),
    [
        (60, None, "2026-03-01T10:00Z", "2026-03-01T11:00Z"), (None, 150, "2026-03-01T02:29Z", "2026-03-01T02:30Z"),
        (None, 150, "2026-03-01T02:30Z", "2026-03-02T02:30Z"), (None, 0, "2026-12-31T23:59Z", "2027-01-01T00:00Z"),
        (None, None, "2026-03-01T10:00Z", None),
    ],
)  # fmt: skip
async def test_when_a_source_is_due(
    service: Service, every: int | None, daily: int | None, since: str, due: str | None
) -> None:
    """In UTC, whatever zone the database is set to."""
    connection = await asyncpg.connect(service.database.superuser_url)
    try:
        await connection.execute("set timezone to 'Europe/Berlin'")
        at = await connection.fetchval(
            "select sources.next_time($1, $2, $3)", every, daily, datetime.fromisoformat(since)
        )
    finally:
        await connection.close()
    assert at == (None if due is None else datetime.fromisoformat(due))


async def test_a_client_makes_runs_and_ends_a_source(service: Service, address: str) -> None:
    bank = await bank_with_policies(service)
    with Client.sign_in(address, tenant=bank.slug, username="admin", password=PASSWORD) as client:

        async def said(ask: Callable[[], Any]) -> Any:
            return await to_thread.run_sync(ask)

        async with site() as there, reaching(service):
            wires = there.page("/wires.md", WIRES)
            made = await said(
                lambda: client.sources.create("wires", "urls", POLICIES, wires, credentials={"token": "secret"})
            )
            assert (made.has_credentials, made.last_run) == (True, None)
            asked = await said(lambda: client.sources.run(made.id, dry_run=True))
            assert (asked.state, asked.dry_run) == ("waiting", True)
            await work(service)
            done = await said(lambda: client.sources.run_details(made.id, asked.id))
            assert [(one.change, one.path) for one in done.changes] == [("new", wires.partition("://")[2])]
            await said(lambda: client.sources.run(made.id))
            await work(service)
            assert [one.dry_run for one in await said(lambda: client.sources.runs(made.id))] == [False, True]
            (listed,) = await said(client.sources.list)
            assert (listed.last_run.state, there.asked[-1][2]["authorization"]) == ("succeeded", "Bearer secret")
            changed = await said(lambda: client.sources.change(made.id, status="disabled"))
            assert changed.status == "disabled"
            await said(lambda: client.sources.delete(made.id))
            assert await said(client.sources.list) == ()


async def test_a_tenant_that_a_worker_knows_to_have_moved_holds_up_no_other(service: Service) -> None:
    """Its own cell's database may learn that later: until then its sources are due here, and always the first."""
    gone, here = [await bank_with_policies(service) for _ in range(2)]
    async with site() as there, reaching(service):
        sources = [
            (await created(service, bank, there.page("/wires.md", WIRES), schedule={"daily_at": "02:30"}))["id"]
            for bank in (gone, here)
        ]
        for source, days in zip(sources, (2, 1), strict=True):
            due = "update sources.source set next_run_at = now() - make_interval(days => $2) where id = $1"
            await altered(service, due, source, days)
        knowing = copy(service.services.tenancy)
        knowing.homes = homes(moved(gone.id, gone.slug), moved(gone.id, gone.slug, cell="us-1", epoch=2))
        scheduler = Scheduler(tenancy=knowing)
        assert [await scheduler.queue_next() for _ in range(3)] == [True, True, False]
        assert await runs_of(service, gone, sources[0]) == []
        assert await runs_of(service, here, sources[1]) == ["waiting"]
        assert await Scheduler(tenancy=service.services.tenancy).queue_next(), (
            "it is due still, for whoever it is at home with"
        )
        await work(service)
