"""Workers that are killed at any step of a job: nothing is lost, and nothing is there twice."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.documents.dying_worker import STEPS
from tests.factories import post_file, work
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = [pytest.mark.anyio, pytest.mark.servers]

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = 60


def rules(number: int) -> bytes:
    return "\n\n".join(
        f"Rule {number}.{section}: the limit is {section} euros a day." for section in range(SECTIONS)
    ).encode()


@pytest.fixture(scope="module")
async def service(
    database: Database, run_secrets: Secrets, model_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    settings = settings_for(database, run_secrets, model_home, storage_folder=tmp_path_factory.mktemp("files"))
    async with running(settings, database) as started:
        yield started


async def kill_workers(database: Database, secrets: Secrets, home: Path, storage: Path, scratch: Path) -> None:
    environment = {
        **os.environ, "AFFIDAVIT_HOME": str(home), "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url,
        "AFFIDAVIT_CONTEXT_KEY": secrets.context_key, "AFFIDAVIT_PAYLOAD_KEY": secrets.payload_key,
        "AFFIDAVIT_JOB_LEASE_SECONDS": "1", "AFFIDAVIT_JOB_ATTEMPTS": "50", "AFFIDAVIT_LOG_LEVEL": "ERROR",
        "AFFIDAVIT_EMBEDDING_THREADS": "1", "AFFIDAVIT_DATABASE_TIMEOUT": "10", "AFFIDAVIT_STORAGE_FOLDER": str(storage),
        "TMPDIR": str(scratch),
    }  # fmt: skip
    workers = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.documents.dying_worker", *STEPS, env=environment, cwd=ROOT, start_new_session=True
    )
    try:
        assert await asyncio.wait_for(workers.wait(), 240) == 0, "one ended before its step"
    except TimeoutError:  # one has not come to its step
        os.killpg(workers.pid, signal.SIGKILL)
        raise


async def test_workers_killed_at_every_step_lose_nothing_and_double_nothing(
    service: Service, tenant: Tenant, database: Database, run_secrets: Secrets, model_home: Path, tmp_path: Path
) -> None:
    storage = service.services.settings.storage_folder
    failing = (await post_file(service, tenant, "scrap.pdf", b"%PDF-1.7 of nothing at all")).json()
    good = [(await post_file(service, tenant, f"rule-{number}.txt", rules(number))).json() for number in range(2)]
    await kill_workers(database, run_secrets, model_home, storage, tmp_path)
    await work(service, job_attempts=50)  # each death was one of every job that its worker had

    job = (await service.get(f"/jobs/{failing['job_id']}", tenant, "editor")).json()
    assert (job["status"], job["retryable"]) == ("failed", False)
    assert (await service.get(f"/documents/{failing['document_id']}", tenant, "editor")).status_code == 404
    for number, uploaded in enumerate(good):
        path = f"/documents/{uploaded['document_id']}"
        assert (await service.get(f"/jobs/{uploaded['job_id']}", tenant, "editor")).json()["status"] == "succeeded"
        versions = (await service.get(path, tenant, "editor")).json()["versions"]
        assert [version["document_version"] for version in versions] == [1]
        chunks = (await service.get(f"{path}/versions/1", tenant, "editor")).json()["chunks"]
        text = " ".join(chunk["text"] for chunk in chunks)
        assert all(text.count(f"Rule {number}.{section}:") == 1 for section in range(SECTIONS))
        assert (await service.get(f"{path}/versions/1/file", tenant, "editor")).content == rules(number)
    ended = await service.events(tenant, action="document:ingested", limit=200)
    assert sorted(event["outcome"] for event in ended) == ["failed", "succeeded", "succeeded"]
    assert len([path for path in storage.rglob("*") if path.is_file()]) == len(good)
