"""Sources of a tenant over the API, run by a worker on the service's own database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from backend.egress import Egress, outside_client
from backend.identity.callers.permissions import Role
from backend.jobs.worker import Worker
from backend.sources.asking import SourceHosts
from tests import factories
from tests.service import Service, Tenant

HERE = SourceHosts(["127.0.0.1", "localhost"], plain=True)
POLICIES = "policies"


@asynccontextmanager
async def reaching(service: Service, hosts: SourceHosts = HERE, **bounds: Any) -> AsyncIterator[None]:
    """Lets sources lie on this machine, as fast as it goes."""
    before = service.services
    async with outside_client() as client:
        opening = replace(
            before.source_opening, egress=Egress(client, own_machine=True, plain=True), hosts=hosts,
            bounds=replace(before.source_opening.bounds, **{"requests_per_minute": 60_000, "request_seconds": 20.0} | bounds),
        )  # fmt: skip
        service.exchange(source_hosts=hosts, source_opening=opening)
        yield
        service.exchange(source_hosts=before.source_hosts, source_opening=before.source_opening)


async def bank_with_policies(service: Service) -> Tenant:
    """A tenant with a collection whose versions one other person approves."""
    tenant = await service.create_tenant()
    await factories.create_collection(service, tenant, POLICIES, approval_required=True)
    async with service.operator() as acting:
        for role in (Role.EDITOR, Role.APPROVER, Role.ANALYST, Role.COMPLIANCE):
            await acting.grant(tenant.id, POLICIES, "read", role=role)
        await acting.grant(tenant.id, POLICIES, "write", role=Role.EDITOR)
    return tenant


async def created(service: Service, tenant: Tenant, address: str, kind: str = "urls", **more: Any) -> dict[str, Any]:
    body = {"name": f"{kind} {address[:60]}", "kind": kind, "collection": POLICIES, "address": address} | more
    answer = await service.post("/sources", tenant, "admin", body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def work(service: Service) -> None:
    """Does all jobs that are due, runs and what they bring."""
    working = Worker(service.services.tenancy, service.services.job_handlers(), attempts=1)
    while await working.work_once():
        pass


async def run(service: Service, tenant: Tenant, source: dict[str, Any], **asked: bool) -> dict[str, Any]:
    """Runs a source, has what it brought read, and returns the run."""
    answer = await service.post(f"/sources/{source['id']}/runs", tenant, "admin", asked)
    assert answer.status_code == 202, answer.text
    await work(service)
    path = f"/sources/{source['id']}/runs/{answer.json()['id']}"
    shown = await service.get(path, tenant, "admin")
    assert shown.status_code == 200, shown.text
    ended: dict[str, Any] = shown.json()
    return ended


def counted(run: dict[str, Any]) -> dict[str, int]:
    """Counts of a run that are not zero; the run must have succeeded."""
    assert run["state"] == "succeeded", run
    return {name: count for name, count in run["counts"].items() if name != "reasons" and count}


async def documents(service: Service, tenant: Tenant, username: str = "approver") -> dict[str, dict[str, Any]]:
    """Versions of the collection that somebody sees, by the document's name and the number."""
    answer = await service.get("/versions", tenant, username, limit=100)
    assert answer.status_code == 200, answer.text
    return {
        f"{one['doc_id']} {one['document_version']}": one
        for one in answer.json()["versions"] if one["collection"] == POLICIES
    }  # fmt: skip


async def approve(service: Service, tenant: Tenant, version: dict[str, Any], username: str = "approver") -> int:
    path = f"/documents/{version['document_id']}/versions/{version['document_version']}/approve"
    answer = await service.post(path, tenant, username, {})
    return answer.status_code
