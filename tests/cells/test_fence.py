"""A cell refuses a tenant that is not at home there, in the database, whatever a process or injected SQL believes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.errors import NotAtHome
from backend.jobs.worker import Worker
from backend.tenancy import Claims, ContextSigner
from tests.factories import create_key
from tests.service import Database, Secrets, Service, Tenant, settings_for

pytestmark = pytest.mark.anyio

STATES = ("arriving", "leaving", "departed")


@asynccontextmanager
async def residing(database: Database, tenant: Tenant, state: str, epoch: int = 2) -> AsyncIterator[None]:
    """The tenant as the operator's command leaves it, until the block ends."""
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute(
            "insert into tenancy.residence (tenant_id, epoch, state, other_cell, purge_after)"
            " values ($1, $2, $3, 'another', case when $3 = 'departed' then now() + interval '1 day' end)",
            tenant.id, epoch, state,
        )  # fmt: skip
        yield
    finally:
        await owner.execute("delete from tenancy.residence where tenant_id = $1", tenant.id)
        await owner.close()


@pytest.mark.parametrize("state", STATES)
async def test_whoever_calls_for_an_absent_tenant_is_told_to_come_again(
    service: Service, tenant: Tenant, other_tenant: Tenant, database: Database, state: str
) -> None:
    key = {"Authorization": f"Bearer {(await create_key(service, tenant))['key']}"}
    token = await service.as_user(tenant, "analyst")
    async with residing(database, tenant, state):
        form = {"username": "analyst", "password": "x", "client_id": tenant.slug}
        answers = [
            await service.client.get("/auth/me", headers=token),
            await service.client.post("/retrieve", json={"query": "fees"}, headers=token),
            await service.client.get("/auth/me", headers=key),
            await service.client.post("/v1/embeddings", json={"model": "x", "input": "x"}, headers=key),
            await service.client.post("/auth/token", data=form),
            await service.client.get(f"/auth/oidc/{tenant.slug}/login"),
        ]
        assert [answer.status_code for answer in answers] == [503] * len(answers)
        assert {answer.headers["Retry-After"] for answer in answers} == {"1"}
        assert answers[0].json()["error"] == "tenant_moving"
        assert (await service.get("/auth/me", other_tenant, "analyst")).status_code == 200
    assert (await service.client.get("/auth/me", headers=token)).status_code == 200


async def test_a_context_of_another_epoch_is_refused(tenant: Tenant, database: Database, run_secrets: Secrets) -> None:
    signer = ContextSigner(run_secrets.context_key)
    runtime = await asyncpg.connect(database.runtime_url)

    async def accepted(epoch: int | None) -> bool:
        signed = signer.sign(Claims("r", tenant.id), runtime.get_server_pid(), epoch)
        async with runtime.transaction():
            await runtime.execute("select set_config('app.context', $1, true)", signed)
            try:
                async with runtime.transaction():
                    return bool(await runtime.fetchval("select tenancy.tenant_id()") == tenant.id)
            except asyncpg.PostgresError as error:
                if error.sqlstate != "AF421":
                    raise
                return False

    assert [await accepted(epoch) for epoch in (None, 1, 2, 3)] == [True, True, False, False]  # it never moved
    async with residing(database, tenant, "home", 3):
        assert [await accepted(epoch) for epoch in (None, 1, 2, 3, 4)] == [True, False, False, True, False]
    await runtime.close()


async def test_a_process_of_a_cell_works_in_the_database_of_that_name_only(
    tenant: Tenant, database: Database, run_secrets: Secrets
) -> None:
    owner, runtime = await asyncpg.connect(database.owner_url), await asyncpg.connect(database.runtime_url)

    async def accepted(cell: str | None) -> bool:
        signed = ContextSigner(run_secrets.context_key, cell).sign(Claims("r", tenant.id), runtime.get_server_pid())
        async with runtime.transaction():
            await runtime.execute("select set_config('app.context', $1, true)", signed)
            try:
                async with runtime.transaction():
                    return bool(await runtime.fetchval("select tenancy.tenant_id()") == tenant.id)
            except asyncpg.InvalidAuthorizationSpecificationError:
                return False

    assert [await accepted(cell) for cell in (None, "eu-1")] == [True, False]
    await owner.execute("insert into tenancy.cell (name) values ('eu-1')")
    assert [await accepted(cell) for cell in (None, "eu-1", "us-1")] == [True, True, False]
    await owner.execute("delete from tenancy.cell")
    await owner.close()
    await runtime.close()


