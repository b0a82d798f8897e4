"""Whether the database would hold what the service promises; asked before serving, and by `affidavit doctor`."""

import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from backend import manifest
from backend.database import Connection, Queries
from backend.manifest import Release
from backend.shipped import newest_revision

queries = Queries(Path(__file__).with_name("self_check.sql"))

MIN_POSTGRES = 160_000
CLOCKS_MAY_DIFFER_SECONDS = 30
SEALER_MAY_PAUSE_SECONDS = 30
DEFINITIONS_REST_SECONDS = 30
_CONTEXT_REMEDY = (
    "give both the same key with `affidavit context-key add`; behind a pooler, set AFFIDAVIT_DATABASE_POOLER"
)
MIN_PGVECTOR = (0, 8, 2)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was checked: `problem` is None when it is as it must be."""

    check: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class SealerResult(CheckResult):
    """How sealing goes: `stopped` when the log differs from a checkpoint that was kept, and not when it is merely late."""

    stopped: bool


@dataclass
class SealerWatch:
    """How sealing went when this process looked last, which is what pages say to reviewers; None before it has looked."""

    last: SealerResult | None = None


class SelfCheck:
    """The self-check of a process that is often asked: it does not compare definitions again for a while that were as shipped."""

    def __init__(self) -> None:
        self._rested_until = 0.0

    async def findings(self, connection: Connection) -> list[CheckResult]:
        """Returns the findings for the role of this connection, in the order of what to mend first."""
        now = time.monotonic()
        if now < self._rested_until:
            return await check(connection, definitions=False)
        findings = await check(connection)
        if all(finding.problem is None for finding in findings):
            self._rested_until = now + DEFINITIONS_REST_SECONDS
        return findings


async def check(connection: Connection, *, definitions: bool = True) -> list[CheckResult]:
    """Returns the findings for the role of this connection, in the order of what to mend first.

    To compare the definitions with those shipped takes some 50 milliseconds.
    """
    role = await connection.fetchrow(queries.role)
    versions = await connection.fetchrow(queries.versions)
    assert role is not None
    assert versions is not None
    findings = [
        CheckResult(
            "PostgreSQL version", None if versions["server"] >= MIN_POSTGRES else "PostgreSQL 16 or later is needed"
        ),
        CheckResult("pgvector version", _pgvector_problem(versions["vector"])),
        CheckResult("writes", await connection.fetchval(queries.refuses_writes)),  # or each request fails at its record
        CheckResult("role", _role_problem(role)),
        CheckResult(
            "definitions guard",
            None
            if await connection.fetchval(queries.guarded)
            else "the event trigger refuse_definitions is missing or not always enabled: run infra/roles.sql",
        ),
    ]
    if not await connection.fetchval(queries.is_migrated):
        return [*findings, CheckResult("schema", "not migrated: run `affidavit migrate`")]
    release = await manifest.release(connection)
    findings.append(CheckResult("schema", _schema_problem(await connection.fetchval(queries.revision), release)))
    unprotected = [
        f"{row['table']}: {problem}"
        for row in await connection.fetch(queries.tables)
        if (problem := _table_problem(row))
    ]
    findings.append(CheckResult("row-level security", "; ".join(unprotected) or None))
    excess = [row["grant"] for row in await connection.fetch(queries.forbidden_grants)]
    findings.append(CheckResult("append-only grants", ", ".join(excess) or None))
    loose = [row["table"] for row in await connection.fetch(queries.loose_triggers)]
    findings.append(
        CheckResult("append-only triggers", f"missing, or not always on: {', '.join(loose)}" if loose else None)
    )
    # A database that was not upgraded yet lacks the function, which the definitions say.
    if definitions and await connection.fetchval(queries.knows_archives):
        forged = await connection.fetchval(queries.has_forged_archive)
        problem = "one is in no event of its log: run `affidavit audit check`" if forged else None
        findings.append(CheckResult("audit archives", problem))
    if definitions:
        findings.append(CheckResult("definitions", await _definitions_problem(connection, release)))
    settings = [_setting(row) for row in await connection.fetch(queries.changed_settings)]
    findings.append(CheckResult("settings", f"{'; '.join(settings)}: run infra/roles.sql" if settings else None))
    opened = [row["what"] for row in await connection.fetch(queries.open_database)]
    findings.append(CheckResult("database", f"{', '.join(opened)}: run infra/roles.sql" if opened else None))
    findings.append(
        CheckResult(
            "audit partitions",
            None if await connection.fetchval(queries.partition_ahead) else "no audit partition for next month",
        )
    )
    return findings


async def check_server(connection: Connection) -> CheckResult:
    """Returns what a role can see of others through the server's own functions; some managed servers cannot be closed."""
    opened = [row["function"] for row in await connection.fetch(queries.open_server_functions)]
    return CheckResult("server functions", f"open: {', '.join(opened)}; run infra/roles.sql" if opened else None)


async def check_conditions(connection: Connection) -> CheckResult:
    """Returns whether a condition of injected SQL could be asked before a policy's; some managed servers cannot be mended."""
    cheap = await connection.fetchrow(queries.cheap_conditions)
    assert cheap is not None
    loose = cheap["functions"] or cheap["subscripts"]
    return CheckResult(
        "order of conditions",
        "conditions may run before policies: run infra/roles.sql as superuser" if loose else None,
    )


async def check_clocks(connection: Connection) -> CheckResult:
    """Says when this machine's clock and the database's are too far apart; who watches knows the true time."""
    before = time.time()
    server: float = await connection.fetchval(queries.clock)
    ahead = server - (before + time.time()) / 2
    if abs(ahead) <= CLOCKS_MAY_DIFFER_SECONDS:
        return CheckResult("clocks", None)
    which, other = ("the database's", "this machine's") if ahead > 0 else ("this machine's", "the database's")
    return CheckResult("clocks", f"{which} clock is {abs(ahead):.0f} seconds ahead of {other}: set both by NTP")


async def check_context(connection: Connection) -> CheckResult:
    """Says whether the database accepts what a transaction was bound to; it cannot go on otherwise, so this is asked last."""
    try:
        await connection.fetchval(queries.context)
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        return CheckResult("context", f"the database refuses what this process signs ({error}): {_CONTEXT_REMEDY}")
    return CheckResult("context", None)


async def check_sealer(connection: Connection) -> SealerResult:
    """Returns whether events are being sealed; apart from `check`, since what serves need not wait for what seals."""
    row = await connection.fetchrow(queries.sealer)
    assert row is not None
    return SealerResult("sealer", _sealer_problem(row), stopped=row["halted"] is not None)


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


def _schema_problem(revision: str, release: Release | None) -> str | None:
    """Code runs on a database of its own release, and on one that the next release has upgraded."""
    known = newest_revision()
    if revision < known or release is None:
        return f"is {revision}, not {known}: run `affidavit migrate`"
    if revision > known and release.oldest > known:
        return f"is {revision}, on which code of {known} no longer runs: deploy the release that upgraded it, or the one before"
    return None


async def _definitions_problem(connection: Connection, release: Release | None) -> str | None:
    """Compares with what this release ships; in a database that the next has upgraded, with what that one shipped."""
    expected = manifest.expected()
    if release is not None and release.revision > newest_revision():
        if release.format != manifest.FORMAT:
            return None  # another query asked for its facts: its own doctor compares them
        expected = release.facts
    found = list(manifest.differences(await manifest.found(connection), expected))
    remedies = "; ".join(sorted({difference.remedy for difference in found}))
    return f"{'; '.join(map(str, found))}: {remedies}" if found else None


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
