"""The service behind PgBouncer, in both of its modes, and over TLS."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from backend.ledger import process as sealing
from backend.ledger.checkpoints import SigningKey
from backend.tenancy import Tenancy
from tests import pooler
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(pooler.PROGRAM is None, reason="PgBouncer is not installed (apt-get install pgbouncer)"),
]

modes = pytest.mark.parametrize("mode", ["transaction", "session"])


async def ask(service: Service, tenant: Tenant, n: int) -> tuple[int, set[str], int]:
    """Ingests, retrieves and reads; returns both statuses and whose chunks were found."""
    chunk = {
        "doc_id": f"{tenant.slug}-{n}",
        "chunk_text": f"Wires of {tenant.slug} leave at {n}.",
        "source_type": "policy",
    }
    ingested = await service.post("/ingest", tenant, "editor", chunk)
    found = await service.post("/retrieve", tenant, "analyst", {"query": "When do wires leave?", "k": 50})
    whose = {context["doc_id"].rpartition("-")[0] for context in found.json()["contexts"]}
    return ingested.status_code, whose, found.status_code


@modes
async def test_tenants_are_served_and_kept_apart(
    mode: str, database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    with pooler.pooled(database.runtime_url, database.sealer_url, database.operator_url, mode=mode) as (urls, _):
        lent = replace(database, **dict(zip(("runtime_url", "sealer_url", "operator_url"), urls, strict=True)))
        settings = settings_for(
            lent,
            run_secrets,
            model_home,
            database_pooler="pgbouncer",
            checkpoint_key=SigningKey.generate("affidavit").pem().decode(),
        )
        sealer = asyncio.create_task(sealing.run(settings))
        async with running(settings, database) as service:
            tenants = [await service.create_tenant() for _ in range(3)]
            for tenant in tenants:
                for user in ("editor", "analyst", "compliance"):
                    await service.token(tenant, user)
            asked = [(tenant, n) for n in range(12) for tenant in tenants]
            outcomes = await asyncio.gather(*(ask(service, tenant, n) for tenant, n in asked))
            assert {(ingested, found) for ingested, _, found in outcomes} == {(201, 200)}
            assert all(whose == {tenant.slug} for (tenant, _), (_, whose, _) in zip(asked, outcomes, strict=True))
            events = await service.events(tenants[0])
            assert len([event for event in events if event["action"] == "retrieval:executed"]) == 12
            ready = await service.ready()
            assert (ready.status_code, ready.json()) == (200, {"status": "ok", "warnings": [], "away": []})
            event = f"/audit/events/{events[0]['id']}/proof"
            while (await service.get(event, tenants[0], "compliance")).status_code != 200:
                assert not sealer.done()
                await asyncio.sleep(0.1)
        sealer.cancel()
        await asyncio.gather(sealer, return_exceptions=True)


@modes
async def test_without_being_told_of_it_the_service_is_not_ready_and_says_why(
    mode: str, database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    with pooler.pooled(database.runtime_url, mode=mode) as ((runtime,), _):
        settings = settings_for(replace(database, runtime_url=runtime), run_secrets, model_home)
        async with running(settings, database) as service:
            answer = await service.ready()
            assert answer.status_code == 503
            if mode == "session":
                assert "AFFIDAVIT_DATABASE_POOLER" in answer.json()["detail"]


@pytest.mark.parametrize("behind", [True, False])
async def test_the_server_process_is_asked_for_behind_a_pooler_only(
    behind: bool,  # noqa: FBT001 - a parameter of the test
    database: Database, run_secrets: Secrets, model_home: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Once in each transaction: the one round trip that a pooler costs."""
    asked: list[str] = []
    usual = asyncpg.Connection.fetchval

    async def counted(self: Any, query: str, *arguments: Any, **named: Any) -> Any:
        asked.append(query)
        return await usual(self, query, *arguments, **named)

    bound: list[str] = []
    binding = Tenancy.bind

    async def noted(self: Tenancy, *arguments: Any, **named: Any) -> None:
        bound.append("")
        await binding(self, *arguments, **named)

    with pooler.pooled(database.runtime_url, mode="transaction") as ((runtime,), _):
        lent = replace(database, runtime_url=runtime) if behind else database
        given = {"database_pooler": "pgbouncer"} if behind else {}
        async with running(settings_for(lent, run_secrets, model_home, **given), database) as service:
            tenant = await service.create_tenant()
            await service.token(tenant, "analyst")
            monkeypatch.setattr(asyncpg.Connection, "fetchval", counted)
            monkeypatch.setattr(Tenancy, "bind", noted)
            assert (await service.post("/retrieve", tenant, "analyst", {"query": "wires"})).status_code == 200
            monkeypatch.undo()
    server_process = [query for query in asked if query == "select pg_backend_pid()"]
    assert bound
    assert (len(server_process) >= len(bound)) if behind else (server_process == [])


async def test_the_certificate_of_the_server_is_verified(
    database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    with pooler.pooled(database.runtime_url, mode="transaction", certificate=True) as ((runtime,), folder):
        trusted = f"{runtime}?sslmode=verify-full&sslrootcert={folder / 'cert.pem'}"
        settings = settings_for(
            replace(database, runtime_url=trusted), run_secrets, model_home, database_pooler="pgbouncer"
        )
        async with running(settings, database) as service:
            tenant = await service.create_tenant()
            assert (await service.post("/retrieve", tenant, "analyst", {"query": "wires"})).status_code == 200
        refused: Any = settings.model_copy(
            update={"runtime_database_url": SecretStr(trusted.replace("127.0.0.1", "localhost"))}
        )
        async with running(refused, database) as service:  # the certificate is of 127.0.0.1
            assert (await service.ready()).status_code == 503
        with pytest.raises((asyncpg.PostgresError, ConnectionError)):
            await asyncpg.connect(f"{runtime}?sslmode=disable")
