"""Jobs run as who asked for them, once, whatever becomes of their worker."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from backend.errors import Unavailable
from backend.jobs.job import Job, JobFailed
from backend.tenancy import Claims
from tests.jobs.noted_jobs import Noting, caller_of, change, enqueue, moment_of, notes, shown, worker
from tests.service import Service, Tenant

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("empty_queue")]


async def test_a_job_is_done_as_who_asked_for_it_and_seen_by_nobody_else(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    (job_id,) = await enqueue(service, await caller_of(service, tenant))
    assert (await shown(service, tenant, job_id))["status"] == "queued"
    assert await worker(service, Noting(service)).work_once()
    job = await shown(service, tenant, job_id)
    assert (job["status"], job["result"], job["attempts"]) == ("succeeded", {"noted": True}, 1)
    (note,) = await notes(service, tenant, job_id)
    assert note["principal_name"] == "editor"
    assert note["request_id"] == "a-request"
    assert (await shown(service, tenant, job_id, "admin"))["id"] == str(job_id)
    for stranger, username in ((tenant, "analyst"), (other_tenant, "editor"), (other_tenant, "admin")):
        assert (await service.get(f"/jobs/{job_id}", stranger, username)).status_code == 404
        assert (await service.post(f"/jobs/{job_id}/cancel", stranger, username, None)).status_code == 404
        listed = (await service.get("/jobs", stranger, username)).json()["jobs"]
        assert str(job_id) not in {job["id"] for job in listed}


async def test_a_job_whose_worker_died_is_taken_over_and_what_the_dead_one_still_does_is_void(
    service: Service, tenant: Tenant
) -> None:
    (job_id,) = await enqueue(service, await caller_of(service, tenant))
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hang(_: Job) -> None:
        reached.set()
        await go_on.wait()

    # The first worker is alive enough to try to finish, but too late: nobody renews its lease.
    slow, quick = Noting(service, hang), Noting(service)
    dying = worker(service, slow)
    dying_run = asyncio.create_task(replace(dying, lease_seconds=600.0).work_once())
    await asyncio.wait_for(reached.wait(), 60)
    await change(service, "update jobs.job set leased_until = now() - interval '1 second' where id = $1", job_id)
    assert await worker(service, quick).work_once()
    go_on.set()
    await dying_run
    assert (quick.finished, slow.finished) == ([job_id], [])
    assert len(await notes(service, tenant, job_id)) == 1
    assert (await shown(service, tenant, job_id))["attempts"] == 2


async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(service: Service, tenant: Tenant) -> None:
    (job_id,) = await enqueue(service, await caller_of(service, tenant))

    until: list[datetime] = []

    async def slow(job: Job) -> None:
        await job.report(3, 7)
        until.append(await moment_of(service, job_id, "leased_until"))
        async with asyncio.timeout(60):
            while until[-1] < until[0] + timedelta(seconds=2):
                await asyncio.sleep(0.05)
                until.append(await moment_of(service, job_id, "leased_until"))
        assert not await worker(service, Noting(service)).work_once()
        assert (await shown(service, tenant, job_id))["progress"] == {"done": 3, "total": 7}

    handler = Noting(service, slow)
    assert await worker(service, handler).work_once()
    assert handler.finished == [job_id]
    assert len(set(until)) > 2, "once a second, if the lease is long"


async def test_a_job_that_takes_long_delays_no_other(service: Service, tenant: Tenant, other_tenant: Tenant) -> None:
    (slow_id,) = await enqueue(service, await caller_of(service, tenant))
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(job: Job) -> None:
        if job.id == slow_id:
            reached.set()
            await go_on.wait()

    handler = Noting(service, slow)
    two = worker(service, handler, at_once=2, idle_seconds=0.01)
    working = asyncio.create_task(two.run())
    await asyncio.wait_for(reached.wait(), 60)
    others = await enqueue(service, await caller_of(service, other_tenant), 2)
    async with asyncio.timeout(60):
        while len(handler.finished) < 2:
            await asyncio.sleep(0.01)
    assert handler.finished == others
    go_on.set()
    two.stopping.set()
    await working
    assert handler.finished == [*others, slow_id]


async def test_a_job_that_takes_longer_than_any_may_has_failed_and_says_so(service: Service, tenant: Tenant) -> None:
    (job_id,) = await enqueue(service, await caller_of(service, tenant))

    async def endless(_: Job) -> None:
        await asyncio.Event().wait()

    handler = Noting(service, endless)
    assert await worker(service, handler, job_seconds=0.1).work_once()
    job = await shown(service, tenant, job_id)
    assert (job["status"], job["error"]["code"], job["retryable"]) == ("failed", "took_too_long", True)
    assert handler.finished == []


async def test_a_cancelled_job_changes_nothing(service: Service, tenant: Tenant) -> None:
    waiting, running = await enqueue(service, await caller_of(service, tenant), 2)
    assert (await service.post(f"/jobs/{waiting}/cancel", tenant, "editor", None)).json()["status"] == "cancelled"

    async def is_cancelled(job: Job) -> None:
        assert job.id == running
        answer = await service.post(f"/jobs/{running}/cancel", tenant, "admin", None)
        assert answer.status_code == 200, answer.text

    handler = Noting(service, is_cancelled)
    assert await worker(service, handler).work_once()
    assert not await worker(service, handler).work_once()
    assert handler.finished == []
    assert await notes(service, tenant, running) == []
    assert (await service.post(f"/jobs/{running}/cancel", tenant, "editor", None)).status_code == 409


async def test_work_that_takes_long_is_stopped_soon_after_its_cancellation(service: Service, tenant: Tenant) -> None:
    (job_id,) = await enqueue(service, await caller_of(service, tenant))
    reached = asyncio.Event()

    async def long(_: Job) -> None:
        reached.set()
        await asyncio.Event().wait()

    working = asyncio.create_task(worker(service, Noting(service, long)).work_once())
    await reached.wait()
    await service.post(f"/jobs/{job_id}/cancel", tenant, "editor", None)
    await asyncio.wait_for(working, 60)


async def test_what_is_unavailable_is_tried_again_later_and_fails_with_a_reason_at_last(
    service: Service, tenant: Tenant
) -> None:
    (job_id,) = await enqueue(service, await caller_of(service, tenant))

    async def away(_: Job) -> None:
        raise Unavailable

    trying, began = worker(service, Noting(service, away), attempts=2), datetime.now(UTC)
    assert await trying.work_once()
    job = await shown(service, tenant, job_id)
    assert (job["status"], job["error"]["code"]) == ("queued", "unavailable")
    again = await moment_of(service, job_id, "run_after")
    assert again > began + timedelta(seconds=1.5), "it waits before the next attempt"
    await change(service, "update jobs.job set run_after = now() + interval '1 hour' where id = $1", job_id)
    assert not await trying.work_once()
    await change(service, "update jobs.job set run_after = $2 where id = $1", job_id, began)
    assert await trying.work_once()
    job = await shown(service, tenant, job_id)
    assert (job["status"], job["error"]["code"], job["attempts"]) == ("failed", "unavailable", 2)
    assert [note["outcome"] for note in await notes(service, tenant, job_id)] == ["failed"]
    assert not await trying.work_once()


async def test_a_job_that_loses_every_worker_fails_in_the_end(service: Service, tenant: Tenant) -> None:
    (job_id,) = await enqueue(service, await caller_of(service, tenant))
    for _ in range(3):
        claims = Claims(request_id="r", kind="worker", presented={"worker": "w"})
        async with service.services.tenancy.transaction(claims) as connection:
            row = await connection.fetchrow("select * from jobs.lease(gen_random_uuid(), 0.0)")
            assert row["id"] == job_id
    handler = Noting(service)
    assert await worker(service, handler, attempts=3).work_once()
    assert (await shown(service, tenant, job_id))["error"]["code"] == "worker_lost"
    assert handler.finished == []


async def test_work_that_cannot_succeed_fails_at_once(service: Service, tenant: Tenant) -> None:
    (job_id,) = await enqueue(service, await caller_of(service, tenant))

    async def useless(_: Job) -> None:
        raise JobFailed("no_text", "The file has no text.")

    assert await worker(service, Noting(service, useless)).work_once()
    job = await shown(service, tenant, job_id)
    assert (job["status"], job["error"]) == ("failed", {"code": "no_text", "detail": "The file has no text."})


async def test_the_queued_job_of_a_user_who_was_disabled_fails_with_that_reason(service: Service) -> None:
    tenant = await service.create_tenant()
    (job_id,) = await enqueue(service, await caller_of(service, tenant))
    await change(service, """update identity."user" set status = 'disabled' where id = $1""", tenant.users["editor"])
    handler = Noting(service)
    assert await worker(service, handler).work_once()
    job = await shown(service, tenant, job_id, "admin")
    assert (job["status"], job["error"]["code"]) == ("failed", "caller_ended")
    assert "user:disabled" in job["error"]["detail"]
    assert handler.finished == []


async def test_two_workers_never_do_a_job_twice_and_leave_none(service: Service, tenant: Tenant) -> None:
    ids = await enqueue(service, await caller_of(service, tenant), 40)
    handlers = [Noting(service) for _ in range(3)]

    async def drain(handler: Noting) -> None:
        while await worker(service, handler).work_once():
            pass

    await asyncio.wait_for(asyncio.gather(*map(drain, handlers)), 60)
    assert sorted(job for handler in handlers for job in handler.finished) == sorted(ids)


async def test_progress_is_sent_as_events_until_the_job_ends(service: Service, address: str) -> None:
    tenant = await service.create_tenant()
    (job_id,) = await enqueue(service, await caller_of(service, tenant))
    headers, told = await service.as_user(tenant, "editor"), ""
    async with (
        asyncio.timeout(60),
        httpx.AsyncClient(base_url=address, timeout=60) as client,
        client.stream("GET", f"/jobs/{job_id}/events", headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for text in answer.aiter_text():
            if "event: progress" not in told and "event: progress" in told + text:
                assert await worker(service, Noting(service)).work_once()
            told += text
    assert '"status":"succeeded"' in told.split("event: end")[1]


async def test_only_a_signed_worker_reaches_the_queue_and_only_the_leaseholder_its_job(
    service: Service, tenant: Tenant
) -> None:
    caller = await caller_of(service, tenant, "admin")
    (job_id,) = await enqueue(service, await caller_of(service, tenant))
    tenancy = service.services.tenancy
    async with tenancy.transaction(caller.claims()) as connection:
        assert await connection.fetch("select * from jobs.lease(gen_random_uuid(), 60)") == []
        changed = "update jobs.job set result = '{}' where id = $1"
        with pytest.raises(Exception, match="row-level security"):
            await connection.execute(changed, job_id)
    async with tenancy.transaction(caller.claims()) as connection:
        with pytest.raises(Exception, match="row-level security"):
            await connection.execute("update jobs.job set status = 'succeeded' where id = $1", job_id)
