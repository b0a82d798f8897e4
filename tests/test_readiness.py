"""Whether a process can serve is told from what it found seconds ago, and from nothing older."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from backend import health
from backend.errors import Unavailable
from backend.provenance import VERSION, code
from backend.self_check import SealerWatch, SelfCheck
from backend.shipped import newest_revision
from backend.tenancy import Claims
from tests.service import Database, Secrets, Service, Tenant, running, sealing, settings_for
from tests.serving import affidavit

pytestmark = pytest.mark.anyio


async def test_it_is_told_at_once_while_requests_hold_every_connection(
    database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    async with running(settings_for(database, run_secrets, model_home, database_pool_size=2), database) as service:
        assert (await service.ready()).status_code == 200
        async with AsyncExitStack() as holding:
            for _ in range(2):
                await holding.enter_async_context(service.services.pool.acquire())
            async with service.services.probe.tenancy.transaction(Claims(request_id="its own connection too")):
                answers = [await service.client.get(path) for path in ("/ready", "/health")]
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_a_process_whose_requests_get_no_connection_is_not_ready_until_they_do(
    database: Database, run_secrets: Secrets, model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "EXHAUSTED_SECONDS", 1.0)
    async with running(settings_for(database, run_secrets, model_home, database_pool_size=1), database) as service:
        async with service.services.pool.acquire():
            assert (await service.ready()).status_code == 503
        assert (await service.ready()).status_code == 200


async def test_what_was_found_too_long_ago_is_not_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await service.ready()).status_code == 200
    monkeypatch.setattr(health, "STALE_SECONDS", -1.0)
    answer = await service.client.get("/ready")
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")


async def test_a_process_that_has_not_looked_yet_is_not_ready(service: Service) -> None:
    probe = health.Probe(
        service.services.tenancy,
        service.services.pool,
        SelfCheck(),
        conditions=True,
        embedder=service.services.embedder,
        sealer=SealerWatch(),
    )
    with pytest.raises(Unavailable):
        probe.readiness()
    await probe.check()
    assert probe.readiness().status == "ok"


async def test_it_looks_again_by_itself(service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = service.services.probe
    monkeypatch.setattr(health, "CHECKED_EVERY_SECONDS", 0.01)
    probe._checked_at = 0.0
    async with asyncio.timeout(60), probe.watching():
        while (await service.client.get("/ready")).status_code != 200:
            await asyncio.sleep(0.01)


async def test_a_sealer_that_pauses_makes_nobody_unready_and_is_told(
    database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    """Also when an event has waited for a minute; the doctor, which looks at more than whether to serve, fails."""
    async with running(settings_for(database, run_secrets, model_home), database) as service:
        async with sealing(database):
            ready = await service.ready()
            assert (ready.status_code, ready.json()["warnings"]) == (200, [])
        superuser = await asyncpg.connect(database.superuser_url)
        for doing, said in (
            ("update audit.sealer set sealed_at = now() - interval '2 minutes'", "start `affidavit sealer`"),
            ("update audit.sealer set sealed_at = now()", None),
            (
                "insert into audit.unsealed (tenant_id, event_id)"
                " values (gen_random_uuid(), audit.first_id_at(now() - interval '2 minutes'))",
                "1 events are in no log",
            ),
        ):
            await superuser.execute(doing)
            ready = await service.ready()
            assert (ready.status_code, ready.json()["warnings"]) == (200, ["sealer"] if said else [])
            if said:
                done = await asyncio.to_thread(affidavit, "doctor", settings={
                    "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url, "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key,
                })  # fmt: skip
                assert (done.returncode, said in done.stdout) == (1, True), done.stdout
        await superuser.execute("delete from audit.unsealed")
        await superuser.close()


async def test_who_has_signed_in_is_told_which_code_answers(service: Service, tenant: Tenant) -> None:
    assert (await service.client.get("/version")).status_code == 401
    told = (await service.get("/version", tenant, "analyst")).json()
    assert told == {"version": VERSION, "code": code(), "revision": newest_revision()}
    newest = max((Path(__file__).parents[1] / "migrations" / "versions").glob("[0-9]*.py")).name
    assert newest.startswith(told["revision"])
    assert told["code"].startswith(f"{told['version']}+")
