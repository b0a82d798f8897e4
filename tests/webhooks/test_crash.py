"""A worker that is killed between sending and marking: the message comes again, under its id."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service import Database, Secrets, Service, Tenant, running, settings_for
from tests.webhooks.endpoints import created, deliveries, delivering, forced, sent_test, serve, serve_next
from tests.webhooks.receiver import receiving

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
async def service(
    database: Database, run_secrets: Secrets, model_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    settings = settings_for(database, run_secrets, model_home, storage_folder=tmp_path_factory.mktemp("files"))
    async with running(settings, database) as started:
        yield started


async def killed(service: Service, secrets: Secrets, home: Path) -> int:
    """Runs a worker until it is killed; returns how it ended."""
    environment = {
        **os.environ, "AFFIDAVIT_HOME": str(home), "AFFIDAVIT_RUNTIME_DATABASE_URL": service.database.runtime_url,
        "AFFIDAVIT_CONTEXT_KEY": secrets.context_key, "AFFIDAVIT_PAYLOAD_KEY": secrets.payload_key,
        "AFFIDAVIT_LOG_LEVEL": "ERROR", "AFFIDAVIT_DATABASE_TIMEOUT": "10", "AFFIDAVIT_EMBEDDING_THREADS": "1",
        "AFFIDAVIT_WEBHOOK_HOSTS": '["127.0.0.1"]', "AFFIDAVIT_WEBHOOK_OWN_MACHINE": "true",
    }  # fmt: skip
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.webhooks.dying_worker", env=environment, cwd=ROOT
    )
    try:
        return await asyncio.wait_for(worker.wait(), 120)
    except TimeoutError:
        worker.kill()
        raise


async def test_what_was_sent_and_not_marked_is_sent_again_under_its_id_and_at_last_given_up(
    service: Service, tenant: Tenant, run_secrets: Secrets, model_home: Path
) -> None:
    async with receiving() as receiver, delivering(service, back_off=(0.0,)) as deliverer:
        endpoint = await created(service, tenant, receiver)
        name = await sent_test(service, tenant, endpoint)
        assert await killed(service, run_secrets, model_home) == -signal.SIGKILL
        assert [one.id for one in receiver.received] == [name]
        (waiting,) = await deliveries(service, tenant, endpoint)
        assert (waiting["state"], waiting["attempts"]) == ("waiting", 1)
        assert not await serve_next(deliverer)  # the lease of who died holds still
        await its_lease_is_over(service)
        await serve(deliverer)
        assert [one.id for one in receiver.received] == [name] * 2
        (delivered,) = await deliveries(service, tenant, endpoint)
        assert (delivered["state"], delivered["attempts"]) == ("delivered", 2)
        # One whose every attempt ends so is given up as well, since attempts are counted before they are made.
        await sent_test(service, tenant, endpoint)
        await forced(service.database, "update webhooks.delivery set attempts = 2 where state = 'waiting'")
        await serve(deliverer)
        (dead,) = await deliveries(service, tenant, endpoint, state="dead")
        assert (dead["failure"], len(receiver.received)) == ("worker_lost", 2)


async def its_lease_is_over(service: Service) -> None:
    await forced(service.database, "update webhooks.endpoint set leased_until = now()")
    await forced(service.database, "update webhooks.delivery set next_attempt_at = now() where state = 'waiting'")


async def test_who_lost_its_lease_marks_nothing(service: Service, tenant: Tenant) -> None:
    async with receiving() as receiver, delivering(service, seconds=20.0) as late, delivering(service) as other:
        endpoint = await created(service, tenant, receiver)
        await sent_test(service, tenant, endpoint)

        async def slow(_: object, writer: asyncio.StreamWriter) -> None:
            await its_lease_is_over(service)
            await serve(other)
            writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")

        receiver.next = [slow]
        await serve(late)
        assert len(receiver.received) == 2
        assert {one.id for one in receiver.received} == {receiver.received[0].id}
        newest = (await deliveries(service, tenant, endpoint))[0]
        assert (newest["state"], newest["response_status"]) == ("delivered", 204)
