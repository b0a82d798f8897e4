"""What becomes of files whose document is deleted, whose job is cancelled or fails, or which nobody asks for any more."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from backend.errors import Unavailable
from tests.documents.test_files import stored
from tests.factories import ingested, post_file, versions, work, worker
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def service(
    database: Database, run_secrets: Secrets, model_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("store") / "files"
    settings = settings_for(database, run_secrets, model_home, storage_folder=folder)
    async with running(settings, database) as started:
        yield started


async def test_a_deleted_document_takes_its_files_along(service: Service, tenant: Tenant) -> None:
    before = len(stored(service))
    job = await ingested(service, tenant, "gone.txt", b"To be deleted.")
    await post_file(service, tenant, "gone.txt", b"Never made a version.")
    assert len(stored(service)) == before + 2
    path = f"/documents/{job['result']['document_id']}"
    headers = await service.as_user(tenant, "privacy")
    deleted = await service.client.delete(path, params={"reason": "Asked for."}, headers=headers)
    assert deleted.status_code == 200, deleted.text
    assert len(stored(service)) == before
    await work(service)
    assert (await service.get(f"{path}/versions/1/file", tenant, "editor")).status_code == 404
    (late,) = (await service.get("/jobs", tenant, "editor", status="failed", limit=1)).json()["jobs"]
    assert late["error"]["code"] == "file_gone"


async def test_a_cancelled_upload_leaves_nothing_but_its_record(service: Service, tenant: Tenant) -> None:
    before = stored(service)
    uploaded = (await post_file(service, tenant, "cancelled.txt", b"On second thought.")).json()
    assert len(stored(service)) == len(before) + 1
    # Who manages users need not be able to read the collection.
    cancelled = await service.post(f"/jobs/{uploaded['job_id']}/cancel", tenant, "admin", None)
    assert cancelled.json()["status"] == "cancelled", cancelled.text
    assert stored(service) == before
    assert (await service.get("/documents", tenant, "editor", doc_id="cancelled.txt")).json()["documents"] == []
    events = await service.events(tenant, request_id=cancelled.headers["x-request-id"])
    recorded = {event["action"]: event for event in events}
    assert recorded["job:cancelled"]["principal_name"] == "admin"
    withdrawn = recorded["document:ingested"]["event"]
    assert (withdrawn["outcome"], withdrawn["document"]["removed"]) == ("aborted", True)
    assert withdrawn["file"]["sha256"] == uploaded["sha256"]


async def test_what_a_withdrawn_upload_shares_with_others_stays(service: Service, tenant: Tenant) -> None:
    assert (await ingested(service, tenant, "shared.txt", b"The first version."))["status"] == "succeeded"
    second, third = [(await post_file(service, tenant, "shared.txt", text)).json() for text in (b"Second.", b"Third.")]
    assert (await service.post(f"/jobs/{second['job_id']}/cancel", tenant, "editor", None)).status_code == 200
    await work(service)
    known = await versions(service, tenant, third, "editor")
    assert sorted(known) == [1, 2]
    files = (await service.get("/documents/files", tenant, "editor", doc_id="shared.txt")).json()["files"]
    assert [file["sha256"] for file in files] == [third["sha256"], files[1]["sha256"]]


async def test_the_upload_of_somebody_who_may_no_longer_act_is_withdrawn(service: Service) -> None:
    tenant = await service.create_tenant()
    before = stored(service)
    await post_file(service, tenant, "orphan.txt", b"Nobody's.")
    superuser = await asyncpg.connect(service.database.superuser_url)
    await superuser.execute("""update identity."user" set status = 'disabled' where id = $1""", tenant.users["editor"])
    await work(service)
    assert stored(service) == before
    assert await superuser.fetchval("select count(*) from documents.document where tenant_id = $1", tenant.id) == 0
    await superuser.close()


async def test_a_job_that_used_up_its_attempts_keeps_its_file_and_can_be_tried_again(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    uploaded = (await post_file(service, tenant, "late.txt", b"Better late than never.")).json()
    path = f"/jobs/{uploaded['job_id']}"
    assert (await service.post(f"{path}/retry", tenant, "editor", None)).status_code == 409, "it has not failed"
    folder = service.services.settings.storage_folder
    hidden = folder.with_name("hidden")
    folder.rename(hidden)
    folder.write_text("not a folder")
    try:
        await work(service, job_attempts=1)
    finally:
        folder.unlink()
        hidden.rename(folder)
    job = (await service.get(path, tenant, "editor")).json()
    assert (job["status"], job["error"]["code"], job["retryable"]) == ("failed", Unavailable.code, True)
    assert (await service.post(f"{path}/retry", tenant, "analyst", None)).status_code == 404
    assert (await service.post(f"{path}/retry", other_tenant, "admin", None)).status_code == 404
    again = await service.post(f"{path}/retry", tenant, "admin", None)
    assert (again.json()["status"], again.json()["attempts"], again.json()["retryable"]) == ("queued", 0, False)
    (event,) = await service.events(tenant, request_id=again.headers["x-request-id"])
    assert (event["action"], event["principal_name"]) == ("job:retried", "admin")
    await work(service)
    assert (await service.get(path, tenant, "editor")).json()["status"] == "succeeded"
    assert (await service.post(f"{path}/retry", tenant, "editor", None)).status_code == 409


async def test_jobs_are_forgotten_after_their_retention_and_so_is_what_nobody_tried_again(
    service: Service, tenant: Tenant
) -> None:
    done = await ingested(service, tenant, "done.txt", b"Done long ago.")
    recent = await ingested(service, tenant, "recent.txt", b"Done today.")
    before = stored(service)
    unavailable = (await post_file(service, tenant, "unavailable.txt", b"Never tried again.")).json()
    superuser = await asyncpg.connect(service.database.superuser_url)
    old = "update jobs.job set finished_at = now() - interval '31 days', {} where id = $1"
    await superuser.execute(old.format("attempts = attempts"), UUID(done["id"]))
    failed = "status = 'failed', retryable = true, error_code = 'unavailable', error_detail = 'It was away.'"
    await superuser.execute(old.format(failed), UUID(unavailable["job_id"]))

    await worker(service).tidy()
    assert (await service.get(f"/jobs/{done['id']}", tenant, "editor")).status_code == 404
    assert (await service.get(f"/jobs/{recent['id']}", tenant, "editor")).status_code == 200
    ended = (await service.get(f"/jobs/{unavailable['job_id']}", tenant, "editor")).json()
    assert (ended["status"], ended["retryable"]) == ("failed", False)
    assert "30 days" in ended["error"]["detail"]
    assert (await service.get("/documents", tenant, "editor", doc_id="unavailable.txt")).json()["documents"] == []
    assert stored(service) == before
    await superuser.execute(old.format("attempts = attempts"), UUID(unavailable["job_id"]))
    await worker(service).tidy()
    assert (await service.get(f"/jobs/{unavailable['job_id']}", tenant, "editor")).status_code == 404
    await superuser.close()
