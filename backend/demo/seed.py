"""Fills the demo: two tenants with users, keys and grants, and their documents through the service's own API."""

import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any

import httpx
from fastapi import FastAPI

from backend.demo import content
from backend.identity.callers.permissions import Permission, Role
from backend.operation import operator_keys
from backend.operation.service import Operator, operator

PASSWORD_BYTES = 15
USERS = (Role.ADMIN, Role.EDITOR, Role.APPROVER, Role.ANALYST, Role.COMPLIANCE)
TENANTS = {"meridian-bank": "Meridian Bank", "harbor-insurance": "Harbor Insurance"}
# One more collection for each, with the roles that read it; the analyst does not.
RESTRICTED = {
    "meridian-bank": ("legal-privileged", "Legal, privileged", (Role.EDITOR, Role.APPROVER, Role.COMPLIANCE)),
    "harbor-insurance": ("claims-files", "Claims files", (Role.EDITOR, Role.COMPLIANCE)),
}
# Versions here need the approval of somebody other than their author; everyone reads them.
REVIEWED = ("compliance-guidance", "Compliance guidance")
# Reads the case notes of harbor-insurance: a grant to one principal, not to a role.
CLAIMS_HANDLER = "claims-handler"


async def create_tenants(owner_url: str) -> dict[str, Any]:
    """Creates both tenants in one transaction and returns their credentials, and a key of the operator's API."""
    async with operator(owner_url) as acting:
        tenants = [await _create_tenant(acting, slug, name) for slug, name in TENANTS.items()]
        key = await operator_keys.create(acting.connection, "demo")
    return {"tenants": tenants, "operator_key": key}


async def _create_tenant(acting: Operator, slug: str, name: str) -> dict[str, Any]:
    tenant_id = await acting.create_tenant(slug, name)
    users = []
    for role in USERS:
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        await acting.create_user(tenant_id, role, password, [role])
        users.append({"username": role.value, "password": password, "roles": [role.value]})
    collection, title, readers = RESTRICTED[slug]
    await acting.create_collection(tenant_id, collection, title)
    for role in readers:
        await acting.grant(tenant_id, collection, "read", role=role)
    await acting.grant(tenant_id, collection, "write", role=Role.EDITOR)
    await acting.create_collection(tenant_id, *REVIEWED, approval_required=True)
    for role in USERS:
        await acting.grant(tenant_id, REVIEWED[0], "read", role=role)
    await acting.grant(tenant_id, REVIEWED[0], "write", role=Role.EDITOR)
    if slug == "harbor-insurance":
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        handler = await acting.create_user(tenant_id, CLAIMS_HANDLER, password, [Role.ANALYST])
        await acting.grant(tenant_id, collection, "read", principal_id=handler)
        users.append({"username": CLAIMS_HANDLER, "password": password, "roles": [Role.ANALYST.value]})
    permissions = [Permission.RETRIEVAL_QUERY, Permission.ANSWERS_CREATE]
    key = await acting.create_key(tenant_id, "partner", permissions, ["default"])
    keys = [{"name": "partner", "key": key, "permissions": [p.value for p in permissions]}]
    return {"slug": slug, "users": users, "api_keys": keys}


async def submit_documents(app: FastAPI, credentials: dict[str, Any], report: Callable[[str], None]) -> None:
    """Submits every version of every demo document as each tenant's editor, and has it approved where that is needed.

    Goes on where it was interrupted.
    """
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        for tenant in credentials["tenants"]:
            documents = content.load(tenant["slug"])
            report(f"  {tenant['slug']}: {len(documents)} versions of documents")
            editor, approver = [await _sign_in(client, tenant, role) for role in (Role.EDITOR, Role.APPROVER)]
            for document in documents:  # versions come in order
                await _submit(client, document, editor, approver)


async def _sign_in(client: httpx.AsyncClient, tenant: dict[str, Any], username: str) -> dict[str, str]:
    password = next(user["password"] for user in tenant["users"] if user["username"] == username)
    form = {"username": username, "password": password, "client_id": tenant["slug"]}
    signed_in = (await client.post("/auth/token", data=form)).raise_for_status().json()
    return {"Authorization": f"Bearer {signed_in['access_token']}"}


async def _submit(
    client: httpx.AsyncClient, document: content.DemoDocument, editor: dict[str, str], approver: dict[str, str]
) -> None:
    status = await _status(client, document, editor)
    if status is None:
        submitted = await client.post("/documents/versions", json=_version(document), headers=editor)
        status = submitted.raise_for_status().json()["status"]
    if status == "in_review":
        found = await _find(client, document, editor)
        path = f"/documents/{found['id']}/versions/{document.version}/approve"
        (await client.post(path, json={}, headers=approver)).raise_for_status()


async def _status(client: httpx.AsyncClient, document: content.DemoDocument, editor: dict[str, str]) -> str | None:
    """Returns what became of a version; None when it was not submitted yet."""
    found = await _find(client, document, editor)
    if found is None:
        return None
    known = (await client.get(f"/documents/{found['id']}", headers=editor)).raise_for_status().json()["versions"]
    return next((v["status"] for v in known if v["document_version"] == document.version), None)


async def _find(client: httpx.AsyncClient, document: content.DemoDocument, editor: dict[str, str]) -> Any:  # noqa: ANN401 - any JSON
    wanted = {"collection": document.collection, "doc_id": document.doc_id}
    found = (await client.get("/documents", params=wanted, headers=editor)).raise_for_status().json()["documents"]
    return found[0] if found else None


def _version(document: content.DemoDocument) -> dict[str, Any]:
    return {
        "doc_id": document.doc_id,
        "collection": document.collection,
        "source_type": document.source_type,
        "title": document.title,
        "metadata": document.metadata,
        "effective_from": _midnight(document.effective_from),
        "effective_to": None if document.effective_to is None else _midnight(document.effective_to),
        "chunks": [{"text": paragraph} for paragraph in document.paragraphs],
    }


def _midnight(day: date) -> str:
    return datetime.combine(day, time(tzinfo=UTC)).isoformat()
