"""Rows that a caller may not see, and the same rows with other values: two states that differ in nothing else."""

import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from backend.database import Connection

SCHEMAS = (
    "('tenancy', 'identity', 'documents', 'retrieval', 'audit', 'storage', 'jobs', 'answers', 'evaluation', 'webhooks',"
    " 'sources')"
)

# Another value of the same type, near the first.
_OTHER = {
    "uuid": "(left({c}::text, 35) || translate(right({c}::text, 1), '0123456789abcdef', '123456789abcdef0'))::uuid",
    "text": "left({c}, -1) || case right({c}, 1) when 'x' then 'y' else 'x' end",
    "smallint": "{c} + 1",
    "integer": "{c} + 1",
    "bigint": "{c} + 1",
    "boolean": "not {c}",
    "date": "{c} + interval '1 month'",
    "timestamp with time zone": "case when {c} = 'infinity' then now() + interval '7 years' else {c} - interval '1 microsecond' end",
    "bytea": "sha256({c})",
    "jsonb": "case jsonb_typeof({c}) when 'object' then {c} || '{{\"another\": 1}}' else '[1]'::jsonb end",
    "text[]": "{c} || 'another'::text",
    "bigint[]": "{c} || 1::bigint",
    "bytea[]": "{c} || sha256('another')",
    "cidr[]": "{c} || '192.0.2.0/24'::cidr",
    "xid8": "({c}::text::bigint + 1)::text::xid8",
    "halfvec": "{c} + {c}",
    "sparsevec": "l2_normalize({c})",
}
# A value where there is none.
_ANY = {
    "uuid": "gen_random_uuid()", "text": "'any'", "smallint": "1", "integer": "1", "bigint": "1", "boolean": "false",
    "date": "date '2020-01-01'", "timestamp with time zone": "now()", "bytea": "sha256('any')", "jsonb": "'{{}}'::jsonb",
    "text[]": "'{{any}}'::text[]", "bigint[]": "'{{1}}'::bigint[]", "bytea[]": "array[sha256('any')]", "cidr[]": "'{{192.0.2.0/24}}'::cidr[]", "xid8": "'3'::xid8",
}  # fmt: skip
# An event's columns come out of its envelope.
_OTHER_ENVELOPE = (
    "(envelope::jsonb || jsonb_build_object('action', 'another', 'outcome', 'another', 'request_id', 'another',"
    " 'turn', gen_random_uuid(), 'conversation', gen_random_uuid(),"
    " 'answer', jsonb_build_object('model_served', 'another'),"
    " 'principal', jsonb_build_object('id', gen_random_uuid(), 'on_behalf_of', jsonb_build_object('subject', 'another'))))::text"
)


@dataclass(frozen=True)
class Table:
    """A table that the runtime role may read, with the columns of it that it may."""

    name: str
    columns: dict[str, str]  # to their types
    key: tuple[str, ...]
    generated: frozenset[str]
    judged: frozenset[str] = frozenset()  # columns that its policies look at
    indexed: frozenset[str] = frozenset()
    allowed: dict[str, tuple[str, ...]] = field(default_factory=dict)  # values that a check allows


