"""Uploading files to the service under test, and a worker of its own."""

from typing import Any

import httpx

from backend.documents.files import ingestion
from backend.documents.files import service as files
from backend.jobs.worker import Worker
from tests.conftest import Service, Tenant


async def post_file(
    service: Service,
    tenant: Tenant,
    filename: str,
    content: bytes,
    username: str = "editor",
    media_type: str = "application/octet-stream",
    **fields: Any,
) -> httpx.Response:
    headers = await service.as_user(tenant, username)
    form = {"file": (filename, content, media_type)}
    return await service.client.post("/documents", data=fields, files=form, headers=headers)


def worker(service: Service, **changed: Any) -> Worker:
    """A worker on the service's own database and file store."""
    state = service.services
    settings = state.settings.model_copy(update=changed)
    handler = ingestion.from_settings(settings, state.job_endings[files.INGEST], state.vectorizer)
    return Worker(state.tenancy, {files.INGEST: handler}, settings.job_lease_seconds, settings.job_attempts)


async def work(service: Service, **changed: Any) -> None:
    """Does all jobs that are due."""
    working = worker(service, **changed)
    while await working.work_once():
        pass


async def ingested(
    service: Service, tenant: Tenant, filename: str, content: bytes, username: str = "editor", **fields: Any
) -> dict[str, Any]:
    """Uploads a file, does the job, and returns the job as its uploader sees it."""
    answer = await post_file(service, tenant, filename, content, username, **fields)
    assert answer.status_code == 202, answer.text
    await work(service)
    job = await service.get(f"/jobs/{answer.json()['job_id']}", tenant, username)
    assert job.status_code == 200, job.text
    ended: dict[str, Any] = job.json()
    return ended
