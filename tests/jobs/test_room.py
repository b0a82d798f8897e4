"""A tenant has so many unfinished jobs of a kind, whatever asks for them; others have their own number."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import httpx
import pytest

from backend.documents.files.service import INGEST
from backend.evaluation.runs import EVALUATE
from backend.jobs import service as jobs
from backend.review.exports.jobs import EXPORT
from backend.review.verification.service import VERIFY
from tests.factories import post_file
from tests.jobs.noted_jobs import caller_of, change
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

Ask = Callable[[Service, Tenant], Awaitable[httpx.Response]]
MOST = 3


@pytest.fixture(autouse=True)
async def few(service: Service) -> AsyncIterator[None]:
    """A service that lets a tenant have three unfinished jobs of a kind."""
    before = service.services.job_room
    service.exchange(job_room=replace(before, most=MOST, most_of={}))
    yield
    service.exchange(job_room=before)


async def upload(service: Service, tenant: Tenant) -> httpx.Response:
    return await post_file(service, tenant, "fees.md", b"# Fees\n\nA wire costs $25.\n", source_type="policy")


async def export(service: Service, tenant: Tenant) -> httpx.Response:
    days = {"from": "2026-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    return await service.post("/audit/exports", tenant, "compliance", days)


async def verification(service: Service, tenant: Tenant) -> httpx.Response:
    return await service.post("/audit/verifications", tenant, "compliance", {})


async def fill(service: Service, tenant: Tenant, kind: str, count: int = MOST, username: str = "editor") -> list[UUID]:
    caller = await caller_of(service, tenant, username)
    async with service.services.tenancy.transaction(caller.claims()) as connection:
        return [await jobs.enqueue(connection, caller, kind, {}) for _ in range(count)]


@pytest.mark.parametrize(("ask", "kind"), [(upload, INGEST), (export, EXPORT), (verification, VERIFY)])
async def test_a_tenant_that_has_enough_unfinished_jobs_gets_no_more_of_the_kind(
    service: Service, ask: Ask, kind: str
) -> None:
    tenant, other = await service.create_tenant(), await service.create_tenant()
    await fill(service, tenant, kind, MOST - 1)
    assert (await ask(service, tenant)).status_code == 202
    refused = await ask(service, tenant)
    assert (refused.status_code, refused.json()["error"]) == (429, "too_many_jobs")
    assert int(refused.headers["Retry-After"]) > 0
    assert "3 jobs of this kind are unfinished" in refused.json()["detail"]
    assert (await ask(service, other)).status_code == 202


async def test_jobs_of_colleagues_count_and_those_of_another_kind_do_not(service: Service) -> None:
    tenant = await service.create_tenant()
    await fill(service, tenant, VERIFY)
    assert (await export(service, tenant)).status_code == 202
    await fill(service, tenant, EXPORT, username="admin")
    assert (await export(service, tenant)).status_code == 429


async def test_a_job_that_ended_makes_room(service: Service) -> None:
    tenant = await service.create_tenant()
    first, *_ = await fill(service, tenant, INGEST)
    assert (await upload(service, tenant)).status_code == 429
    ended = await service.post(f"/jobs/{first}/cancel", tenant, "editor", {})
    assert ended.status_code == 200, ended.text
    assert (await upload(service, tenant)).status_code == 202


async def test_a_refused_upload_is_not_read(service: Service) -> None:
    tenant = await service.create_tenant()
    await fill(service, tenant, INGEST)
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10_000):
            read += 1
            yield b"x" * 1_000

    headers = {**await service.as_user(tenant, "editor"), "Content-Type": "multipart/form-data; boundary=b"}
    refused = await service.client.post("/documents", content=endless(), headers=headers)
    assert refused.status_code == 429
    assert read < 10_000


async def test_what_failed_is_not_tried_again_where_there_is_no_room(service: Service) -> None:
    tenant = await service.create_tenant()
    (failed,) = await fill(service, tenant, EVALUATE, 1)
    await change(
        service, "update jobs.job set status = 'failed', retryable = true, finished_at = now() where id = $1", failed
    )
    await fill(service, tenant, EVALUATE)
    again = await service.post(f"/jobs/{failed}/retry", tenant, "editor", {})
    assert (again.status_code, again.json()["error"]) == (429, "too_many_jobs")
