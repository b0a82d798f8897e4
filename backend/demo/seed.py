"""Fills the demo: two tenants with users, keys and grants, and their documents through the service's own API."""

import json
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any

import httpx
from fastapi import FastAPI

from backend.demo import content, evaluation, provider
from backend.demo.paper import pdf
from backend.demo.waiting_jobs import finish_waiting_jobs
from backend.identity.callers.permissions import Permission, Role
from backend.operation import operator_keys
from backend.operation.service import Operator, operator
from backend.operation.tenants import Tenants

PASSWORD_BYTES = 15
USERS = (Role.ADMIN, Role.EDITOR, Role.APPROVER, Role.ANALYST, Role.COMPLIANCE)
TENANTS = {"meridian-bank": "Meridian Bank", "harbor-insurance": "Harbor Insurance"}
DOMAINS = {slug: f"{slug}.example" for slug in TENANTS}  # of their people's e-mail addresses
# One more collection for each, with the roles that read it; the analyst does not.
RESTRICTED = {
    "meridian-bank": ("legal-privileged", "Legal, privileged", (Role.EDITOR, Role.APPROVER, Role.COMPLIANCE)),
    "harbor-insurance": ("claims-files", "Claims files", (Role.EDITOR, Role.COMPLIANCE)),
}
# Versions here need the approval of somebody other than their author; everyone reads them.
REVIEWED = ("compliance-guidance", "Compliance guidance")
# Reads the case notes of harbor-insurance: a grant to one principal, not to a role.
CLAIMS_HANDLER = "claims-handler"
# What is personal in these is told to nobody: numbers of accounts are taken out before a model or a search sees them.
MASKED = ("customer-letters", "Customer letters")
# Asks and reviews as well, so that whoever looks at the demo sees an answer and its proof without signing in twice.
GUIDE = "guide"


async def create_tenants(owner_url: str) -> dict[str, Any]:
    """Creates both tenants in one transaction and returns their credentials, and a key of the operator's API."""
    async with operator(owner_url) as acting:
        tenants = [await _create_tenant(acting, slug, name) for slug, name in TENANTS.items()]
        key = await operator_keys.create(acting.connection, "demo")
    return {"tenants": tenants, "operator_key": key}


async def _create_tenant(acting: Operator, slug: str, name: str) -> dict[str, Any]:
    tenant_id = await acting.create_tenant(slug, name)
    await Tenants(acting.connection).add_domain(slug, DOMAINS[slug])
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
    first = slug == next(iter(TENANTS))
    if first:
        await acting.create_collection(tenant_id, *MASKED)
        for role in USERS:
            await acting.grant(tenant_id, MASKED[0], "read", role=role)
        await acting.grant(tenant_id, MASKED[0], "write", role=Role.EDITOR)
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        await acting.create_user(tenant_id, GUIDE, password, [Role.ANALYST, Role.COMPLIANCE])
        users.append({"username": GUIDE, "password": password, "roles": [Role.ANALYST.value, Role.COMPLIANCE.value]})
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        await acting.create_user(tenant_id, evaluation.SECOND_APPROVER, password, [Role.APPROVER])
        users.append({"username": evaluation.SECOND_APPROVER, "password": password, "roles": [Role.APPROVER.value]})
    if slug == "harbor-insurance":
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        handler = await acting.create_user(tenant_id, CLAIMS_HANDLER, password, [Role.ANALYST])
        await acting.grant(tenant_id, collection, "read", principal_id=handler)
        users.append({"username": CLAIMS_HANDLER, "password": password, "roles": [Role.ANALYST.value]})
    permissions = [Permission.RETRIEVAL_QUERY, Permission.ANSWERS_CREATE]
    key = await acting.create_key(tenant_id, "partner", permissions, ["default"])
    keys = [{"name": "partner", "key": key, "permissions": [p.value for p in permissions]}]
    made = {"slug": slug, "domain": DOMAINS[slug], "users": users, "api_keys": keys}
    return made | ({"scim_bearer": await provider.create(acting.connection, slug, DOMAINS[slug])} if first else {})


