"""Term statistics say exactly what is stored, whatever is ingested, replaced and erased at the same time."""

import asyncio
import random
from collections import Counter
from uuid import UUID

import asyncpg
import pytest
from pgvector import SparseVector

from backend.database import prepare_connection
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

WORDS = (
    "fee",
    "dispute",
    "card",
    "wire",
    "loan",
    "rate",
    "branch",
    "deadline",
    "notice",
    "penalty",
    "refund",
    "address",
)
DOCUMENTS = 6


def text(choice: random.Random) -> str:
    return " ".join(choice.choices(WORDS, k=choice.randint(1, 12)))


async def ingest(service: Service, tenant: Tenant, choice: random.Random) -> int:
    chunks = [
        {
            "doc_id": f"doc-{choice.randrange(DOCUMENTS)}", "chunk_text": text(choice), "source_type": "policy",
            "collection": choice.choice(["default", "restricted"]),
        }
        for _ in range(choice.randint(1, 4))
    ]  # fmt: skip
    answer = await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})
    assert answer.status_code in {201, 409}, answer.text
    return answer.status_code


async def replace(service: Service, tenant: Tenant, choice: random.Random) -> int:
    version = {
        "doc_id": f"doc-{choice.randrange(DOCUMENTS)}", "source_type": "policy",
        "collection": choice.choice(["default", "restricted"]), "chunks": [{"text": text(choice)} for _ in range(2)],
    }  # fmt: skip
    return (await service.post("/documents/versions", tenant, "editor", version)).status_code


async def erase(service: Service, tenant: Tenant, choice: random.Random) -> int:
    listed = (await service.get("/documents", tenant, "editor", collection="default")).json()["documents"]
    if not listed:
        return 204
    path, reason = f"/documents/{choice.choice(listed)['id']}", {"reason": "A customer asked for it."}
    headers = await service.as_user(tenant, "privacy")
    return (await service.client.delete(path, params=reason, headers=headers)).status_code


async def counted_and_stored(
    service: Service, tenant: Tenant
) -> tuple[Counter[tuple[UUID, int]], Counter[tuple[UUID, int]]]:
    """Both as {(collection, dimension): chunks}, with the number of chunks under dimension -1."""
    connection = await asyncpg.connect(service.database.superuser_url)
    try:
        await prepare_connection(connection)
        counted: Counter[tuple[UUID, int]] = Counter()
        for row in await connection.fetch(
            "select collection_id, dimension, chunks from retrieval.term where tenant_id = $1"
            " union all select collection_id, -1, chunks from retrieval.collection_size where tenant_id = $1",
            tenant.id,
        ):
            counted[row["collection_id"], row["dimension"]] = row["chunks"]
        stored: Counter[tuple[UUID, int]] = Counter()
        for row in await connection.fetch(
            "select collection_id, sparse from documents.chunk where tenant_id = $1 and effective_from < 'infinity'",
            tenant.id,
        ):
            sparse: SparseVector = row["sparse"]
            stored.update((row["collection_id"], dimension) for dimension in [-1, *sparse.indices()])
        return +counted, stored
    finally:
        await connection.close()


@pytest.mark.parametrize("seed", range(3))
async def test_statistics_equal_a_recount_after_concurrent_changes(service: Service, seed: int) -> None:
    tenant = await service.create_tenant()
    choice = random.Random(seed)
    acts = choice.choices([ingest, replace, erase], weights=[6, 3, 2], k=24)
    for start in range(0, len(acts), 6):
        alone = {"doc_id": f"alone-{start}", "chunk_text": text(choice), "source_type": "policy"}
        apart, *statuses = await asyncio.gather(
            service.post("/ingest", tenant, "editor", alone),
            *(act(service, tenant, choice) for act in acts[start : start + 6]),
        )
        assert apart.status_code == 201, apart.text
        # A document that was replaced takes no chunks, one that was deleted is gone; nothing fails otherwise.
        assert set(statuses) <= {200, 201, 204, 404, 409}
        counted, stored = await counted_and_stored(service, tenant)
        assert counted == stored


async def test_whoever_deletes_a_document_and_whoever_replaces_it_wait_for_each_other(service: Service) -> None:
    tenant = await service.create_tenant()
    headers = await service.as_user(tenant, "privacy")
    params = {"reason": "A customer asked for it."}
    for number in range(8):
        versions = [
            {"doc_id": "doc", "source_type": "policy", "chunks": [{"text": f"{word} {number} {n}"} for n in range(20)]}
            for word in ("Earlier", "Later", "Latest")
        ]
        first = await service.post("/documents/versions", tenant, "editor", versions[0])
        deleted, *replaced = await asyncio.gather(
            service.client.delete(f"/documents/{first.json()['document_id']}", params=params, headers=headers),
            *(service.post("/documents/versions", tenant, "editor", version) for version in versions[1:]),
        )
        assert deleted.status_code == 200, deleted.text
        assert {answer.status_code for answer in replaced} <= {201, 409}, [answer.text for answer in replaced]
