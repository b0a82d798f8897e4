"""A database of an earlier release becomes one of this, whole or not at all, while it is used."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from backend import manifest, migration, policies
from backend.database import Connection
from backend.embedded_postgres import EmbeddedPostgres
from backend.ledger import verifier
from backend.migration import migrate, store_context_key
from backend.operation.rotation import add_context_key
from backend.operation.service import operator
from backend.self_check import check
from backend.shipped import newest_revision
from backend.tenancy import ContextSigner
from tests.ledger.sealed_log import SealedLog
from tests.releases.old_database import (
    CHECKPOINT_KEY,
    PAYLOAD_KEY,
    TENANT,
    WITHOUT_THE_MENDED_FUNCTION,
    old_database,
)
from tests.service import PASSWORD, Database, Secrets, Tenant, cloned_database, running, settings_for
from tests.serving import environment, eventually, started

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parent.parent
TABLES = (
    "select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " where n.nspname = any ($1) and c.relkind in ('r', 'p') and not c.relispartition order by 1"
)


@pytest.fixture
async def old(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    async with old_database(postgres, "of_0_1_0") as database:
        yield database


async def facts_of(database: Database) -> manifest.Facts:
    connection = await asyncpg.connect(database.runtime_url)
    try:
        return await manifest.found(connection)
    finally:
        await connection.close()


# The data of the old release hold an archived month that nobody archived: no event accounts for it, and that is named.
MADE_UP_ARCHIVE = "audit archives: one is in no event of its log"


async def problems_of(database: Database) -> list[str]:
    """What the self-check finds, but for the archive that the test's data only pretend."""
    connection = await asyncpg.connect(database.runtime_url)
    try:
        found = [f"{finding.check}: {finding.problem}" for finding in await check(connection) if finding.problem]
        return [problem for problem in found if not problem.startswith(MADE_UP_ARCHIVE)]
    finally:
        await connection.close()


async def tables_of(connection: Connection) -> list[str]:
    schemas = [schema for schema in policies.SCHEMAS if schema != "migration"]
    return [row["name"] for row in await connection.fetch(TABLES, schemas)]


async def rows_of(database: Database, columns: dict[str, list[str]] | None = None) -> dict[str, dict[str, list[str]]]:
    """The values of each table, column by column, as text; of all columns, or of those asked for that are still there."""
    connection = await asyncpg.connect(database.superuser_url)
    try:
        found: dict[str, dict[str, list[str]]] = {}
        for table in columns or await tables_of(connection):
            rows = [
                json.loads(row["row"])
                for row in await connection.fetch(f"select to_json(t)::text as row from {table} t")
            ]
            assert rows, f"{table} is empty"
            wanted = columns[table] if columns else list(rows[0])
            found[table] = {name: sorted(json.dumps(row[name]) for row in rows) for name in wanted if name in rows[0]}
        return found
    finally:
        await connection.close()


async def test_a_database_of_the_first_release_keeps_every_row_and_equals_a_fresh_one(
    old: Database, database: Database, model_home: Path, tmp_path: Path
) -> None:
    before = await rows_of(old)
    assert await asyncio.to_thread(migrate, old.owner_url) == []
    after = await rows_of(old, {table: list(columns) for table, columns in before.items()})
    gone = {f"{table}.{column}" for table in before for column in set(before[table]) - set(after[table])}
    assert gone <= {"audit.sealer.last_xid", "audit.sealer.last_event"}
    assert after == {
        table: {column: values for column, values in columns.items() if column in after[table]}
        for table, columns in before.items()
    }
    assert list(manifest.differences(await facts_of(old), await facts_of(database))) == []
    assert await problems_of(old) == []

    secrets = Secrets(payload_key=PAYLOAD_KEY)
    async with operator(old.owner_url) as acting:  # beside the key that the release before signed with
        await add_context_key(acting.connection, ContextSigner(secrets.context_key))
    async with running(settings_for(old, secrets, model_home), old) as service:
        owner = await asyncpg.connect(old.superuser_url)
        reviewer = await owner.fetchrow(
            "select t.id, u.id as compliance from tenancy.tenant t join identity.user u on u.tenant_id = t.id"
            " where t.slug = $1 and u.username = 'compliance'", TENANT
        )  # fmt: skip
        await owner.close()
        assert reviewer is not None
        tenant = Tenant(reviewer["id"], TENANT, "", {"compliance": reviewer["compliance"]})
        log = SealedLog(service, tenant, old, tmp_path, datetime(2026, 11, 28, 20, 41, 6, tzinfo=UTC))
        report = verifier.verify(await log.export(), CHECKPOINT_KEY)
        assert report.ok, "\n".join(report.lines())
        retrievals = await service.events(tenant, action="retrieval:executed")
        assert retrievals
        for event in retrievals:
            asked = {"reason": "Does it still find what it found?"}
            replay = await service.post(f"/audit/events/{event['id']}/replay", tenant, "compliance", asked)
            assert (replay.status_code, replay.json().get("outcome")) == (200, "equal"), replay.text
        answer = await service.post("/retrieve", tenant, "analyst", {"query": "What does a wire cost?"})
        assert answer.json()["contexts"][0]["doc_id"] == "fees"


