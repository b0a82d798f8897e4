"""Which chunks a transaction sees, asked of the policies themselves: no query of the service narrows what comes out."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from backend.tenancy import Claims
from tests.factories import ingest
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)
YEAR = timedelta(days=365)
VALIDITIES: dict[str, tuple[datetime | None, datetime | None]] = {
    "in force": (NOW - YEAR, None),
    "future": (NOW + YEAR, None),
    "lapsed": (NOW - 2 * YEAR, NOW - YEAR),
    "withdrawn before it began": (NOW - YEAR, NOW - YEAR),
    "draft": (None, None),
}


@pytest.fixture(scope="module")
async def collections(service: Service, tenant: Tenant) -> dict[str, UUID]:
    """Ids of two collections, with a chunk of every validity in each, named after both."""
    connection = await asyncpg.connect(service.database.superuser_url)
    try:
        for collection in ("default", "restricted"):
            for validity, (begin, end) in VALIDITIES.items():
                name = f"{collection}: {validity}"
                await ingest(service, tenant, name, name, collection=collection)
                await connection.execute("set session_replication_role = replica")
                await connection.execute(
                    "update documents.chunk set effective_from = coalesce($3::timestamptz, 'infinity'),"
                    " effective_to = coalesce($4::timestamptz, 'infinity')"
                    " where tenant_id = $1 and text = $2", tenant.id, name, begin, end,
                )  # fmt: skip
        rows = await connection.fetch("select slug, id from documents.collection where tenant_id = $1", tenant.id)
        return {row["slug"]: row["id"] for row in rows}
    finally:
        await connection.close()


def every(collection: str, validities: Collection[str] = VALIDITIES) -> set[str]:
    return {f"{collection}: {validity}" for validity in validities}


WRITING, LAPSED, ERASING = {"writing": "chunks"}, {"reading": "lapsed"}, {"erasing": "documents"}


@pytest.mark.parametrize(
    ("permissions", "asked", "seen"),
    [
        ((), {}, every("default", ["in force"])),
        ((), {"moment": NOW - 1.5 * YEAR}, every("default", ["lapsed"])),
        ((), {"moment": NOW + 2 * YEAR}, every("default", ["in force", "future"])),
        ((), {"presented": LAPSED}, every("default", ["in force", "lapsed"])),
        ((), {"presented": LAPSED, "moment": NOW - 1.5 * YEAR}, every("default", ["lapsed"])),
        ((), {"presented": WRITING}, every("default", ["in force"])),
        ((), {"presented": ERASING}, set()),
        (["documents:write"], {}, every("default", ["in force"])),
        (["documents:write"], {"presented": WRITING, "writable": ["default"]}, every("default")),
        (["documents:write"], {"presented": WRITING}, set()),
        (["documents:review"], {}, every("default")),
        (["documents:review"], {"readable": ["default", "restricted"]}, every("default") | every("restricted")),
        (["erasure:execute"], {}, every("default", ["in force"])),
        (["erasure:execute"], {"presented": ERASING}, every("default") | every("restricted")),
        ((), {"readable": []}, set()),
    ],
)  # fmt: skip
async def test_a_transaction_sees_what_its_claims_say_and_no_more(
    service: Service, tenant: Tenant, collections: dict[str, UUID],
    permissions: Collection[str], asked: dict[str, Any], seen: set[str],
) -> None:  # fmt: skip
    granted = {
        access: [collections[slug] for slug in asked.get(access, ["default"] if access == "readable" else [])]
        for access in ("readable", "writable")
    }
    claims = Claims(
        "request", tenant.id, tenant.users["analyst"], permissions=permissions, **granted,
        moment=asked.get("moment"), presented=asked.get("presented", {}),
    )  # fmt: skip
    async with service.services.tenancy.transaction(claims) as connection:
        rows = await connection.fetch("select text from documents.chunk")
    assert {row["text"] for row in rows} == seen
