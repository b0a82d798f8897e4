"""Whichever door a job is asked for at, a tenant that has enough of its kind gets no more."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import httpx
import pytest

from backend.documents.files.service import INGEST
from backend.evaluation.runs import EVALUATE
from backend.jobs import service as jobs
from backend.jobs.room import JobRoom
from backend.review.exports.jobs import EXPORT
from tests.console.visits import form_token, visiting
from tests.jobs.noted_jobs import caller_of
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

Ask = Callable[[Service, Tenant], Awaitable[httpx.Response]]
UPLOAD = "/console/documents/upload"


async def run(service: Service, tenant: Tenant) -> httpx.Response:
    return await service.post("/evaluations/runs", tenant, "approver", {"name": "fees"})


async def store_file(service: Service, tenant: Tenant) -> httpx.Response:
    return await service.post("/v1/vector_stores/vs_x/files", tenant, "editor", {"file_id": "file-x"})


async def store_files(service: Service, tenant: Tenant) -> httpx.Response:
    return await service.post("/v1/vector_stores/vs_x/file_batches", tenant, "editor", {"file_ids": ["file-x"]})


async def page_of_uploads(service: Service, tenant: Tenant) -> httpx.Response:
    async with visiting(service, tenant, "editor") as client:
        token = form_token(await client.get(UPLOAD))
        file = ("fees.md", b"A wire costs 25 dollars.", "application/octet-stream")
        return await client.post(UPLOAD, files=[("form_token", (None, token)), ("file", file)])


async def page_of_exports(service: Service, tenant: Tenant) -> httpx.Response:
    async with visiting(service, tenant, "compliance") as client:
        token = form_token(await client.get("/console/review/exports"))
        days = {"form_token": token, "begin": "2026-01-01", "end": "2026-02-01"}
        return await client.post("/console/review/exports", data=days)


async def page_of_evaluations(service: Service, tenant: Tenant) -> httpx.Response:
    async with visiting(service, tenant, "approver") as client:
        token = form_token(await client.get("/console/approvals/evaluations"))
        return await client.post("/console/approvals/evaluations/sets/fees/run", data={"form_token": token})


DOORS: list[tuple[Ask, str]] = [
    (run, EVALUATE),
    (store_file, INGEST),
    (store_files, INGEST),
    (page_of_uploads, INGEST),
    (page_of_exports, EXPORT),
    (page_of_evaluations, EVALUATE),
]


@pytest.fixture(autouse=True)
async def room(service: Service) -> AsyncIterator[JobRoom]:
    before: JobRoom = service.services.job_room
    yield before
    service.exchange(job_room=before)


@pytest.mark.parametrize(("ask", "kind"), DOORS)
async def test_a_tenant_that_has_enough_jobs_of_a_kind_gets_no_more(
    service: Service, room: JobRoom, ask: Ask, kind: str
) -> None:
    service.exchange(job_room=replace(room, most=1, most_of={}))
    tenant = await service.create_tenant()
    before = await ask(service, tenant)
    assert before.status_code != 429, before.text
    caller = await caller_of(service, tenant, "editor")
    async with service.services.tenancy.transaction(caller.claims()) as connection:
        await jobs.enqueue(connection, caller, kind, {})
    refused = await ask(service, tenant)
    assert refused.status_code == 429, refused.text
    assert "1 jobs of this kind are unfinished" in refused.text


async def test_files_have_a_number_of_their_own(service: Service, room: JobRoom) -> None:
    service.exchange(job_room=replace(room, most=1))
    tenant = await service.create_tenant()
    for _ in range(2):
        assert (await page_of_uploads(service, tenant)).status_code == 303
