"""Workers that are killed at any moment: nothing is lost, and nothing is there twice."""

import asyncio
import os
import random
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Database, Secrets, Service, Tenant
from tests.documents.upload import post_file

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
FILES = 8
KILLS = 2


def paragraphs(number: int) -> bytes:
    return "\n\n".join(
        f"Rule {number}.{section}: the limit is {section} euros a day." for section in range(60)
    ).encode()


async def start_worker(database: Database, run_secrets: Secrets, home: Path) -> Process:
    environment = {
        **os.environ, "AFFIDAVIT_HOME": str(home), "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url,
        "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key, "AFFIDAVIT_PAYLOAD_KEY": run_secrets.payload_key,
        "AFFIDAVIT_JOB_LEASE_SECONDS": "2", "AFFIDAVIT_JOB_ATTEMPTS": "50", "AFFIDAVIT_LOG_LEVEL": "ERROR",
        "AFFIDAVIT_EMBEDDING_THREADS": "1", "AFFIDAVIT_DATABASE_TIMEOUT": "10",
    }  # fmt: skip
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "backend", "worker", env=environment, cwd=ROOT, stdin=DEVNULL
    )


async def unfinished(service: Service, tenant: Tenant) -> int:
    jobs = (await service.get("/jobs", tenant, "editor", limit=500)).json()["jobs"]
    assert {job["status"] for job in jobs} <= {"queued", "running", "succeeded"}, jobs
    return sum(job["status"] != "succeeded" for job in jobs)


async def until(reached: Callable[[int], bool], service: Service, tenant: Tenant) -> None:
    async with asyncio.timeout(120):
        while not reached(await unfinished(service, tenant)):
            await asyncio.sleep(0.05)


async def test_workers_killed_at_any_moment_lose_nothing_and_double_nothing(
    service: Service, tenant: Tenant, database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    documents = []
    for number in range(FILES):
        answer = await post_file(service, tenant, f"rule-{number}.txt", paragraphs(number))
        assert answer.status_code == 202, answer.text
        documents.append(answer.json()["document_id"])
    moments = random.Random(4711)
    for _ in range(KILLS):
        left = await unfinished(service, tenant)
        worker = await start_worker(database, run_secrets, model_home)
        await until(lambda now, before=left: now < max(before, 1), service, tenant)  # it is up and at work
        await asyncio.sleep(moments.uniform(0, 0.4))
        worker.kill()
        await worker.wait()
    worker = await start_worker(database, run_secrets, model_home)
    await until(lambda left: left == 0, service, tenant)
    worker.terminate()
    await worker.wait()

    for number, document in enumerate(documents):
        versions = (await service.get(f"/documents/{document}", tenant, "editor")).json()["versions"]
        assert [version["document_version"] for version in versions] == [1]
        chunks = (await service.get(f"/documents/{document}/versions/1", tenant, "editor")).json()["chunks"]
        text = " ".join(chunk["text"] for chunk in chunks)
        assert all(text.count(f"Rule {number}.{section}:") == 1 for section in range(60))
    ingested = await service.events(tenant, action="document:ingested", limit=200)
    assert len(ingested) == FILES