async def test_a_transaction_that_began_before_the_fence_writes_nothing_behind_it(
    service: Service, tenant: Tenant, database: Database
) -> None:
    tenancy, own = service.services.tenancy, "select slug from tenancy.own_tenant()"
    claims = Claims(str(uuid7()), tenant.id, uuid4(), kind="user")
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(tenancy.transaction(claims))
        assert await connection.fetchval(own) == tenant.slug
        async with residing(database, tenant, "leaving"):
            with pytest.raises(asyncpg.PostgresError, match="not at home"):
                await connection.execute(own)


async def test_workers_take_no_job_of_an_absent_tenant(service: Service, tenant: Tenant, database: Database) -> None:
    began = await service.post("/audit/verifications", tenant, "compliance", {})
    assert began.status_code == 202, began.text
    worker = Worker(service.services.tenancy, service.services.job_handlers())
    async with residing(database, tenant, "leaving"):
        assert not await worker.work_once()
    assert await worker.work_once()


async def test_the_operator_changes_a_tenant_only_where_it_is_at_home(
    service: Service, tenant: Tenant, database: Database
) -> None:
    owner = await asyncpg.connect(database.owner_url)
    async with residing(database, tenant, "departed"):
        with pytest.raises(asyncpg.PostgresError, match="not at home"):
            await owner.execute("update tenancy.tenant set status = 'suspended' where id = $1", tenant.id)
        async with service.operator() as acting:
            with pytest.raises(NotAtHome):
                await acting.tenant(tenant.slug)
    await owner.close()


async def test_the_serving_roles_cannot_lift_the_fence(tenant: Tenant, database: Database) -> None:
    """As injected SQL: no right on what says where a tenant is at home, and no function that changes it."""
    home = f"('{tenant.id}', 2, 'home', 'another')"
    statements = (
        "select * from tenancy.residence",
        f"insert into tenancy.residence (tenant_id, epoch, state, other_cell) values {home}",
        f"update tenancy.residence set state = 'home' where tenant_id = '{tenant.id}'",
        f"delete from tenancy.residence where tenant_id = '{tenant.id}'",
        "truncate tenancy.residence",
        "drop table tenancy.residence",
        "insert into tenancy.cell (name) values ('another')",
        "alter table tenancy.residence disable row level security",
        f"select tenancy.has_left('{tenant.id}')",
        "select tenancy.not_at_home()",
        "create or replace function tenancy.is_home(tenant uuid, epoch bigint) returns boolean language sql as 'select true'",
    )
    async with residing(database, tenant, "departed"):
        for url in (database.runtime_url, database.operator_url, database.sealer_url):
            connection = await asyncpg.connect(url)
            for statement in statements:
                with pytest.raises(asyncpg.PostgresError):
                    await connection.execute(statement)
            await connection.close()
        runtime = await asyncpg.connect(database.runtime_url)
        for statement in (
            "select tenancy.is_home(gen_random_uuid())",
            "select tenancy.elsewhere()",
            "select tenancy.newcomers()",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await runtime.execute(statement)
        await runtime.close()


async def test_the_old_copy_of_a_log_goes_only_when_its_time_of_grace_is_over(
    tenant: Tenant, database: Database
) -> None:
    superuser = await asyncpg.connect(database.superuser_url)

    async def deletes() -> bool:
        undone = superuser.transaction()
        await undone.start()
        try:
            await superuser.execute("delete from audit.event where tenant_id = $1", tenant.id)
        except asyncpg.InsufficientPrivilegeError:
            return False
        finally:
            await undone.rollback()
        return True

    assert not await deletes()
    for state in STATES:
        async with residing(database, tenant, state):
            assert not await deletes()
    async with residing(database, tenant, "departed"):
        await superuser.execute("update tenancy.residence set purge_after = now() - interval '1 second'")
        assert await deletes()
    await superuser.close()


def test_settings_of_a_cell_need_a_directory(database: Database, run_secrets: Secrets, model_home: object) -> None:
    with pytest.raises(ValueError, match="DIRECTORY"):
        settings_for(database, run_secrets, model_home, cell="eu-1")  # type: ignore[arg-type]