async def readable_tables(witness: asyncpg.Connection) -> list[Table]:
    """Returns every table of tenants that the runtime role may read."""
    rows = await witness.fetch(
        f"""
        select c.oid::regclass::text as name,
          array_agg(quote_ident(a.attname) order by a.attnum) as columns,
          array_agg(format_type(a.atttypid, -1) order by a.attnum) as kinds,
          array_remove(array_agg(quote_ident(a.attname) order by a.attnum) filter (where a.attgenerated <> ''), null) as generated,
          (select array_agg(quote_ident(k.attname)) from pg_index i join pg_attribute k on k.attrelid = i.indrelid and k.attnum = any (i.indkey)
            where i.indrelid = c.oid and i.indisprimary and array_position(i.indkey::int[], k.attnum::int) < i.indnkeyatts) as key
        from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
        where n.nspname in {SCHEMAS} and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
          and has_column_privilege('affidavit_runtime', c.oid, a.attnum, 'select')
          and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id')
        group by c.oid order by 1
        """
    )
    policies = await witness.fetch(
        "select format('%I.%I', schemaname, tablename)::regclass::text as name, concat(qual, with_check) as says from pg_policies"
        " where 'affidavit_runtime' = any (roles)"
    )
    indexes = await witness.fetch(
        "select coalesce(pg_partition_root(indrelid), indrelid)::regclass::text as name, pg_get_indexdef(indexrelid) as says from pg_index"
    )
    checks = await witness.fetch(
        "select conrelid::regclass::text as name, pg_get_constraintdef(oid) as says from pg_constraint where contype = 'c'"
    )
    return [
        Table(
            row["name"], dict(zip(row["columns"], row["kinds"], strict=True)), tuple(row["key"] or ("tenant_id", "id")), frozenset(row["generated"] or ()),
            _named(row["columns"], [p["says"] for p in policies if p["name"] == row["name"]]),
            _named(row["columns"], [i["says"].split(" USING ")[1] for i in indexes if i["name"] == row["name"]]),
            {column: _allowed(column, [c["says"] for c in checks if c["name"] == row["name"]]) for column in row["columns"]},
        )
        for row in rows
    ]  # fmt: skip


def _named(columns: list[str], texts: list[str]) -> frozenset[str]:
    words = set(re.findall(r"\w+", " ".join(texts)))
    return frozenset(column for column in columns if column.strip('"') in words)


def _allowed(column: str, checks: list[str]) -> tuple[str, ...]:
    listed = [check for check in checks if check.startswith(f"CHECK (({column} = ANY (ARRAY[")]
    return tuple(part.split("'")[1] for check in listed for part in check.split("ARRAY[")[1].split("]")[0].split(","))


@dataclass
class HiddenRow:
    """A row in two states: under each, the value of every column as a text, or None."""

    table: Table
    whose: str
    now: dict[str, str | None]
    other: dict[str, str | None]

    def literals(self, column: str) -> tuple[str, str] | None:
        """Returns the value that the column has in this state and that in the other, as literals, if there are two."""
        now, other, kind = self.now[column], self.other[column], self.table.columns[column]
        if now is None or other is None or now == other:
            return None
        return quoted(now, kind), quoted(other, kind)

    async def exchange(self, witness: asyncpg.Connection) -> None:
        """Brings the row from one state into the other, but for what policies look at: they would tell by how far they are asked."""
        kept = self.table.judged | self.table.generated
        settable = [column for column in self.now if self.now[column] != self.other[column] and column not in kept]
        if settable:
            done = await witness.execute(_update(self.table, self.now, {c: self.other[c] for c in settable}))
            assert done == "UPDATE 1", (self.table.name, self.whose, done)
        for column in self.now:
            if column not in self.table.judged:
                self.now[column], self.other[column] = self.other[column], self.now[column]


def quoted(value: str, kind: str) -> str:
    return "'" + value.replace("'", "''") + f"'::{kind}"


def _update(table: Table, key_of: dict[str, str | None], values: dict[str, str | None]) -> str:
    def literal(column: str, value: str | None) -> str:
        return "null" if value is None else quoted(value, table.columns[column])

    assignments = ", ".join(f"{column} = {literal(column, value)}" for column, value in values.items())
    key = " and ".join(f"{column} = {literal(column, key_of[column])}" for column in table.key)
    return f"update {table.name} set {assignments} where {key}"


async def keys_of(connection: Connection, table: Table) -> set[str]:
    """Returns the keys of all rows that a connection sees."""
    rows = await connection.fetch(f"select row({', '.join(table.key)})::text from {table.name}")
    return {row[0] for row in rows}


async def _row(witness: asyncpg.Connection, table: Table, key: str) -> dict[str, str | None]:
    texts = ", ".join(f"{column}::text" for column in table.columns)
    row = await witness.fetchrow(f"select {texts} from {table.name} where row({', '.join(table.key)})::text = $1", key)
    assert row is not None
    return dict(zip(table.columns, row, strict=True))


