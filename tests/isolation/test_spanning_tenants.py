"""Nothing that PostgreSQL keeps or plans for all tenants tells one of another: plans, statistics, indexes, policies."""

import re
from uuid import UUID, uuid4

import asyncpg
import pytest

from backend.database import Connection
from tests.isolation.injection import SCHEMAS, Target, acting, injected
from tests.service import Service

pytestmark = pytest.mark.anyio


async def test_another_tenants_values_make_no_difference_that_explain_would_show(
    service: Service, target: Target, witness: asyncpg.Connection
) -> None:
    """For each column that the runtime role may compare: a value that another tenant has, and one that nobody has."""
    caller = await acting(service, target.tenant, "admin")
    columns = await witness.fetch(
        f"""
        select a.attrelid::regclass::text as table, quote_ident(a.attname) as column, format_type(a.atttypid, a.atttypmod) as type
        from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in {SCHEMAS} and c.relkind in ('r', 'p')
          and not c.relispartition and a.attnum > 0 and not a.attisdropped
          and a.atttypid in ('uuid'::regtype, 'text'::regtype, 'integer'::regtype, 'bigint'::regtype, 'timestamptz'::regtype)
          and has_column_privilege('affidavit_runtime', a.attrelid, a.attnum, 'select')
          and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname in ('tenant_id'))
        """
    )
    compared = 0
    async with injected(service, caller) as connection:
        for column in columns:
            table, name, kind = column["table"], column["column"], column["type"]
            pair = await witness.fetchrow(
                f"""
                select v.taken::text, v.free::text
                from (select {name} as taken, {NEIGHBOURS[kind].format(name)} as free from {table} where tenant_id = $1) v
                where v.taken is not null and not exists (select from {table} where tenant_id = $2 and {name} in (v.taken, v.free))
                  and not exists (select from {table} where tenant_id = $1 and {name} = v.free)
                limit 1
                """,
                target.victim.id, target.tenant.id,
            )  # fmt: skip
            if pair is None:
                continue
            for condition in CONDITIONS:
                for setting in ("enable_seqscan", "enable_bitmapscan", "enable_indexscan"):
                    what = f"{table} where {condition.format(name, '{0}')}"
                    for _ in range(3):
                        plans = [
                            await _explain(connection, what, pair[value], kind, setting) for value in ("taken", "free")
                        ]
                        # A scan marks index entries of own rows that it finds dead, and the next passes over them: such a
                        # difference is gone the next time, while one that another tenant's row makes would stay.
                        if plans[0] == plans[1]:
                            break
                    assert plans[0] == plans[1], f"{table}.{name} {condition}"
                    compared += 1
    assert compared > 200


# The next value: whatever finds, counts or passes over a row that has the one would not do so for the other.
NEIGHBOURS = {
    "uuid": "(left({0}::text, 35) || translate(right({0}::text, 1), '0123456789abcdef', '123456789abcdef0'))::uuid",
    "text": "{0} || '~'",
    "integer": "{0} + 1",
    "bigint": "{0} + 1",
    "timestamp with time zone": "{0} + interval '1 microsecond'",
}
CONDITIONS = (
    "{0} = {1}", "({0} = {1}) is true", "{0} in ({1}, {1})", "{0} <= {1}", "{0} >= {1}", "{0} between {1} and {1}",
    "({0} = {1}) is not false and tenant_id is not null",
)  # fmt: skip


async def _explain(connection: Connection, what: str, value: str, kind: str, disabled: str) -> list[str]:
    literal = "'" + value.replace("'", "''") + f"'::{kind}"
    await connection.execute(f"set local {disabled} = off")
    rows = await connection.fetch(
        "explain (analyze, buffers off, timing off, summary off) select 1 from " + what.format(literal)
    )
    await connection.execute(f"set local {disabled} = on")
    return [re.sub(r"'.*'|(?<=[=<>] )\d+", "VALUE", row[0]) for row in rows]


async def test_a_write_of_another_tenant_shows_no_more_than_that_a_page_was_written(
    service: Service, target: Target, witness: asyncpg.Connection
) -> None:
    """Rows of tenants share pages, and an index-only scan must visit those that were written since they were vacuumed."""
    caller = await acting(service, target.tenant, "admin")

    await witness.execute("vacuum analyze documents.collection")
    async with injected(service, caller) as connection:

        async def after_writing_by(writer: UUID) -> list[str]:
            await witness.execute("update documents.collection set name = name where tenant_id = $1", writer)
            what = "documents.collection where tenant_id is not null and id <> {0}"
            return await _explain(connection, what, target.names["victim_collection"], "uuid", "enable_seqscan")

        await connection.execute("set local enable_bitmapscan = off")
        nobody, others, own = [
            await after_writing_by(writer) for writer in (uuid4(), target.victim.id, target.tenant.id)
        ]
    assert any("Index Only Scan" in line for line in nobody), nobody
    assert nobody != others == own


