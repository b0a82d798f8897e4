"""What a move leaves behind: an old copy from which erasures are carried out too, and no password that opens anything."""

import re

import asyncpg
import pytest

from backend.identity.callers.permissions import Role
from backend.operation.moving.replication import with_user
from tests.cells.test_commands_that_meet import begun, files, moving
from tests.cells.world import World, newest_note, sealed, working_tenant
from tests.factories import ingest
from tests.service import Service

pytestmark = [pytest.mark.anyio, pytest.mark.cells]

TEXTS = """
  select (select count(*) from documents.chunk where tenant_id = $1 and text like '%zebra%') as chunks,
    (select count(*) from documents.file where tenant_id = $1) as files,
    (select count(*) from audit.payload p join audit.data_key k using (tenant_id) where p.tenant_id = $1 and k.id = p.key_id and k.subject_id = $2) as texts,
    (select count(*) from audit.event where tenant_id = $1) as events
"""


async def test_what_is_erased_at_the_new_home_goes_from_the_old_copy_and_nothing_else_does(
    world: World, eu: Service, us: Service
) -> None:
    tenant, old, new = await working_tenant(world, eu, "eu-1"), world.cells["eu-1"], world.cells["us-1"]
    await eu.add_user(tenant, "privacy2", Role.PRIVACY)
    await ingest(eu, tenant, "zebra", "The zebra clause is confidential.")
    assert (await eu.post("/retrieve", tenant, "analyst", {"query": "the zebra clause"})).status_code == 200
    await sealed(old, tenant)
    await newest_note(old, tenant)
    await world.move(tenant, "us-1")
    analyst = await old.fetchval(
        'select id from identity."user" where tenant_id = $1 and username = $2', tenant.id, "analyst"
    )
    before = (await old.fetch(TEXTS, tenant.id, analyst))[0]
    assert (before["chunks"], before["files"]) == (1, 1)
    assert before["texts"] > 0
    assert files(old, tenant) != []

    listed = (await us.get("/documents", tenant, "editor")).json()
    by_name = {row["doc_id"]: row["id"] for row in listed["documents"]}
    for doc_id in ("zebra", "fees"):
        gone = await us.client.request(
            "DELETE",
            f"/documents/{by_name[doc_id]}",
            params={"reason": "erased"},
            headers=await us.as_user(tenant, "privacy"),
        )
        assert gone.status_code == 200, gone.text
    asked = await us.post(
        "/audit/erasures", tenant, "privacy", {"subject": "analyst", "legal_basis": "GDPR article 17"}
    )
    done = await us.post(f"/audit/erasures/{asked.json()['id']}/approval", tenant, "privacy2", None)
    assert done.status_code == 200, done.text

    assert (await old.fetch(TEXTS, tenant.id, analyst))[0] == before
    followed = await world.command("cell", "purge", "eu-1")
    assert (followed.returncode, tenant.slug in followed.stdout, '"kept":true' in followed.stdout) == (0, True, True)
    after = (await old.fetch(TEXTS, tenant.id, analyst))[0]
    assert tuple(after) == (0, 0, 0, before["events"])
    assert files(old, tenant) == []
    assert await old.fetchval("select count(*) from documents.chunk where tenant_id = $1", tenant.id) == 1
    assert await new.fetchval(
        "select count(*) from audit.event where tenant_id = $1 and position('\"followed\"' in envelope) > 0", tenant.id
    ) == 1  # fmt: skip


async def test_the_subscription_holds_the_password_of_a_role_that_only_reads_and_ends_with_the_move(
    world: World, eu: Service
) -> None:
    tenant, old, new = await working_tenant(world, eu, "eu-1"), world.cells["eu-1"], world.cells["us-1"]
    async with begun(world) as signing, moving(signing, tenant, "us-1") as made:
        await made._check()
        await made._begin()
        held = await new.fetchval("select subconninfo from pg_subscription where subname = $1", f"move_{tenant.id.hex}")
        assert old.server.passwords.superuser not in held
        secret = re.search(r":([0-9a-f]{64})@", held)[1]  # type: ignore[index]
        url = with_user(old.database.superuser_url, f"move_{tenant.id.hex}", secret)
        reader = await asyncpg.connect(url)
        assert await reader.fetchval("select count(*) from documents.chunk where tenant_id = $1", tenant.id) == 2
        for statement in (
            "delete from documents.chunk", "insert into tenancy.cell (name) values ('x')", "update tenancy.tenant set name = ''",
            "create table public.x ()", "create role x", "set role affidavit_owner", "alter system set wal_level = minimal",
            "copy tenancy.tenant to program 'true'", "select pg_read_file('/etc/passwd')", "create publication x for all tables",
        ):  # fmt: skip
            with pytest.raises(asyncpg.PostgresError):
                await reader.execute(statement)
        await made._copy()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):  # what goes on is only the replication
            await reader.fetch("select from documents.chunk")
        await reader.close()
        await made._hand_over()
        await made._finish()
    assert await old.fetch("select from pg_roles where rolname like 'move%'") == []
    with pytest.raises(asyncpg.PostgresError):
        await asyncpg.connect(url)

    async with begun(world) as signing, moving(signing, tenant, "eu-1") as back:
        await back._check()
        await back._begin()
        assert len(await new.fetch("select from pg_roles where rolname like 'move%'")) == 1
        await back.abort()
    assert await new.fetch("select from pg_roles where rolname like 'move%'") == []


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("postgresql://u:p@a:5432,b:5433/d?target_session_attrs=read-write", "postgresql://m:s@a:5432,b:5433/d?target_session_attrs=read-write"),
        ("postgresql://a/d", "postgresql://m:s@a/d"),
        ("postgresql://u:p%40x@[::1]:5432/d?user=u&password=p&sslmode=verify-full", "postgresql://m:s@[::1]:5432/d?sslmode=verify-full"),
    ],
)  # fmt: skip
def test_only_who_connects_differs_in_the_address_of_a_move(url: str, given: str) -> None:
    assert with_user(url, "m", "s") == given
