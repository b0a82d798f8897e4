"""A context is good for its own transaction, connection and minute; what a session is left with reaches nobody else."""

from uuid import uuid4

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.identity.callers.caller import Caller
from tests.isolation.injection import Target, acting, ingest, injected
from tests.service import Service

pytestmark = pytest.mark.anyio


async def test_a_captured_context_is_refused_on_another_connection(service: Service, target: Target) -> None:
    caller = await acting(service, target.victim, "analyst")
    thief = await acting(service, target.tenant, "analyst")
    async with injected(service, caller) as theirs, injected(service, thief) as connection:
        captured = await theirs.fetchval("select current_setting('app.context')")
        await connection.execute("select set_config('app.context', $1, true)", captured)
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="another connection"):
            await connection.fetch("select * from documents.chunk")


async def test_a_captured_context_is_refused_after_its_expiry(
    service: Service, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.tenancy.LIFETIME_SECONDS", 0)
    caller = await _caller_without_time(service, target)
    async with injected(service, caller) as connection:
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="expired"):
            await connection.fetch("select * from documents.chunk")


async def _caller_without_time(service: Service, target: Target) -> Caller:
    return Caller(
        tenant_id=target.tenant.id, tenant_slug=target.tenant.slug, principal_id=target.tenant.users["analyst"],
        kind="user", name="analyst", request_id=str(uuid7()),
    )  # fmt: skip


async def test_a_context_that_was_signed_for_longer_than_a_minute_is_refused(
    service: Service, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.tenancy.LIFETIME_SECONDS", 3600)
    caller = await _caller_without_time(service, target)
    async with injected(service, caller) as connection:
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="expired"):
            await connection.fetch("select * from documents.chunk")


async def test_a_context_from_an_earlier_transaction_of_its_connection_is_of_its_own_caller_still(
    service: Service, target: Target
) -> None:
    connection = await asyncpg.connect(service.database.runtime_url)
    analyst, admin = await acting(service, target.tenant, "analyst"), await acting(service, target.victim, "admin")
    try:
        async with connection.transaction():
            await service.services.tenancy.bind(connection, analyst.claims())
            captured = await connection.fetchval("select current_setting('app.context')")
        async with connection.transaction():
            await service.services.tenancy.bind(connection, admin.claims())
            await connection.execute("select set_config('app.context', $1, true)", captured)
            bound = await connection.fetchrow("select tenancy.tenant_id(), tenancy.principal_id()")
            assert tuple(bound) == (analyst.tenant_id, analyst.principal_id)
            assert not await connection.fetch('select * from identity."user" where id <> $1', analyst.principal_id)
    finally:
        await connection.close()


async def test_no_context_outlives_its_transaction(service: Service, target: Target) -> None:
    caller = await acting(service, target.tenant, "analyst")
    connection = await asyncpg.connect(service.database.runtime_url)
    try:
        async with connection.transaction():
            await service.services.tenancy.bind(connection, caller.claims())
            assert await connection.fetchval("select count(*) from documents.chunk")
        assert await connection.fetchval("select current_setting('app.context', true)") == ""
        assert not await connection.fetchval("select count(*) from documents.chunk")
    finally:
        await connection.close()


async def test_the_context_never_stands_in_the_text_of_a_statement(
    service: Service, target: Target, witness: asyncpg.Connection
) -> None:
    caller = await acting(service, target.tenant, "analyst")
    async with injected(service, caller) as connection:
        signed = await connection.fetchval("select current_setting('app.context')")
        texts = await witness.fetch("select query from pg_stat_activity where usename = 'affidavit_runtime'")
        prepared = await connection.fetch("select statement from pg_prepared_statements")
    assert texts
    assert not [row for row in (*texts, *prepared) if signed[:40] in row[0]]


async def test_a_statement_left_under_the_drivers_name_does_not_run_for_the_next_caller(
    service: Service, target: Target
) -> None:
    """The pool throws such a connection away; otherwise the trap would be handed the next caller's signed context."""
    pool = service.services.pool
    async with pool.acquire() as connection:
        trapped = connection.get_server_pid()
        await connection.fetchval("select $1::text", "cached")
        name = await connection.fetchval("select name from pg_prepared_statements where statement = 'select $1::text'")
        await connection.execute(f"deallocate {name}")
        await connection.execute(f"prepare {name} (text) as select 'trap: ' || $1")
        assert await connection.fetchval("select $1::text", "cached") == "trap: cached"
        with pytest.raises(asyncpg.DivisionByZeroError):
            await pool.release(connection)
    for _ in range(20):
        async with pool.acquire() as connection:
            assert connection.get_server_pid() != trapped


async def test_what_a_request_leaves_on_its_session_is_gone_for_the_next(service: Service) -> None:
    pool = service.services.pool
    async with pool.acquire() as connection:
        first = connection.get_server_pid()
        await connection.execute("set search_path = pg_temp; set statement_timeout = 0; listen gossip;"
                                 " select pg_advisory_lock(42); set app.context = 'left'")  # fmt: skip
    async with pool.acquire() as connection:
        assert connection.get_server_pid() == first
        row = await connection.fetchrow(
            "select current_setting('search_path') as path, current_setting('statement_timeout') as timeout,"
            " current_setting('app.context', true) as context, array(select pg_listening_channels()) as channels"
        )
        assert tuple(row) == ("pg_catalog, public", "30s", "", [])


async def test_the_service_notifies_nobody_of_what_a_tenant_does(service: Service, target: Target) -> None:
    heard: list[object] = []
    connection = await asyncpg.connect(service.database.runtime_url)
    try:
        for channel in ("ch_pgqueuer", "documents", "audit", "retrieval", "identity", "tenancy"):
            await connection.add_listener(channel, lambda *message: heard.append(message))
        await ingest(service, target.victim, f"quiet-{uuid4()}", "Nobody hears of this.")
        await service.post("/retrieve", target.victim, "analyst", {"query": "What is heard?"})
        await connection.fetchval("select 1")
    finally:
        await connection.reset()
        await connection.close()
    assert not [message for message in heard if any(marker in str(message) for marker in target.markers)]
