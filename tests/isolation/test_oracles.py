"""No statement tells one state of a hidden row from another: not by rows, errors, or what EXPLAIN ANALYZE shows as executed."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.database import Connection
from backend.identity.callers.caller import Caller, Origin
from backend.self_check import check_conditions
from tests import factories
from tests.factories import ingest
from tests.isolation import oracles
from tests.isolation.findings import Findings
from tests.isolation.hidden_rows import (
    HiddenRow,
    Table,
    add_row,
    fill_nulls,
    in_two_states,
    keys_of,
    quoted,
    readable_tables,
)
from tests.isolation.oracles import Column, Observation, Oracle
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

ROLES = ("analyst", "partner", "editor", "approver", "compliance", "privacy", "admin")
ANOTHERS, OWN = "another tenant", "its own tenant"
SEED = 20261128


@dataclass(frozen=True)
class Ground:
    """Two tenants with rows in every table, the superuser who changes them, and what the tables are."""

    service: Service
    attacker: Tenant
    victim: Tenant
    witness: asyncpg.Connection
    tables: list[Table]
    callers: dict[
        str, Caller
    ]  # of the attacker's tenant, by role: resolved once, since their own secrets are exchanged too
    connection: asyncpg.Connection  # of the runtime role


@pytest.fixture(scope="module")
async def ground(service: Service, tenant: Tenant, other_tenant: Tenant) -> AsyncIterator[Ground]:
    for whose in (tenant, other_tenant):
        await _history(service, whose)
    witness = await asyncpg.connect(service.database.superuser_url)
    await witness.execute("set session_replication_role = replica; set search_path = pg_catalog, public")
    tables = await readable_tables(witness)
    for table in tables:
        await witness.execute(f"alter table {table.name} disable trigger all")
        for whose in (tenant, other_tenant):
            if not await witness.fetchval(f"select exists (select from {table.name} where tenant_id = $1)", whose.id):
                await add_row(witness, table, whose.id)
    callers = {role: await _caller(service, tenant, role) for role in ROLES}
    for table in tables:
        await fill_nulls(witness, table, [tenant.id, other_tenant.id])
    await witness.execute("vacuum analyze")
    connection = await asyncpg.connect(service.database.runtime_url, statement_cache_size=0)
    yield Ground(service, tenant, other_tenant, witness, tables, callers, connection)
    await connection.close()
    await witness.close()


async def _history(service: Service, tenant: Tenant) -> None:
    """Documents in force, superseded, waiting and in a collection of few; and everybody has signed in and asked."""
    await factories.create_collection(service, tenant)
    await factories.approved(service, tenant, "fees", "The fee is nine dollars.")
    await factories.approved(service, tenant, "fees", "The fee is eight dollars.")
    await factories.submit(service, tenant, "fees", "The fee will be seven dollars.")
    await ingest(service, tenant, "merger", "Nightingale buys Harbor.", source_type="memo", collection="restricted")
    for someone in ROLES:
        await service.post("/retrieve", tenant, someone, {"query": "What is the fee?"})


async def _caller(service: Service, tenant: Tenant, role: str) -> Caller:
    credential = (await service.as_user(tenant, role))["Authorization"].removeprefix("Bearer ")
    caller: Caller = await service.services.resolver.resolve(credential, Origin(str(uuid7())))
    return caller


@asynccontextmanager
async def _injected(ground: Ground, role: str) -> AsyncIterator[Connection]:
    """A connection on which SQL is run in the transaction of a caller."""
    async with ground.connection.transaction():
        await ground.service.services.tenancy.bind(ground.connection, ground.callers[role].claims())
        yield ground.connection


async def _outcome(connection: Connection, oracle: Oracle) -> Observation:
    """Runs one statement as EXPLAIN ANALYZE, or as its shape says, and takes everything back."""
    statement = oracle.statement()
    explain = "explain (analyze, costs off, timing off, summary off, buffers off) "
    kind, _, rest = statement.partition(": ")
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        if oracle.setting:
            await connection.execute(f"set local {oracle.setting}")
        if kind == "cursor":
            await connection.execute(f"declare peek cursor for {rest}")
            return Observation((str(len(await connection.fetch("fetch all from peek"))),))
        if kind == "prepared":
            await connection.execute(f"prepare peek as {rest}")
            rows = await connection.fetch(f"{explain} execute peek")
        else:
            rows = await connection.fetch(explain + statement)
        return Observation.of_plan([row[0] for row in rows])
    except asyncpg.PostgresError as error:
        return Observation((type(error).__name__, *_said(error)))
    finally:
        await savepoint.rollback()
        if kind == "prepared":
            await connection.execute("deallocate all")


def _said(error: asyncpg.PostgresError) -> tuple[str, ...]:
    return (str(error), str(getattr(error, "detail", "")), str(getattr(error, "hint", "")))


async def _outcomes(ground: Ground, role: str, asked: list[Oracle]) -> list[Observation]:
    async with _injected(ground, role) as connection:
        return [await _outcome(connection, oracle) for oracle in asked]


@dataclass(frozen=True)
class Leak:
    """A statement that told the states of a hidden row apart. `counted` says that only what was counted did."""

    role: str
    whose: str
    oracle: Oracle
    counted: bool
    states: tuple[Observation, Observation]

    def __str__(self) -> str:
        return f"{self.role} learns of {self.whose}: {self.oracle}"


async def _leaks(ground: Ground, role: str, row: HiddenRow, asked: list[Oracle], others: list[Oracle]) -> list[Leak]:
    """Asks in one state, in the other and in the first again; what differs must do so twice, since pages change meanwhile.

    `others` are the same statements for the other state. They ask in it for the value that the row has in the first one, but of
    columns that stay as they are for another value.
    """
    first = await _outcomes(ground, role, asked)
    await row.exchange(ground.witness)
    second = await _outcomes(ground, role, others)
    await row.exchange(ground.witness)
    suspects = [n for n, outcome in enumerate(first) if outcome != second[n]]
    if not suspects:
        return []
    again = await _outcomes(ground, role, [asked[n] for n in suspects])
    return [
        Leak(role, row.whose, asked[n], counted=first[n].shown == second[n].shown, states=(first[n], second[n]))
        for n, outcome in zip(suspects, again, strict=True)
        if outcome.shown != second[n].shown
        or (first[n].shown == second[n].shown and outcome.counted == first[n].counted)
    ]


async def _hidden(ground: Ground, role: str, table: Table) -> list[HiddenRow]:
    """Rows of a table that a caller does not see: one of another tenant, and the first and last of its own."""
    async with _injected(ground, role) as connection:
        seen = await keys_of(connection, table)
    found: list[HiddenRow] = []
    for whose, tenant in ((ANOTHERS, ground.victim), (OWN, ground.attacker)):
        keys = await ground.witness.fetch(
            f"select row({', '.join(table.key)})::text from {table.name} where tenant_id = $1 order by 1", tenant.id
        )
        hidden = [key[0] for key in keys if key[0] not in seen]
        for key in dict.fromkeys([*hidden[:1], *(hidden[-1:] if whose == OWN else ())]):
            row = await in_two_states(ground.witness, table, key, whose, columns=set(table.columns) - {"tenant_id"})
            if await _stays_hidden(ground, role, row, seen):
                found.append(row)
    return found


async def _stays_hidden(ground: Ground, role: str, row: HiddenRow, seen: set[str]) -> bool:
    await row.exchange(ground.witness)
    try:
        async with _injected(ground, role) as connection:
            return await keys_of(connection, row.table) == seen
    finally:
        await row.exchange(ground.witness)


async def _columns(ground: Ground, row: HiddenRow) -> list[tuple[Column, Column]]:
    """Returns columns with a value that no other row has, and what to ask for in the other state.

    That is the same, but for columns that policies look at: those keep their value, and are asked for another.
    """
    found = []
    tenant = quoted(row.now["tenant_id"] or "", "uuid")
    holding = "select count(*) from {0} where {1} = {2}"
    for name, kind in row.table.columns.items():
        literals = row.literals(name)
        if kind == "boolean" or literals is None:
            continue
        now, other = (Column(row.table.name, name, kind, literal, tenant) for literal in literals)
        alone = [
            await ground.witness.fetchval(holding.format(row.table.name, name, literal)) for literal in literals
        ] == [1, 0]
        fresh = await ground.witness.fetchval(holding.format(row.table.name, name, other.literal)) == 0
        if name in row.table.judged:
            found += [(now, other)] if alone else []
        elif fresh:
            found.append((now, now) if alone else (other, other))
    return found


@dataclass
class Tally:
    """How much was asked, and what came of it."""

    leaks: list[Leak]
    statements: int = 0
    columns: int = 0
    rows: int = 0


async def _ask(ground: Ground, pairs: Iterable[tuple[str, Table]], number: int) -> Tally:
    """Asks about every column of hidden rows: each role about the table that it comes with."""
    tally = Tally([])
    chance = random.Random(SEED)
    for role, table in pairs:
        for row in await _hidden(ground, role, table):
            columns = await _columns(ground, row)
            asked = [
                (oracle, replace(oracle, column=elsewhere))
                for column, elsewhere in columns
                for oracle in oracles.sample(column, number, chance)
            ]
            tally.leaks += await _leaks(ground, role, row, [here for here, _ in asked], [there for _, there in asked])
            tally.statements += len(asked)
            tally.columns += len(columns)
            tally.rows += 1
    return tally


def _through_an_index(ground: Ground, leak: Leak) -> bool:
    """README says so: an index tells of its own tenant's rows what it holds."""
    table = next(table for table in ground.tables if table.name == leak.oracle.column.table)
    return leak.whose == OWN and (leak.counted or leak.oracle.column.name in table.indexed)


