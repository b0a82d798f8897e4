"""Whatever interrupts a job, its parser ends and the worker goes on: one upload never holds up the others."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.factories import post_file, worker
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

LONG = b"A sentence of some length, again and again, that says nothing at all.\n\n" * 200_000


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


async def test_a_cancelled_upload_of_a_long_file_leaves_the_worker_to_the_others(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    """The parser is far ahead of its reader when the job is lost, and its pipe is full."""
    before = children()
    long = (await post_file(service, tenant, "long.txt", LONG)).json()["job_id"]
    running = asyncio.create_task(worker(service).run())
    try:
        while (await service.get(f"/jobs/{long}", tenant, "editor")).json()["status"] == "queued":
            await asyncio.sleep(0.05)
        while not children() - before:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)  # the parser fills the pipe, on a machine with time
        headers = await service.as_user(tenant, "editor")
        cancelled = await service.client.post(f"/jobs/{long}/cancel", headers=headers)
        assert cancelled.status_code in {200, 202}, cancelled.text
        short = (await post_file(service, other_tenant, "short.txt", b"Another tenant's file.")).json()["job_id"]
        async with asyncio.timeout(120):  # or the worker stands still
            while (await service.get(f"/jobs/{short}", other_tenant, "editor")).json()["status"] != "succeeded":
                await asyncio.sleep(0.1)
            while not children() <= before:
                await asyncio.sleep(0.1)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