async def test_a_database_that_lacks_a_mended_function_is_named_and_mended(old: Database) -> None:
    await asyncio.to_thread(migrate, old.owner_url)
    owner = await asyncpg.connect(old.owner_url)
    await owner.execute(WITHOUT_THE_MENDED_FUNCTION)
    await owner.close()
    (problem,) = await problems_of(old)
    assert "function audit.index_own_events(), definition: is not as shipped" in problem
    assert problem.endswith("run `affidavit migrate`")
    assert await asyncio.to_thread(migrate, old.owner_url) == []
    assert await problems_of(old) == []


async def test_a_migration_that_has_nothing_to_do_waits_for_nobody(
    database: Database, run_secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "PATIENCE_SECONDS", 0)
    somebody = await asyncpg.connect(database.superuser_url)
    try:
        async with somebody.transaction():
            for row in await somebody.fetch(TABLES, list(policies.SCHEMAS)):
                await somebody.execute(f"lock table {row['name']} in exclusive mode")  # only readers get by
            assert await asyncio.to_thread(migrate, database.owner_url) == []
            await store_context_key(database.owner_url, ContextSigner(run_secrets.context_key))
    finally:
        await somebody.close()


async def test_an_upgrade_that_is_killed_half_way_leaves_the_old_version(old: Database) -> None:
    before = await facts_of(old)
    watching = await asyncpg.connect(old.superuser_url)
    async with watching.transaction():
        await watching.execute(
            "select from audit.leaf"
        )  # the upgrade comes to this table after it has run the revisions
        upgrade = subprocess.Popen(  # noqa: ASYNC220 - starts at once
            [sys.executable, "-c", f"from backend.migration import migrate; migrate({old.owner_url!r})"],
            env=environment({}),
        )
        deadline = time.monotonic() + 60
        while not await watching.fetchval(
            "select exists (select from pg_locks where relation = 'audit.leaf'::regclass and not granted)"
        ):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        os.kill(upgrade.pid, signal.SIGKILL)
        upgrade.wait()
    assert await watching.fetchval("select version_num from migration.alembic_version") == "0006"
    await watching.close()
    assert await facts_of(old) == before
    assert await asyncio.to_thread(migrate, old.owner_url) == []


NEXT = """
from alembic import op

revision = "9998"
down_revision = "{before}"


def upgrade() -> None:
    op.execute("alter table documents.document add column more text")
"""


