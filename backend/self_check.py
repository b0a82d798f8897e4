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
    findings.append(
        Finding(
            "audit partitions",
            None if await connection.fetchval(queries.partition_ahead) else "no audit partition for next month",
        )
    )
    return findings


async def check_sealer(connection: Connection) -> Finding:
    """Returns whether events are being sealed; apart from `check`, since a sealer may start after the service."""
    seconds: int | None = await connection.fetchval(queries.sealer)
    if seconds is None:
        return Finding("sealer", "has never run: start `affidavit sealer`")
    late = seconds > SEALER_MAY_PAUSE_SECONDS
    return Finding("sealer", f"last ran {seconds} seconds ago: start `affidavit sealer`" if late else None)


def _pgvector_problem(version: str | None) -> str | None:
    if version is None:
        return "the extension vector is missing: run infra/roles.sql"
    known = tuple(int(part) for part in version.split(".")[:3])
    return None if known >= MIN_PGVECTOR else f"is {version}, 0.8.2 or later is needed"


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


def _table_problem(row: asyncpg.Record) -> str | None:
    if not row["enabled"]:
        return "row-level security is not enabled"
    if not row["forced"]:
        return "row-level security is not forced"
    if not row["policies"]:
        return "there is no policy"
    return None
