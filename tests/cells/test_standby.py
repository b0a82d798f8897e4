"""A cell whose server dies: its standby is promoted, and processes go on by themselves, with every answer that was given."""

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from backend.cells import copy
from backend.cells.directory import Directory
from backend.cells.entries import Home
from backend.embedded_postgres import EmbeddedPostgres
from tests.cells.elsewhere import HERE, KEY
from tests.factories import ingest
from tests.ledger.servers import copy_of, migrated, server
from tests.ledger.test_restored import until
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = [pytest.mark.anyio, pytest.mark.cells]

MOST_SECONDS = 10.0


def both(one: str, other: str) -> str:
    """An address of two servers, of which the one that writes is used."""
    address, _, name = one.rpartition("/")
    return f"{address},{urlsplit(other).netloc.rpartition('@')[2]}/{name}?target_session_attrs=read-write"


def kill_machine(started: EmbeddedPostgres) -> None:
    """Ends a server and all that it has forked with SIGKILL, as when its machine is gone."""
    postmaster = int((started.folder / "postmaster.pid").read_text().split("\n", 1)[0])
    of_it = [postmaster]
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == postmaster:
                of_it.append(int(status.parent.name))
    for process in of_it:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


class GivenAnswers:
    """Clients that ask all the time, and which requests were answered when."""

    def __init__(self, service: Service, tenant: Tenant, token: dict[str, str]) -> None:
        self._service, self._tenant, self._token = service, tenant, token
        self.requests: dict[str, float] = {}
        self.refused = set[int]()

    async def ask(self, over: asyncio.Event) -> None:
        while not over.is_set():
            answer: httpx.Response = await self._service.client.post(
                "/retrieve", json={"query": "dispute a card payment"}, headers=self._token
            )
            if answer.status_code == 200:
                self.requests[answer.headers["x-request-id"]] = time.monotonic()
            else:
                self.refused.add(answer.status_code)
                await asyncio.sleep(0.05)

    async def until(self, number: int) -> None:
        async with asyncio.timeout(60):
            while len(self.requests) < number:
                await asyncio.sleep(0.01)


async def test_a_promoted_standby_goes_on_within_ten_seconds_and_lacks_no_answer_that_was_given(
    run_secrets: Secrets, model_home: Path, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        primary = stack.enter_context(server(wal_level="replica"))
        database = await migrated(primary, run_secrets)
        replica = stack.enter_context(copy_of(primary, "--write-recovery-conf"))
        await asyncio.to_thread(replica.start)
        standby = Database(**replica.urls())
        superuser = await asyncpg.connect(database.superuser_url)
        await superuser.execute("alter system set synchronous_standby_names = '*'")
        await superuser.execute("select pg_reload_conf()")
        await superuser.execute("insert into tenancy.cell (name) values ($1)", HERE.name)
        await superuser.close()
        await until(database.superuser_url, "count(*) = 1 from pg_stat_replication where sync_state = 'sync'")

        directory = Directory([KEY.verifier_key])
        settings = settings_for(
            Database(**{f"{name}_url": both(getattr(database, f"{name}_url"), getattr(standby, f"{name}_url"))
                        for name in ("owner", "runtime", "sealer", "operator", "superuser")}),
            run_secrets, model_home, cell=HERE.name, directory_file=tmp_path / "directory",
            directory_public_key=str(KEY.verifier_key), database_timeout=2,
        )  # fmt: skip
        directory.append([HERE.entry()], KEY, 1)
        copy.save(directory, tmp_path / "directory")
        service = await stack.enter_async_context(running(settings, database))
        tenant = await service.create_tenant()
        service.services.tenancy.homes.known.directory.append(
            [Home(tenant.id, tenant.slug, HERE.name, 1).entry()], KEY, 2
        )
        await ingest(service, tenant, "disputes", "Customers dispute a card payment within 60 days of the statement.")
        load, over = GivenAnswers(service, tenant, await service.as_user(tenant, "analyst")), asyncio.Event()
        clients = [asyncio.create_task(load.ask(over)) for _ in range(6)]
        await load.until(60)
        kill_machine(primary)
        before = len(load.requests)
        promoting = await asyncpg.connect(standby.superuser_url)
        await promoting.fetchval("select pg_promote()")
        promoted = time.monotonic()
        await promoting.close()
        await load.until(before + 30)
        over.set()
        await asyncio.gather(*clients)

        first = min(moment for moment in load.requests.values() if moment > promoted)
        assert first - promoted <= MOST_SECONDS
        assert load.refused <= {503}
        found = await asyncpg.connect(standby.superuser_url)
        recorded = {
            row["request_id"] for row in await found.fetch(
                "select request_id::text from audit.event where tenant_id = $1 and action = 'retrieval:executed'", tenant.id
            )
        }  # fmt: skip
        await found.close()
        assert set(load.requests) - recorded == set()
        print(f"answered {first - promoted:.2f} s after the promotion, {len(load.requests)} answers")
