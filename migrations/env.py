"""Applies the revisions and then policies/, in one transaction, as the owner role."""

import asyncio
import os
from pathlib import Path

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

from backend.self_check import KEEP_PRIVILEGES

POLICIES = Path(__file__).resolve().parent.parent / "policies"
SCHEMAS = ("migration", "tenancy", "identity", "documents", "retrieval", "audit", "storage", "jobs")

# Whatever policies/ does not say is not allowed: start from nothing, so that a removed file leaves nothing behind.
REVOKE_EVERYTHING = """
do $$
declare
  item record;
  roles text := 'public, affidavit_runtime, affidavit_sealer, affidavit_operator';
begin
  for item in select schemaname, tablename, policyname from pg_policies where schemaname = any ('{schemas}') loop
    execute format('drop policy %I on %I.%I', item.policyname, item.schemaname, item.tablename);
  end loop;
  for item in select nspname from pg_namespace where nspname = any ('{schemas}') loop
    execute format('revoke all on schema %I from %s', item.nspname, roles);
    execute format('revoke all on all tables in schema %I from %s', item.nspname, roles);
    execute format('revoke all on all sequences in schema %I from %s', item.nspname, roles);
    execute format('revoke all on all routines in schema %I from %s', item.nspname, roles);
  end loop;
end
$$;
"""

# One wall around every table, whatever its own policies allow. With theirs it names the tenant twice, so PostgreSQL
# compares both before it reads a row; otherwise EXPLAIN ANALYZE shows "never executed" where no row of any tenant meets
# a condition of the attacker's, which may be evaluated first when its operator is leakproof.
WALL = """
do $$
declare
  relation regclass;
begin
  for relation in
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
    where n.nspname = any ('{schemas}') and c.relkind in ('r', 'p') and not c.relispartition
  loop
    -- What every question adds to the log is checked by the one policy that lets it: to ask the context again for the wall
    -- took a tenth of the statement.
    if relation in ('audit.event'::regclass, 'audit.payload'::regclass, 'audit.unindexed'::regclass) then
      execute format('create policy wall on %s as restrictive for select to affidavit_runtime using '
        '(tenant_id = (select tenancy.tenant_id()))', relation);
      execute format('create policy wall_delete on %s as restrictive for delete to affidavit_runtime using '
        '(tenant_id = (select tenancy.tenant_id()))', relation);
    else
      execute format('create policy wall on %s as restrictive to affidavit_runtime using '
        '(tenant_id = (select tenancy.tenant_id()))', relation);
    end if;
  end loop;
end
$$;
"""

# The planner's statistics span tenants, and EXPLAIN would tell by its estimates what common values and bounds they hold.
# Partitions of one tenant (those by list, but for the shared one) keep theirs.
KEEP_NO_STATISTICS = """
do $$
declare
  item record;
begin
  for item in
    select a.attrelid::regclass as relation, a.attname as name
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any ('{schemas}') and c.relkind in ('r', 'p')
      and (coalesce(pg_get_expr(c.relpartbound, c.oid), '') not like 'FOR VALUES IN%'
        or pg_get_expr(c.relpartbound, c.oid) like '%00000000-0000-0000-0000-000000000000%')
      and a.attnum > 0 and not a.attisdropped and a.attstattarget is distinct from 0
  loop
    execute format('alter table %s alter column %I set statistics 0', item.relation, item.name);
  end loop;
end
$$;
"""


# A tenant whose time of grace is over is deleted by the owner, who can read and delete then what it else cannot. The record
# stays, as it was sealed; the texts that it commits to go, once their retention is over.
LET_TENANTS_BE_PURGED = """
do $$
declare
  item record;
begin
  for item in
    select c.oid::regclass as relation, c.oid = 'audit.event'::regclass as stays
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    where n.nspname = any ('{schemas}') and c.relkind in ('r', 'p') and not c.relispartition and a.attname = 'tenant_id'
      and (n.nspname <> 'audit' or c.relname not in ('event_document', 'log', 'leaf', 'node', 'checkpoint', 'archive'))
  loop
    execute format('create policy purged_select on %s for select to affidavit_owner
      using (tenant_id in (select tenancy.purgeable_tenants()))', item.relation);
    if not item.stays then
      execute format('create policy purged on %s for delete to affidavit_owner
        using (tenant_id in (select tenancy.purgeable_tenants()))', item.relation);
    end if;
  end loop;
end
$$;
"""


def run_script(connection: Connection, script: str) -> None:
    """Runs several statements at once in the open transaction; asyncpg's prepared statements take only one."""
    driver = connection.connection.driver_connection
    assert driver is not None
    await_only(driver.execute(script))


def migrate(connection: Connection) -> None:
    connection.execute(text("create schema if not exists migration"))
    connection.execute(
        text("create table if not exists migration.privilege (what text, how text, primary key (what, how))")
    )
    context.configure(connection=connection, transactional_ddl=True, version_table_schema="migration")
    with context.begin_transaction():
        connection.execute(text("set local lock_timeout = '5s'"))
        connection.execute(text("set local statement_timeout = '15min'"))
        connection.execute(text("select pg_advisory_xact_lock(hashtext('affidavit migrate'))"))
        context.run_migrations()
        run_script(connection, REVOKE_EVERYTHING.replace("{schemas}", "{" + ",".join(SCHEMAS) + "}"))
        for path in sorted(POLICIES.glob("*.sql")):
            run_script(connection, path.read_text())
        run_script(connection, LET_TENANTS_BE_PURGED.replace("{schemas}", "{" + ",".join(SCHEMAS) + "}"))
        run_script(connection, WALL.replace("{schemas}", "{" + ",".join(SCHEMAS) + "}"))
        run_script(connection, KEEP_NO_STATISTICS.replace("{schemas}", "{" + ",".join(SCHEMAS) + "}"))
        run_script(connection, KEEP_PRIVILEGES)


async def main() -> None:
    url = context.config.attributes.get("owner_url") or os.environ["AFFIDAVIT_DATABASE_URL"]
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(main())