@pytest.mark.parametrize("part", [3, pytest.param(1, marks=pytest.mark.slow)])
async def test_no_statement_tells_the_states_of_a_hidden_row_apart(
    ground: Ground, findings: Findings, request: pytest.FixtureRequest, part: int
) -> None:
    """Every role about every third table, so that two roles or three are asked about each; or all of them about all."""
    pairs = [(role, table) for n, role in enumerate(ROLES) for table in ground.tables[n % part :: part]]
    tally = await _ask(ground, pairs, request.config.getoption("oracles"))
    learnt = [leak for leak in tally.leaks if not _through_an_index(ground, leak)]
    findings.setdefault("oracles", {}).update({
        "statements": tally.statements, "columns": tally.columns, "rows": tally.rows, "tables": len(ground.tables),
        "roles": len(ROLES), "learnt": len(learnt), "through_an_index": len(tally.leaks) - len(learnt),
    })  # fmt: skip
    assert tally.statements > 5_000 / part
    assert [str(leak) for leak in learnt] == []


@pytest.mark.parametrize("weakened", ["where proleakproof", "where not proleakproof", "where true"])
async def test_the_questions_find_out_when_functions_are_cheap(
    ground: Ground, findings: Findings, weakened: str
) -> None:
    """The negative control: with PostgreSQL's own costs, for functions that it believes to leak nothing and for the others."""
    tables = [table for table in ground.tables if table.name in {"documents.chunk", 'identity."user"'}]
    costs = f"select oid::regprocedure::text as name from pg_proc {weakened} and procost = 25 and prokind <> 'a'"
    cheap = [row["name"] for row in await ground.witness.fetch(costs)]
    try:
        await _set_costs(ground.witness, cheap, 1)
        assert (await check_conditions(ground.connection)).problem
        tally = await _ask(ground, [("analyst", table) for table in tables], 30)
    finally:
        await _set_costs(ground.witness, cheap, 25)
    assert (await check_conditions(ground.connection)).problem is None
    learnt = Counter(leak.whose for leak in tally.leaks if not _through_an_index(ground, leak))
    findings.setdefault("oracles", {}).update(
        {"learnt_when_cheap": learnt.total(), "asked_when_cheap": tally.statements}
    )
    assert learnt[ANOTHERS]
    assert learnt[OWN]