async def submit_documents(app: FastAPI, credentials: dict[str, Any], report: Callable[[str], None]) -> None:
    """Submits every version of every demo document as each tenant's editor, and has it approved where that is needed.

    Goes on where it was interrupted.
    """
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        for tenant in credentials["tenants"]:
            documents = content.load(tenant["slug"])
            report(f"  {tenant['slug']}: {len(documents)} versions of documents")
            names = (Role.ADMIN, Role.EDITOR, Role.APPROVER)
            admin, editor, approver = [await sign_in(client, tenant, role) for role in names]
            await _mask(client, admin)
            await finish_waiting_jobs(app)  # what an interrupted start had uploaded
            for document in documents:  # versions come in order
                if await _status(client, document, editor) is None:
                    await _send(client, document, TENANTS[tenant["slug"]], editor)
                    await finish_waiting_jobs(app)
                if await _status(client, document, editor) is None:
                    raise RuntimeError(f"{document.doc_id} was uploaded, and could not be read")
                await _approve(client, document, editor, approver)


async def provision(app: FastAPI, credentials: dict[str, Any], report: Callable[[str], None]) -> None:
    """Has the provider of the first tenant keep a user there; goes on where it was interrupted."""
    tenant = credentials["tenants"][0]
    report(f"  {tenant['slug']}: people of its identity provider")
    await provider.keep(app, tenant)


async def evaluate(app: FastAPI, credentials: dict[str, Any], report: Callable[[str], None]) -> None:
    """Runs a set of the first tenant's questions, and leaves a change waiting; goes on where it was interrupted."""
    tenant = credentials["tenants"][0]
    names = (Role.ADMIN, Role.APPROVER, evaluation.SECOND_APPROVER)
    if not {user["username"] for user in tenant["users"]} >= set(names):
        return  # tenants that an earlier release began to make
    report(f"  {tenant['slug']}: an evaluation of {len(evaluation.QUESTIONS)} questions")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://demo") as client:
        await evaluation.fill(app, client, {name: await sign_in(client, tenant, name) for name in names})


async def sign_in(client: httpx.AsyncClient, tenant: dict[str, Any], username: str) -> dict[str, str]:
    """Returns headers of a user of a tenant; raises HTTPError."""
    password = next(user["password"] for user in tenant["users"] if user["username"] == username)
    form = {"username": username, "password": password, "client_id": tenant["slug"]}
    signed_in = (await client.post("/auth/token", data=form)).raise_for_status().json()
    return {"Authorization": f"Bearer {signed_in['access_token']}"}


async def _mask(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    """Has what is personal in the collection of letters masked, where there is one, before the first comes."""
    known = (await client.get("/collections", headers=admin)).raise_for_status().json()["collections"]
    if any(one["slug"] == MASKED[0] for one in known):
        wanted = {"personal_data": "mask"}
        (await client.patch(f"/collections/{MASKED[0]}", json=wanted, headers=admin)).raise_for_status()


async def _send(client: httpx.AsyncClient, document: content.DemoDocument, house: str, editor: dict[str, str]) -> None:
    if not document.on_paper:
        chunks = [{"text": paragraph} for paragraph in document.paragraphs]
        body = {**_fields(document), "chunks": chunks}
        (await client.post("/documents/versions", json=body, headers=editor)).raise_for_status()
        return
    form = {name: value for name, value in _fields(document).items() if value is not None}
    form |= {"metadata": json.dumps(document.metadata)}
    paper = (f"{document.doc_id}.pdf", pdf(house, document.title, document.parts), "application/pdf")
    (await client.post("/documents", data=form, files={"file": paper}, headers=editor)).raise_for_status()


async def _approve(
    client: httpx.AsyncClient, document: content.DemoDocument, editor: dict[str, str], approver: dict[str, str]
) -> None:
    if await _status(client, document, editor) == "in_review":
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


def _fields(document: content.DemoDocument) -> dict[str, Any]:
    return {
        "doc_id": document.doc_id,
        "collection": document.collection,
        "source_type": document.source_type,
        "title": document.title,
        "metadata": document.metadata,
        "effective_from": _midnight(document.effective_from),
        "effective_to": None if document.effective_to is None else _midnight(document.effective_to),
    }


def _midnight(day: date) -> str:
    return datetime.combine(day, time(tzinfo=UTC)).isoformat()