async def test_no_column_of_a_tenants_table_has_statistics_that_span_tenants(
    target: Target, witness: asyncpg.Connection
) -> None:
    kept = await witness.fetch(f"select schemaname, tablename, attname from pg_stats where schemaname in {SCHEMAS}")
    assert target.markers
    assert kept == []


async def test_no_index_that_the_runtime_role_can_ask_spans_tenants(
    target: Target, witness: asyncpg.Connection
) -> None:
    """Otherwise `EXPLAIN ANALYZE` counts what the policy removed from it: an oracle for other tenants' values."""
    spanning = await witness.fetch(
        f"""
        select i.indexrelid::regclass::text from pg_index i
        join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
        left join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        where n.nspname in {SCHEMAS}
          and a.attname is distinct from 'tenant_id'
          and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id')
          and (coalesce(pg_get_expr(c.relpartbound, c.oid), '') not like 'FOR VALUES IN%'
            or pg_get_expr(c.relpartbound, c.oid) like '%00000000-0000-0000-0000-000000000000%')
          and (a.attname is null or has_column_privilege('affidavit_runtime', c.oid, a.attnum, 'select'))
        """
    )
    assert target.markers
    assert spanning == []


# What the runtime role adds to and is no tenant's: which models embed texts. Whether one is there tells only that somebody configured it.
OF_NO_TENANT = {"retrieval.embedder"}


async def test_no_rule_of_a_table_that_the_runtime_role_writes_spans_tenants(
    target: Target, witness: asyncpg.Connection
) -> None:
    """Otherwise its own row is refused because of another tenant's: that a name is taken there, or that an id is there to refer to."""
    rules = await witness.fetch(
        f"""
        with written as (
          select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname in {SCHEMAS} and c.relkind in ('r', 'p') and not c.relispartition
            and (has_any_column_privilege('affidavit_runtime', c.oid, 'insert')
              or has_any_column_privilege('affidavit_runtime', c.oid, 'update'))
        ), tenant as (
          select a.attrelid as table, a.attnum as column from pg_attribute a where a.attname = 'tenant_id'
          union all select 'tenancy.tenant'::regclass, a.attnum from pg_attribute a
          where a.attrelid = 'tenancy.tenant'::regclass and a.attname = 'id'
        )
        select w.oid::regclass::text as table, i.indexrelid::regclass::text as rule,
          exists (select from tenant t where t.table = w.oid and t.column = any (i.indkey[0:i.indnkeyatts - 1])) as within_one
        from written w join pg_index i on i.indrelid = w.oid and (i.indisunique or i.indisexclusion)
        union all
        select w.oid::regclass::text, k.conname || ' to ' || k.confrelid::regclass::text,
          exists (select from unnest(k.conkey, k.confkey) as pair (own, other)
            join tenant t on t.table = w.oid and t.column = pair.own
            join tenant o on o.table = k.confrelid and o.column = pair.other)
          -- A list that is the same for all of them tells of nobody.
          or k.confrelid not in (select oid from written) and k.confrelid not in (select t.table from tenant t)
        from written w join pg_constraint k on k.conrelid = w.oid and k.contype = 'f'
        """
    )
    assert target.markers
    assert len(rules) > 60
    assert {rule["table"] for rule in rules if not rule["within_one"]} == OF_NO_TENANT


async def test_every_policy_of_the_runtime_role_starts_with_the_tenant(
    witness: asyncpg.Connection, target: Target
) -> None:
    """A policy that only reaches the tenant through an `or` leaves an index to the attacker's conditions alone."""
    policies = await witness.fetch(
        """
        select p.polrelid::regclass::text || ' ' || p.polname as name,
          pg_get_expr(coalesce(p.polqual, p.polwithcheck), p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as checked
        from pg_policy p where 'affidavit_runtime'::regrole = any (p.polroles)
          and exists (select from pg_attribute t where t.attrelid = p.polrelid and t.attname = 'tenant_id')
        """
    )
    assert len(policies) > 30
    tenant_first = "(tenant_id = ( SELECT tenancy.tenant_id() AS tenant_id))"
    at_once = "((tenant_id, COALESCE((principal_id)::text, ''::text), request_id) = ( SELECT ((c.c ->> 'tenant'::text))::uuid AS uuid,"
    loose = [
        row["name"]
        for row in policies
        for text in (row["using"], row["checked"])
        if text is not None and not (text == tenant_first or text.startswith((f"({tenant_first} AND ", at_once)))
    ]
    assert target.markers
    assert loose == []