# Parts that never learn anything on PostgreSQL 18, whatever functions cost.
SILENT = frozenset({
    # It computes this of rows that the policy has let through already.
    "select case when {w} then 1 end from {t}", "select count(*) filter (where {w}) from {t}",
    "select sum(1) filter (where {w}) over (partition by {c}) from {t}",
    # The runtime role has no right to it.
    "delete from {t} where {w}", "select 1 from {t} where {w} for key share",
    # No version takes it as a cost.
    "cpu_operator_cost = 5e-324",
    # It takes this for dearer than the policy, and asks it after that.
    oracles.TELLS[7],
})  # fmt: skip


@pytest.mark.slow
async def test_each_part_of_the_questions_finds_out_when_functions_are_cheap(
    ground: Ground, findings: Findings
) -> None:
    """The negative control of shapes, tells and settings: three of five of each kind, since which depends on rows and plans."""
    costs = "select oid::regprocedure::text as name from pg_proc where procost = 25 and prokind <> 'a'"
    cheap = [row["name"] for row in await ground.witness.fetch(costs)]
    asked: set[str] = set()
    heard: set[str] = set()
    try:
        await _set_costs(ground.witness, cheap, 1)
        async for row, column, elsewhere in _hidden_columns(ground, "analyst", {"documents.chunk", 'identity."user"'}):
            parts = dict(oracles.each_part(column))
            asked.update(*parts.values())
            wanted = {oracle: of for oracle, of in parts.items() if set(of) - heard - SILENT}
            others = [replace(oracle, column=elsewhere) for oracle in wanted]
            for leak in await _leaks(ground, "analyst", row, list(wanted), others):
                heard.update(wanted[leak.oracle])
    finally:
        await _set_costs(ground.witness, cheap, 25)
    findings.setdefault("oracles", {}).update({"parts": len(asked), "parts_that_learn_when_cheap": len(heard)})
    for kind in (oracles.SHAPES, oracles.TELLS, oracles.SETTINGS, oracles.NARROWED):
        assert len(heard & set(kind)) >= 3 * len(kind) / 5, sorted(set(kind) - heard)


async def _hidden_columns(
    ground: Ground, role: str, names: set[str]
) -> AsyncIterator[tuple[HiddenRow, Column, Column]]:
    """Columns of rows of some tables that a caller does not see, each with what to ask for in the row's other state."""
    for table in ground.tables:
        if table.name in names:
            for row in await _hidden(ground, role, table):
                for column, elsewhere in await _columns(ground, row):
                    yield row, column, elsewhere


async def _set_costs(witness: asyncpg.Connection, functions: list[str], cost: int) -> None:
    await witness.execute("".join(f"alter routine {name} cost {cost};" for name in functions))


async def test_jsonb_cannot_be_looked_into_by_subscripts_which_cost_nothing(ground: Ground) -> None:
    async with _injected(ground, "analyst") as connection:
        with pytest.raises(asyncpg.DatatypeMismatchError, match="cannot subscript type jsonb"):
            await connection.fetch("select 1 from documents.chunk where metadata['customer'] is not null")