async def as_next_release(postgres: EmbeddedPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `migrate` that of a release after this one, with a column more and another policy on every question's way."""
    for name in ("migrations", "policies"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "migrations" / "versions" / "9998_next.py").write_text(NEXT.format(before=newest_revision()))
    for table in ("documents.chunk", "audit.event", "identity.user"):
        script = folder / "policies" / "tables" / f"{table}.sql"
        quoted = 'identity."user"' if table == "identity.user" else table
        script.write_text(
            f"{script.read_text()}create policy more on {quoted} for select to affidavit_sealer using (false);\n"
        )
    monkeypatch.setattr(migration, "shipped", lambda name: folder / name)
    monkeypatch.setattr(migration, "newest_revision", lambda: "9998")
    monkeypatch.setattr(migration, "last_release", newest_revision)
    monkeypatch.setattr(policies, "POLICIES", folder / "policies")
    async with cloned_database(postgres) as scratch:
        connection = await asyncpg.connect(scratch.owner_url)
        async with connection.transaction():
            await connection.execute("alter table documents.document add column more text")
            await policies.reapply(connection, everything=True)
        made = await manifest.found(connection)
        await connection.close()
    monkeypatch.setattr(manifest, "expected", lambda: made)


@pytest.mark.servers
async def test_an_upgrade_is_not_noticed_by_those_who_ask_meanwhile(
    postgres: EmbeddedPostgres, run_secrets: Secrets, model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cloned_database(postgres) as database:
        async with running(settings_for(database, run_secrets, model_home), database) as service:
            tenant = await service.create_tenant()
        settings = {
            "AFFIDAVIT_HOME": str(model_home),
            "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url,
            "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key,
            "AFFIDAVIT_PAYLOAD_KEY": run_secrets.payload_key,
            "AFFIDAVIT_JWT_PRIVATE_KEY": run_secrets.jwt_private_key,
        }
        with started("serve", settings=settings) as serving:
            await spoil_every_table(database)
            answers: list[int] = []
            asking = [asyncio.create_task(ask(serving.url, tenant, number, answers)) for number in range(4)]
            await served_more(answers, 20)
            for upgrade in ("this", "next"):
                if upgrade == "next":
                    shipped = manifest.expected()
                    await as_next_release(postgres, tmp_path, monkeypatch)
                assert await asyncio.to_thread(migrate, database.owner_url) == []
                await served_more(answers, 20)
            for task in asking:
                task.cancel()
            ended = await asyncio.gather(*asking, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended
            assert set(answers) == {200, 201}, Counter(answers)

            monkeypatch.setattr(manifest, "expected", lambda: shipped)  # code of this release again
            assert await problems_of(database) == []
            eventually(lambda: httpx.get(f"{serving.url}/ready").status_code == 200, 40, serving.written)
            await the_rule_of_two_releases(database)


async def served_more(answers: list[int], count: int) -> None:
    wanted = len(answers) + count
    async with asyncio.timeout(60):
        while len(answers) < wanted:
            await asyncio.sleep(0.05)


async def the_rule_of_two_releases(database: Database) -> None:
    """Code accepts a database of the next release, compares it with what that one shipped, and accepts none beyond."""
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("drop policy wall on documents.chunk")
        (problem,) = await problems_of(database)
        assert "table documents.chunk, policy wall: is missing" in problem
        await owner.execute("update migration.release set oldest = '9998'")
        assert any("no longer runs" in problem for problem in await problems_of(database))
    finally:
        await owner.close()


async def spoil_every_table(database: Database) -> None:
    """Leaves something on every table that a migration has to take away."""
    superuser = await asyncpg.connect(database.superuser_url)
    for table in await tables_of(superuser):
        await superuser.execute(f"create policy spoilt on {table} for select to affidavit_sealer using (false)")
    await superuser.close()


async def ask(url: str, tenant: Tenant, number: int, answers: list[int]) -> None:
    """Signs in, ingests, makes users and retrieves until cancelled, and keeps every status; what is not answered at all fails."""

    async def signed_in(client: httpx.AsyncClient, username: str) -> dict[str, str]:
        form = {"client_id": tenant.slug, "username": username, "password": PASSWORD}
        token = (await client.post("/auth/token", data=form)).raise_for_status().json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        editor, analyst, admin = [await signed_in(client, role) for role in ("editor", "analyst", "admin")]
        partner = {"Authorization": f"Bearer {tenant.partner_key}"}
        body: dict[str, Any] = {"chunk_text": "A wire costs $25.", "source_type": "policy", "metadata": {}}
        for turn in range(1_000_000):
            fresh = body | {"doc_id": f"wires-{number}-{turn}"}
            answers.append((await client.post("/ingest", json=fresh, headers=editor)).status_code)
            wanted = {"username": f"user-{number}-{turn}", "roles": ["analyst"]}
            answers.append((await client.post("/users", json=wanted, headers=admin)).status_code)
            found = [await client.post("/retrieve", json={"query": "a wire"}, headers=by) for by in (analyst, partner)]
            answers.extend(response.status_code for response in found)
