"""The demo's own pages come into review by a source, from the demo itself and from nowhere else."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from backend.demo import intranet, seed
from backend.egress import Egress, outside_client
from backend.jobs.worker import Worker
from backend.sources.asking import SourceHosts
from tests.service import Service

pytestmark = pytest.mark.anyio


async def test_its_pages_are_synchronised_once_and_wait_for_review(service: Service, address: str) -> None:
    tenant = (await seed.create_tenants(service.database.owner_url))["tenants"][0]
    intranet.install(service.app)
    admin, approver = [await seed.sign_in(service.client, tenant, name) for name in ("admin", "approver")]
    hosts = SourceHosts([address.removeprefix("http://")], plain=True)  # as the demo allows itself
    async with outside_client() as client:
        opening = replace(
            service.services.source_opening, egress=Egress(client, own_machine=True, plain=True), hosts=hosts
        )
        service.exchange(source_hosts=hosts, source_opening=opening)
        worker = Worker(service.services.tenancy, service.services.job_handlers())
        working = asyncio.create_task(worker.run())
        try:
            for _ in range(2):  # a second start shows nothing more
                await intranet.show(tenant, address)
        finally:
            worker.stopping.set()
            await working
    (source,) = (await service.client.get("/sources", headers=admin)).json()["sources"]
    runs = (await service.client.get(f"/sources/{source['id']}/runs", headers=admin)).json()["runs"]
    shown = [(run["state"], run["dry_run"], run["counts"]["new"], run["counts"]["unchanged"]) for run in runs]
    assert shown == [("succeeded", False, 0, 3), ("succeeded", False, 3, 0), ("succeeded", True, 3, 0)]
    waiting = (await service.client.get("/versions", params={"status": "in_review"}, headers=approver)).json()[
        "versions"
    ]
    assert {one["doc_id"].rpartition("/")[2] for one in waiting} == set(intranet.PAGES)
    elsewhere = {"name": "x", "kind": "urls", "collection": seed.REVIEWED[0], "address": "http://127.0.0.1:5432/a.md"}
    refused: httpx.Response = await service.client.post("/sources", json=elsewhere, headers=admin)
    assert (refused.status_code, refused.json()["detail"][:9]) == (422, "address: "), refused.text
