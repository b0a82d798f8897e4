"""A collection that requires approval, and what editor and approver do in it."""

from typing import Any

import httpx

from tests.conftest import Service, Tenant

GUIDANCE = "guidance"


async def create_collection(service: Service, tenant: Tenant, slug: str = GUIDANCE, **rules: Any) -> None:
    """A collection made by the admin: everyone reads it, editors write it; it requires approval unless told."""
    wanted = {"slug": slug, "name": slug.title(), "approval_required": True, **rules}
    created = await service.post("/collections", tenant, "admin", wanted)
    assert created.status_code == 201, created.text
    grants = [{"role": role, "access": "read"} for role in ("editor", "approver", "analyst", "compliance")]
    for grant in [*grants, {"role": "editor", "access": "write"}]:
        granted = await service.post(f"/collections/{slug}/grants", tenant, "admin", grant)
        assert granted.status_code == 201, granted.text


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
    answer = await submission(service, tenant, doc_id, *texts, username=username, collection=collection, **more)
    assert answer.status_code == 201, answer.text
    submitted: dict[str, Any] = answer.json()
    return submitted


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
