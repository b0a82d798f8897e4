"""Callers share a few connections; none ever sees, or leaves behind, what belongs to another."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from uuid_utils.compat import uuid7

from backend.database import open_pool
from backend.embedded_postgres import EmbeddedPostgres
from backend.errors import Unavailable
from backend.identity.callers.caller import Caller, Origin
from backend.self_check import check
from backend.tenancy import Claims, ContextSigner, Tenancy
from tests.factories import ingest
from tests.isolation.findings import Findings
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

REQUESTS, CONNECTIONS, TENANTS = 500, 4, 5
ROLES = ("analyst", "editor", "approver", "partner")  # of each tenant: 20 callers
SEED = 20260101


@pytest.fixture(scope="module")
async def service(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    """The service with four connections for everyone."""
    settings = settings_for(
        database, run_secrets, model_home, database_pool_size=CONNECTIONS, database_timeout=30, embedding_threads=1
    )
    async with running(settings, database) as started:
        yield started


@dataclass(frozen=True)
class Someone:
    """One of the twenty callers."""

    tenant: Tenant
    headers: dict[str, str]
    caller: Caller


@pytest.fixture(scope="module")
async def everyone(service: Service) -> list[Someone]:
    found = []
    for _ in range(TENANTS):
        tenant = await service.create_tenant()
        for number in range(3):
            await ingest(
                service, tenant, f"{tenant.slug}-{number}", f"The fee of {tenant.slug} is {number}.", source_type="x"
            )
        for role in ROLES:
            headers = await service.as_user(tenant, role)
            credential = headers["Authorization"].removeprefix("Bearer ")
            caller = await service.services.resolver.resolve(credential, Origin(str(uuid7())))
            found.append(Someone(tenant, headers, caller))
    return found


async def _retrieve(service: Service, someone: Someone) -> str:
    body = {"query": "What is the fee?", "k": 50}
    answer = await service.client.post("/retrieve", json=body, headers=someone.headers)
    while answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:  # a slow machine admits a flood of one's own later
        await asyncio.sleep(int(answer.headers["retry-after"]))
        answer = await service.client.post("/retrieve", json=body, headers=someone.headers)
    assert answer.status_code == HTTPStatus.OK, answer.text
    _belongs(someone, [context["doc_id"] for context in answer.json()["contexts"]])
    return "answered"


def _belongs(someone: Someone, doc_ids: list[str]) -> None:
    assert doc_ids
    assert all(doc_id.startswith(someone.tenant.slug) for doc_id in doc_ids), (someone.tenant.slug, doc_ids)


async def _look(service: Service, someone: Someone, then: str = "select 1") -> None:
    claims = replace(someone.caller, request_id=str(uuid7())).claims()
    async with service.services.tenancy.transaction(claims) as connection:
        rows = await connection.fetch("select tenant_id, doc_id from documents.document")
        _belongs(someone, [row["doc_id"] for row in rows])
        await connection.execute(then)
        rows = await connection.fetch("select tenant_id, doc_id from documents.document")
        _belongs(someone, [row["doc_id"] for row in rows])


async def _cancelled(service: Service, someone: Someone, chance: random.Random) -> str:
    task = asyncio.create_task(_look(service, someone, "select pg_sleep(20)"))
    await asyncio.sleep(chance.random() * 0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return "cancelled"


async def _timed_out(service: Service, someone: Someone) -> str:
    with pytest.raises(Unavailable):
        await _look(service, someone, "set local statement_timeout = 20; select pg_sleep(1)")
    return "timed out"


async def _failed(service: Service, someone: Someone) -> str:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await _look(service, someone, "select 1 / 0")
    return "failed"


async def _left_a_mess(service: Service, someone: Someone) -> str:
    await _look(service, someone, "select set_config('app.context', current_setting('app.context'), false)")
    return "left its context to the session"


async def _hung_up(address: str, someone: Someone, chance: random.Random) -> str:
    async with httpx.AsyncClient(base_url=address) as client:
        try:
            answer = await client.post(
                "/retrieve",
                json={"query": "What is the fee?"},
                headers=someone.headers,
                timeout=chance.uniform(0.001, 0.05),
            )
        except httpx.TimeoutException:
            return "hung up"
    _belongs(someone, [context["doc_id"] for context in answer.json()["contexts"]])
    return "answered"


async def test_500_interleaved_requests_of_20_callers_see_no_row_of_another_tenant(
    service: Service, everyone: list[Someone], address: str, findings: Findings
) -> None:
    chance = random.Random(SEED)
    at_once = asyncio.Semaphore(4 * CONNECTIONS)

    async def one(someone: Someone, manner: str) -> str:
        async with at_once:
            match manner:
                case "cancelled":
                    return await _cancelled(service, someone, chance)
                case "timed out":
                    return await _timed_out(service, someone)
                case "failed":
                    return await _failed(service, someone)
                case "messy":
                    return await _left_a_mess(service, someone)
                case "hung up":
                    return await _hung_up(address, someone, chance)
            return await _retrieve(service, someone)

    manners = chance.choices(
        ("answered", "cancelled", "timed out", "failed", "messy", "hung up"),
        weights=(40, 15, 10, 10, 10, 15),
        k=REQUESTS,
    )
    ended = await asyncio.gather(*(one(chance.choice(everyone), manner) for manner in manners))
    counts = Counter(ended)
    print(f"\npool safety: {dict(counts)} over {CONNECTIONS} connections; rows of a wrong tenant: 0")
    findings["pool"] = {
        "requests": REQUESTS, "callers": len(everyone), "connections": CONNECTIONS, "wrong_rows": 0, "ended": dict(counts),
    }  # fmt: skip
    assert len(counts) >= 6
    assert counts.total() == REQUESTS


async def test_afterwards_no_connection_holds_a_context(service: Service, everyone: list[Someone]) -> None:
    await test_500_interleaved_requests_end(service)
    pool = service.services.pool
    held = [await pool.acquire() for _ in range(CONNECTIONS)]
    try:
        assert len({connection.get_server_pid() for connection in held}) == CONNECTIONS
        for connection in held:
            assert not await connection.fetchval("select current_setting('app.context', true)")
            assert await connection.fetchval("select count(*) from documents.document") == 0
            assert not connection.is_in_transaction()
    finally:
        for connection in held:
            await pool.release(connection)
    assert everyone


async def test_500_interleaved_requests_end(service: Service) -> None:
    """Every connection comes back, whatever became of the requests."""
    pool: Any = service.services.pool
    for _ in range(1200):
        if pool.get_idle_size() == pool.get_size():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("a connection was not given back")


ITS_OWN = (
    "set synchronous_commit = off",
    "set row_security = off",
    "set search_path = pg_temp, public",
    "in database {database} set synchronous_commit = off",
)


async def test_defaults_that_injected_sql_gives_its_own_role_void_neither_durability_nor_walls(
    service: Service, postgres: EmbeddedPostgres
) -> None:
    """Every role may change its own defaults; they hold for everybody's next connection."""
    attacker = await asyncpg.connect(service.database.runtime_url)
    database = await attacker.fetchval("select current_database()")
    for change in ITS_OWN:
        await attacker.execute("alter role affidavit_runtime " + change.format(database=database))
    pool = await open_pool(service.database.runtime_url, size=1, timeout=5)
    tenancy = Tenancy(pool, ContextSigner("k" * 40), timeout=5)
    shown = (
        "select current_setting('synchronous_commit'), current_setting('row_security'), current_setting('search_path')"
    )
    try:
        for _ in range(2):  # a new connection, and one that was given back
            async with pool.acquire() as connection:
                assert tuple(await connection.fetchrow(shown)) == ("on", "on", "pg_catalog, public")
                await connection.execute(
                    "set synchronous_commit = off; set row_security = off; set search_path = pg_temp"
                )
        async with pool.acquire() as connection, connection.transaction():
            # What a pooler between would lend: a connection that another process prepared.
            await connection.execute("set synchronous_commit = off")
            await tenancy.bind(connection, Claims(request_id="x"))
            assert await connection.fetchval("show synchronous_commit") == "on"
        changed = next(f for f in await check(attacker) if f.check == "settings")
        for expected in (
            "synchronous_commit=off",
            "row_security=off",
            "pg_temp",
            "pg_catalog, public of affidavit_runtime is gone",
        ):
            assert expected in str(changed.problem)
        answer = await service.ready()
        assert answer.status_code == 503
    finally:
        await asyncio.to_thread(postgres.prepare_roles)
        assert next(f for f in await check(attacker) if f.check == "settings").problem is None
        await pool.close()
        await attacker.close()
