"""Whether the database would hold what the service promises; asked before serving, and by `affidavit doctor`."""

from dataclasses import dataclass
from pathlib import Path

import asyncpg

from backend.database import Connection, Queries

queries = Queries(Path(__file__).with_name("self_check.sql"))

MIN_POSTGRES = 160_000
SEALER_MAY_PAUSE_SECONDS = 30
MIN_PGVECTOR = (0, 8, 2)
SCHEMA_REVISION = max(
    path.name.split("_", 1)[0]
    for path in (Path(__file__).resolve().parent.parent / "migrations" / "versions").glob("[0-9]*.py")
)

# As the last statement of a migration. Under the search path of the roles that compare, since names are shown as it finds them.
KEEP_PRIVILEGES = f"""
set local search_path = pg_catalog, public;
delete from migration.privilege;
insert into migration.privilege {queries.privileges};
"""  # noqa: S608 - of our own text alone


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: `problem` is None when it is as it must be."""

    check: str
    problem: str | None


async def check(connection: Connection) -> list[Finding]:
    """Returns the findings for the role of this connection, in the order of what to mend first."""
    role = await connection.fetchrow(queries.role)
    versions = await connection.fetchrow(queries.versions)
    assert role is not None
    assert versions is not None
    findings = [
        Finding(
            "PostgreSQL version", None if versions["server"] >= MIN_POSTGRES else "PostgreSQL 16 or later is needed"
        ),
        Finding("pgvector version", _pgvector_problem(versions["vector"])),
        Finding("role", _role_problem(role)),
        Finding(
            "definitions guard",
            None
            if await connection.fetchval(queries.guarded)
            else "the event trigger refuse_definitions is missing or not always enabled: run infra/roles.sql",
        ),
    ]
    if not await connection.fetchval(queries.is_migrated):
        return [*findings, Finding("schema", "not migrated: run `affidavit migrate`")]
    revision = await connection.fetchval(queries.revision)
    findings.append(
        Finding(
            "schema",
            None if revision == SCHEMA_REVISION else f"is {revision}, not {SCHEMA_REVISION}: run `affidavit migrate`",
        )
    )
    unprotected = [
        f"{row['table']}: {problem}"
        for row in await connection.fetch(queries.tables)
        if (problem := _table_problem(row))
    ]
    findings.append(Finding("row-level security", "; ".join(unprotected) or None))
    excess = [row["grant"] for row in await connection.fetch(queries.forbidden_grants)]
    findings.append(Finding("append-only grants", ", ".join(excess) or None))
    loose = [row["table"] for row in await connection.fetch(queries.loose_triggers)]
    findings.append(
        Finding("append-only triggers", f"missing, or not always on: {', '.join(loose)}" if loose else None)
    )
    changed = await connection.fetch(f"with present as ({queries.privileges}) {queries.changed_privileges}")
    findings.append(Finding("privileges", "; ".join(map(_change, changed)) or None))
    settings = [_setting(row) for row in await connection.fetch(queries.changed_settings)]
    findings.append(Finding("settings", f"{'; '.join(settings)}: run infra/roles.sql" if settings else None))
    opened = [row["what"] for row in await connection.fetch(queries.open_database)]
    findings.append(Finding("database", f"{', '.join(opened)}: run infra/roles.sql" if opened else None))
    findings.append(
        Finding(
            "audit partitions",
            None if await connection.fetchval(queries.partition_ahead) else "no audit partition for next month",
        )
    )
    return findings


async def check_server(connection: Connection) -> Finding:
    """Returns what a role can see of others through the server's own functions; some managed servers cannot be closed."""
    opened = [row["function"] for row in await connection.fetch(queries.open_server_functions)]
    return Finding("server functions", f"open: {', '.join(opened)}; run infra/roles.sql" if opened else None)


async def check_conditions(connection: Connection) -> Finding:
    """Returns whether a condition of injected SQL could be asked before a policy's; some managed servers cannot be mended."""
    cheap = await connection.fetchrow(queries.cheap_conditions)
    assert cheap is not None
    loose = cheap["functions"] or cheap["subscripts"]
    return Finding(
        "order of conditions",
        "conditions may run before policies: run infra/roles.sql as superuser" if loose else None,
    )


async def check_sealer(connection: Connection) -> Finding:
    """Returns whether events are being sealed; apart from `check`, since what serves need not wait for what seals."""
    row = await connection.fetchrow(queries.sealer)
    assert row is not None
    return Finding("sealer", _sealer_problem(row))


def _pgvector_problem(version: str | None) -> str | None:
    if version is None:
        return "the extension vector is missing: run infra/roles.sql"
    known = tuple(int(part) for part in version.split(".")[:3])
    return None if known >= MIN_PGVECTOR else f"is {version}, 0.8.2 or later is needed"


def _sealer_problem(row: asyncpg.Record) -> str | None:
    if row["halted"] is not None:
        return f"has stopped: {row['halted']}"
    if row["idle"] is None:
        return "has never run: start `affidavit sealer`"
    if row["idle"] > SEALER_MAY_PAUSE_SECONDS:
        return f"last ran {row['idle']} seconds ago: start `affidavit sealer`"
    if row["events"] is not None:
        return f"{row['events']} events are in no log, the oldest for {row['waiting']} seconds: see the sealer's log"
    return None


def _role_problem(role: asyncpg.Record) -> str | None:
    powers = [name for name in ("superuser", "bypassrls", "createrole", "createdb", "replication") if role[name]]
    if powers:
        return f"{role['name']} must not have {', '.join(powers)}"
    if role["owned"]:
        return f"{role['name']} must own nothing, and owns {role['owned']} relations"
    if role["memberships"]:
        return f"{role['name']} must not be able to become {', '.join(role['memberships'])}"
    if role["creates"]:
        return f"{role['name']} must not have CREATE or TEMPORARY on the database or a schema"
    return None


def _change(row: asyncpg.Record) -> str:
    manner = "was changed since the last migration" if row["both"] else "is new" if row["present"] else "is gone"
    return f"{row['what']}: {manner}"


def _setting(row: asyncpg.Record) -> str:
    return f"{row['setting']} of {row['role']} {'is gone' if row['gone'] else 'is not what roles.sql sets'}"


def _table_problem(row: asyncpg.Record) -> str | None:
    if not row["enabled"]:
        return "row-level security is not enabled"
    if not row["forced"]:
        return "row-level security is not forced"
    if not row["policies"]:
        return "there is no policy"
    return None
