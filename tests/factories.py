"""What the people of a tenant make over the API: users, keys, collections, chunks, versions under review, and uploads."""

from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from backend.documents.files import ingestion
from backend.documents.files import service as files
from backend.jobs.worker import Worker
from tests.service import PASSWORD, Service, Tenant

GUIDANCE = "guidance"  # the collection that requires approval, unless another is named


async def create_user(service: Service, tenant: Tenant, username: str, *roles: str) -> dict[str, Any]:
    """A user made by the admin, with PASSWORD, which the admin knows; `service.add_user` has the operator make one."""
    wanted = {"username": username, "password": PASSWORD, "roles": list(roles)}
    return _made(await service.post("/users", tenant, "admin", wanted))


async def vouch(service: Service, tenant: Tenant, user_id: str, by: str) -> None:
    """Has an administrator vouch for a user, more than two minutes ago."""
    answer = await service.post(f"/users/{user_id}/vouch", tenant, by, None)
    assert answer.status_code == 200, answer.text
    await let_two_minutes_go_by(service, tenant)


async def let_two_minutes_go_by(service: Service, tenant: Tenant) -> None:
    """Ends the time for which requests that were under way still count as whoever stood behind them."""
    superuser = await asyncpg.connect(service.database.superuser_url)
    await superuser.execute(
        "update identity.ended_hand set counts_until = counts_until - interval '2 minutes'"
        " where tenant_id = $1 and counts_until > now()", tenant.id,
    )  # fmt: skip
    await superuser.close()


async def create_key(
    service: Service, tenant: Tenant, *permissions: str, by: str = "admin", **more: Any
) -> dict[str, Any]:
    """A key of its own name that may retrieve unless told; the answer has its `id` and, once, the `key` itself."""
    wanted = {"name": f"key-{uuid4().hex[:6]}", "permissions": permissions or ["retrieval:query"], **more}
    return _made(await service.post("/auth/keys", tenant, by, wanted))


def bearer(key: dict[str, Any]) -> dict[str, str]:
    """Headers of a request with a key."""
    return {"Authorization": f"Bearer {key['key']}"}


async def ingest(
    service: Service, tenant: Tenant, doc_id: str, text: str, *, by: str = "editor", **more: Any
) -> dict[str, Any]:
    """One ready-made chunk of a policy in `default`, unless told."""
    chunk = {"doc_id": doc_id, "chunk_text": text, "source_type": "policy", **more}
    return _made(await service.post("/ingest", tenant, by, chunk))


def _made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def create_collection(service: Service, tenant: Tenant, slug: str = GUIDANCE, **rules: Any) -> None:
    """A collection made by the admin: everyone reads it, editors write it; it requires approval unless told."""
    wanted = {"slug": slug, "name": slug.title(), "approval_required": True, **rules}
    _made(await service.post("/collections", tenant, "admin", wanted))
    grants = [{"role": role, "access": "read"} for role in ("editor", "approver", "analyst", "compliance")]
    for grant in [*grants, {"role": "editor", "access": "write"}]:
        _made(await service.post(f"/collections/{slug}/grants", tenant, "admin", grant))


async def submit(
    service: Service,
    tenant: Tenant,
    doc_id: str,
    *texts: str,
    username: str = "editor",
    collection: str = GUIDANCE,
    **more: Any,
) -> dict[str, Any]:
    """Submits a version and returns the response's body."""
    return _made(await submission(service, tenant, doc_id, *texts, username=username, collection=collection, **more))


async def submission(
    service: Service,
    tenant: Tenant,
    doc_id: str,
    *texts: str,
    username: str = "editor",
    collection: str = GUIDANCE,
    **more: Any,
) -> httpx.Response:
    body = {
        "doc_id": doc_id, "collection": collection, "source_type": "policy", "chunks": [{"text": text} for text in texts],
        **more,
    }  # fmt: skip
    return await service.post("/documents/versions", tenant, username, body)


async def decide(
    service: Service,
    tenant: Tenant,
    submitted: dict[str, Any],
    decision: str = "approve",
    username: str = "approver",
    **body: Any,
) -> httpx.Response:
    path = f"/documents/{submitted['document_id']}/versions/{submitted['document_version']}/{decision}"
    return await service.post(path, tenant, username, body)


async def retired(service: Service, tenant: Tenant, submitted: dict[str, Any], **body: Any) -> httpx.Response:
    """Has a version retired by two people; returns the answer to the second."""
    asked = await decide(service, tenant, submitted, "retire", "editor", **body)
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting"), asked.text
    return await decide(service, tenant, submitted, "retire", **body)


async def approved(service: Service, tenant: Tenant, doc_id: str, *texts: str, **more: Any) -> dict[str, Any]:
    """Submits a version, has it approved, and returns what was submitted."""
    submitted = await submit(service, tenant, doc_id, *texts, **more)
    answer = await decide(service, tenant, submitted)
    assert answer.status_code == 200, answer.text
    return submitted


async def versions(
    service: Service, tenant: Tenant, submitted: dict[str, Any], username: str = "approver"
) -> dict[int, dict[str, Any]]:
    """A document's versions by number, as a user sees them."""
    answer = await service.get(f"/documents/{submitted['document_id']}", tenant, username)
    assert answer.status_code == 200, answer.text
    return {version["document_version"]: version for version in answer.json()["versions"]}


async def retrieved(
    service: Service, tenant: Tenant, query: str, username: str = "analyst", **more: Any
) -> list[tuple[str, int]]:
    """Which versions a query finds, as (doc_id, number), best first."""
    answer = await service.post("/retrieve", tenant, username, {"query": query, "k": 20, **more})
    assert answer.status_code == 200, answer.text
    return [(context["doc_id"], context["document_version"]) for context in answer.json()["contexts"]]


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


async def evaluated(service: Service, tenant: Tenant, run: dict[str, Any]) -> dict[str, Any]:
    """Makes the runs that wait, and returns one of them as its starter sees it."""
    working = Worker(service.services.tenancy, service.services.job_handlers())
    while await working.work_once():
        pass
    answer = await service.get(f"/evaluations/runs/{run['id']}", tenant, "approver")
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def worker(service: Service, **changed: Any) -> Worker:
    """A worker on the service's own database and file store."""
    state = service.services
    settings = state.settings.model_copy(update=changed)
    handler = ingestion.from_settings(
        settings, state.failure_handlers[files.INGEST], state.vectorizer, state.pseudonym_keys
    )
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