@asynccontextmanager
async def _undone(witness: asyncpg.Connection) -> AsyncIterator[None]:
    transaction = witness.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def in_two_states(
    witness: asyncpg.Connection, table: Table, key: str, whose: str, *, columns: set[str]
) -> HiddenRow:
    """Finds another value for as many of the columns as the table's constraints let change together."""
    now = await _row(witness, table, key)
    changed: dict[str, str | None] = {}
    async with _undone(witness):
        current = dict(now)
        for column in table.columns:
            if column not in columns or column in table.generated:
                continue
            for expression in _candidates(table, column, now[column]):
                try:
                    async with witness.transaction():
                        value = await witness.fetchval(
                            f"select ({expression.format(c=_of(now, table, column))})::{table.columns[column]}::text"
                        )
                        await witness.execute(_update(table, current, {column: value}))
                except asyncpg.PostgresError:
                    continue
                changed[column] = current[column] = value
                break
        other = await _row(witness, table, await _key_text(witness, table, current))
    return HiddenRow(table, whose, now, other)


async def _key_text(witness: asyncpg.Connection, table: Table, values: dict[str, str | None]) -> str:
    literals = ", ".join(quoted(values[column] or "", table.columns[column]) for column in table.key)
    text: str = await witness.fetchval(f"select row({literals})::text")
    return text


def _of(now: dict[str, str | None], table: Table, column: str) -> str:
    value = now[column]
    return "null" if value is None else quoted(value, table.columns[column])


def _candidates(table: Table, column: str, value: str | None) -> list[str]:
    kind = table.columns[column]
    listed = [f"'{allowed}'" for allowed in table.allowed.get(column, ()) if allowed != value]
    if column == "envelope":
        return [_OTHER_ENVELOPE.replace("envelope", "({c})").replace("{}", "{{}}")]
    if value is None:
        return [*listed, *([_ANY[kind]] if kind in _ANY else [])]
    return [*listed, *([_OTHER[kind]] if kind in _OTHER else [])]


_REQUIRED_BY_CHECKS = {
    "evaluation.change": {"support_levels": "'{verbatim}'"},
    "evaluation.result": {"failure": "'any'"},
    "webhooks.delivery": {"next_attempt_at": "now()"},
    "sources.item": {"key": "'a'"},
}


async def add_row(witness: asyncpg.Connection, table: Table, tenant_id: UUID) -> None:
    """Adds a row of a tenant to a table, of values that its checks allow."""
    required = await witness.fetch(
        "select quote_ident(attname) as name, format_type(atttypid, -1) as kind from pg_attribute"
        " where attrelid = $1::regclass and attnum > 0 and attnotnull and not attisdropped and attgenerated = ''",
        table.name,
    )
    values = {
        row["name"]: quoted(str(tenant_id), "uuid")
        if row["name"] == "tenant_id"
        else _any_value(table, row["name"], row["kind"])
        for row in required
    } | _REQUIRED_BY_CHECKS.get(table.name, {})
    await witness.execute(f"insert into {table.name} ({', '.join(values)}) values ({', '.join(values.values())})")


async def fill_nulls(witness: asyncpg.Connection, table: Table, tenant_ids: list[UUID]) -> None:
    """Gives a value to all columns of a tenant's rows that have none, as far as the table's constraints allow."""
    for column, kind in table.columns.items():
        if column in table.generated or kind not in _ANY:
            continue
        values = [f"'{allowed}'" for allowed in table.allowed.get(column, ())] or [_ANY[kind]]
        value = values[0].replace("{{", "{").replace("}}", "}")
        with contextlib.suppress(asyncpg.PostgresError):
            await witness.execute(
                f"update {table.name} set {column} = {value} where {column} is null and tenant_id = any ($1)",
                tenant_ids,
            )


def _any_value(table: Table, column: str, kind: str) -> str:
    if allowed := table.allowed.get(column):
        return f"'{allowed[0]}'"
    if (table.name, column) == ("jobs.job", "kind"):
        return "'file:ingest'"
    if (table.name, column) == ("evaluation.question_set", "questions"):
        return "'[]'"
    if (table.name, column) == ("audit.declaration", "lost_until"):
        return "2"  # more than its size
    return _ANY.get(kind, "null").replace("{{", "{").replace("}}", "}")
