"""Writes all that is a tenant's into one archive, as a caller with every permission in that tenant would read it.

The runtime role reads it, under a context that is signed for this tenant: so row-level security itself keeps the rows of
others out, and nothing that the service never reads back, such as digests of secrets, is written. Whoever exports needs the
context key and so is trusted with everything; the operator's API has no such route.
"""

import hashlib
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from backend.audit.actions.operation import TenantChanged
from backend.database import Connection, Queries
from backend.identity.callers.permissions import Permission
from backend.operation.tenants import COMMAND_LINE, TenantRow
from backend.tenancy import Claims, Tenancy

queries = Queries(Path(__file__).with_name("export.sql"))


async def export(owner: Connection, tenancy: Tenancy, tenant: TenantRow, target: Path) -> dict[str, int]:
    """Writes a zip of one JSON-lines file a table, and a manifest; returns rows by table.

    The export is in the tenant's log before its first row is read.
    """
    async with owner.transaction():
        collections = [row["id"] for row in await owner.fetch(queries.collections, tenant.id)]
        await COMMAND_LINE.record(owner, tenant.id, TenantChanged(exported=True))
    claims = Claims(
        str(uuid7()), tenant.id, kind="operator", permissions=list(Permission), readable=collections, writable=collections
    )  # fmt: skip
    tables: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
        for row in await owner.fetch(queries.exported_tables):
            async with tenancy.transaction(claims) as connection:  # one each: a context lives for a minute
                written = await _write(archive, connection, tenant.id, row["table"], row["columns"])
            if written["rows"]:
                tables[row["table"]] = written
        manifest = {
            "tenant": str(tenant.id),
            "slug": tenant.slug,
            "domains": list(tenant.domains),
            "exported_at": datetime.now(UTC).isoformat(),
            "tables": tables,
        }
        archive.writestr("manifest.json", json.dumps(manifest, indent=2))
    return {table: written["rows"] for table, written in tables.items()}


async def _write(
    archive: zipfile.ZipFile, connection: Connection, tenant_id: UUID, table: str, columns: str
) -> dict[str, Any]:
    """Writes the rows of one table; returns their number and the SHA-256 of the file."""
    digest, rows = hashlib.sha256(), 0
    # Names come from the catalog, quoted by it.
    query = f"select row_to_json(exported)::text from (select {columns} from {table} where tenant_id = $1) as exported"  # noqa: S608
    with archive.open(table.replace('"', "") + ".jsonl", "w") as file:
        async for row in connection.cursor(query, tenant_id, prefetch=200):
            line = row[0].encode() + b"\n"
            digest.update(line)
            rows += 1
            file.write(line)
    return {"rows": rows, "sha256": digest.hexdigest()}
