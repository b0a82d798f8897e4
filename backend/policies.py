"""Brings what gives policies their meaning to what this version ships: functions, policies, grants and walls."""

from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Connection, text

POLICIES = Path(__file__).resolve().parent.parent / "policies"

# In the order in which a request comes to them, so that whoever takes locks on all of them meets requests at one place only.
SCHEMAS = ("migration", "tenancy", "identity", "documents", "retrieval", "storage", "jobs", "audit")
SERVING_ROLES = "public, affidavit_runtime, affidavit_sealer, affidavit_operator"


def in_order(folder: Path) -> Iterator[Path]:
    """Yields the SQL files of a folder, each named `schema.subject.sql`, schema by schema."""
    yield from sorted(
        folder.glob("*.sql"), key=lambda path: (SCHEMAS.index(path.name.split(".", maxsplit=1)[0]), path.name)
    )


def reapply(connection: Connection, run_script: Callable[[str], None]) -> None:
    """Drops every policy, takes every right away and gives what policies/ says: what a file no longer says is gone."""

    def names(query: str) -> list[str]:
        return list(connection.execute(text(query), {"schemas": list(SCHEMAS)}).scalars())

    tables = names(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = any (:schemas) and c.relkind in ('r', 'p') order by c.relispartition, 1"
    )
    for policy in names(
        "select format('%I on %I.%I', policyname, schemaname, tablename) from pg_policies where schemaname = any (:schemas)"
    ):
        run_script(f"drop policy {policy}")
    for schema in SCHEMAS:
        for objects in (
            f"schema {schema}",
            *(f"all {kind} in schema {schema}" for kind in ("tables", "sequences", "routines")),
        ):
            run_script(f"revoke all on {objects} from {SERVING_ROLES}")
    run_script((POLICIES / "schemas.sql").read_text())
    for path in (*in_order(POLICIES / "functions"), *in_order(POLICIES / "tables")):
        run_script(path.read_text())
    walls = (POLICIES / "walls.sql").read_text()
    for table in tables:
        connection.execute(text("select set_config('policies.table', :table, true)"), {"table": table})
        run_script(walls)
