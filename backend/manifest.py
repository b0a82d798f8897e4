"""What a release states about its schema (policies/manifest.json), what a database has, and how the two differ."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from backend.database import Connection, Queries
from backend.shipped import shipped

queries = Queries(Path(__file__).with_name("manifest.sql"))
PATH = shipped("policies") / "manifest.json"

# By object and part, how it is: {"table audit.hold": {"column reason": "text not null extended", …}, …}.
Facts: TypeAlias = Mapping[str, Mapping[str, str]]

# Facts that another version asked for by another query are not compared.
FORMAT = hashlib.sha256(queries.facts.encode()).hexdigest()[:16]

_BY_HAND = ("column ", "constraint ", "index ", "kind", "rule ", "owner")


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """One part of one object that is not as it was shipped; None where there is no such part."""

    object: str
    part: str
    found: str | None
    expected: str | None

    @property
    def remedy(self) -> str:
        """What mends it."""
        if self.object.startswith("role "):
            return "run infra/roles.sql"
        if self.object.startswith("table ") and self.part.startswith(_BY_HAND):
            return "mend it by hand, policies/manifest.json says how it must be"
        return "run `affidavit migrate`"

    def __str__(self) -> str:
        manner = (
            "is missing" if self.found is None
            else "is not part of this release" if self.expected is None
            else "is not as shipped"
        )  # fmt: skip
        return f"{self.object}, {self.part}: {manner}"


@dataclass(frozen=True, slots=True)
class Release:
    """What the last migration brought a database to, and the oldest revision whose code still runs on it."""

    revision: str
    oldest: str
    format: str
    facts: Facts


async def found(connection: Connection) -> Facts:
    """Returns the facts of the connected database."""
    async with connection.transaction():
        await connection.execute("set local search_path = pg_catalog, public")
        rows = await connection.fetch(queries.facts)
    facts: dict[str, dict[str, str]] = {}
    for row in rows:
        facts.setdefault(row["object"], {})[row["part"]] = row["how"]
    return facts


@cache
def expected() -> Facts:
    """Returns the facts that this release ships; none in a repository that has not made them yet."""
    if not PATH.exists():
        return {}
    facts: Facts = json.loads(PATH.read_text())
    return facts


async def release(connection: Connection) -> Release | None:
    """Returns what the last migration of the connected database brought it to; None before this was kept."""
    if await connection.fetchval("select to_regclass('migration.release')") is None:
        return None
    row = await connection.fetchrow(queries.release)
    return None if row is None else Release(row["revision"], row["oldest"], row["format"], json.loads(row["facts"]))


async def record(connection: Connection, made: Release) -> None:
    """Keeps what the database was brought to."""
    await connection.execute(
        queries.record_release, made.revision, made.oldest, made.format, json.dumps(made.facts, sort_keys=True)
    )


def differences(found: Facts, expected: Facts) -> Iterator[SchemaDifference]:
    """Yields each part that differs, in the order of their names."""
    for name in sorted({*found, *expected}):
        is_so, must_be = found.get(name, {}), expected.get(name, {})
        for part in sorted({*is_so, *must_be}):
            if is_so.get(part) != must_be.get(part):
                yield SchemaDifference(name, part, is_so.get(part), must_be.get(part))
