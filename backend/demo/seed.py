"""Fills the demo: two tenants with users, keys and grants, and their documents through the service's own API."""

import secrets
from collections.abc import Callable
from typing import Any

import httpx
from fastapi import FastAPI

from backend.demo import content
from backend.identity.permissions import Permission, Role
from backend.operation import operator_keys
from backend.operation.service import Operator, operator

PASSWORD_BYTES = 15
USERS = (Role.ADMIN, Role.EDITOR, Role.APPROVER, Role.ANALYST, Role.COMPLIANCE)
TENANTS = {"meridian-bank": "Meridian Bank", "harbor-insurance": "Harbor Insurance"}
# Collections beside `default`, each with the roles that read it. The analyst reads neither.
RESTRICTED = {
    "meridian-bank": ("legal-privileged", "Legal, privileged", (Role.EDITOR, Role.APPROVER, Role.COMPLIANCE)),
    "harbor-insurance": ("claims-files", "Claims files", (Role.EDITOR, Role.COMPLIANCE)),
}
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
    if slug == "harbor-insurance":
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        handler = await acting.create_user(tenant_id, CLAIMS_HANDLER, password, [Role.ANALYST])
        await acting.grant(tenant_id, collection, "read", principal_id=handler)
        users.append({"username": CLAIMS_HANDLER, "password": password, "roles": [Role.ANALYST.value]})
    permissions = [Permission.RETRIEVAL_QUERY]
    key = await acting.create_key(tenant_id, "partner", permissions, ["default"])
    keys = [{"name": "partner", "key": key, "permissions": [p.value for p in permissions]}]
    return {"slug": slug, "users": users, "api_keys": keys}


async def ingest_documents(app: FastAPI, credentials: dict[str, Any], report: Callable[[str], None]) -> None:
    """Ingests the newest version of every demo document, as each tenant's editor."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        for tenant in credentials["tenants"]:
            editor = next(user for user in tenant["users"] if user["username"] == "editor")
            form = {"username": "editor", "password": editor["password"], "client_id": tenant["slug"]}
            signed_in = (await client.post("/auth/token", data=form)).raise_for_status().json()
            chunks = _chunks(tenant["slug"])
            report(f"  {tenant['slug']}: {len(chunks)} chunks")
            answer = await client.post(
                "/ingest/batch",
                json={"chunks": chunks},
                headers={"Authorization": f"Bearer {signed_in['access_token']}"},
            )
            answer.raise_for_status()


def _chunks(slug: str) -> list[dict[str, Any]]:
    newest: dict[tuple[str, str], content.DemoDocument] = {}
    for document in content.load(slug):
        newest[document.collection, document.doc_id] = document  # versions come in order
    return [
        {
            "doc_id": document.doc_id,
            "chunk_text": paragraph,
            "source_type": document.source_type,
            "metadata": {**document.metadata, "title": document.title},
            "collection": document.collection,
        }
        for document in newest.values()
        for paragraph in document.paragraphs
    ]
