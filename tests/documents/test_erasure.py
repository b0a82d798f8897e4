"""Deleting documents and everything of a data subject."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from backend.retrieval import lexicon
from tests.factories import approved, create_collection, decide, ingested, retrieved, submit
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

REASON = "Request 118."
MARKER = "Zyxwvut"
TABLES = ("documents.chunk_shared", "documents.version", "documents.document", "documents.approval", "documents.file")


@pytest.fixture(scope="module", autouse=True)
async def guidance(service: Service, tenant: Tenant) -> None:
    await create_collection(service, tenant)


async def erase(service: Service, tenant: Tenant, document_id: str, username: str = "privacy") -> Any:
    headers = await service.as_user(tenant, username)
    return await service.client.delete(f"/documents/{document_id}", params={"reason": REASON}, headers=headers)


async def occurrences(service: Service, marker: str) -> list[str]:
    """Every table of the database, catalogues too, in which a text stands, also as bytes."""
    superuser = await asyncpg.connect(service.database.superuser_url)
    try:
        tables = await superuser.fetch(
            "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname <> 'information_schema'"
        )
        found = []
        for table in tables:
            statement = f"select exists (select from {table['name']} t where t::text ilike any ($1))"
            if await superuser.fetchval(statement, [f"%{marker}%", f"%{marker.encode().hex()}%"]):
                found.append(table["name"])
        return found
    finally:
        await superuser.close()


def files_with(folder: Path, marker: str) -> list[Path]:
    """Files in which a text stands; of the database's own, without the write-ahead log, which forgets in its own time."""
    files = (path for path in folder.rglob("*") if path.is_file() and "pg_wal" not in path.parts)
    return [path for path in files if marker.encode().lower() in path.read_bytes().lower()]


async def test_nothing_of_a_deleted_document_is_left_in_the_database_or_the_file_store(
    service: Service, tenant: Tenant, model_home: Path
) -> None:
    marked = f"The {MARKER} account is frozen."
    await submit(service, tenant, "before", "What stays keeps the pages of what goes.", collection="restricted")
    first = await approved(service, tenant, "marked", marked, title=f"About {MARKER}", metadata={"customer": MARKER})
    await submit(service, tenant, "marked", f"{marked} Still.", metadata={"customer": MARKER})
    await decide(service, tenant, {**first, "document_version": 2}, "reject", reason=f"{MARKER} is closed.")
    superuser = await asyncpg.connect(service.database.superuser_url)
    await superuser.execute("analyze")  # so that the planner's statistics have had their chance to keep it
    objects = service.services.settings.home_folder / "files" / str(tenant.id)
    uploaded = await ingested(
        service, tenant, f"{MARKER}.txt", f"{marked} For good.".encode(), doc_id="marked-file", title=f"A {MARKER}"
    )
    await ingested(service, tenant, "after.txt", b"What stays keeps the pages.", collection="restricted")
    question = {"question": f"Is the {MARKER} account frozen?"}
    assert not (await service.post("/answer", tenant, "analyst", question)).json()["refused"]
    planted = await occurrences(service, MARKER)
    assert set(TABLES) <= set(planted)
    assert len(set(objects.glob("*"))) == 2
    await superuser.execute("checkpoint")
    cluster = Path(await superuser.fetchval("show data_directory"))
    assert files_with(cluster / "base", MARKER)
    (word,) = lexicon.query_terms(MARKER)
    term = "select chunks from retrieval.term where tenant_id = $1 and dimension = $2"
    assert await superuser.fetchval(term, tenant.id, word) > 0

    erased = await erase(service, tenant, first["document_id"])
    assert erased.status_code == 200, erased.text
    assert (erased.json()["chunks"], len(erased.json()["version_ids"])) == (2, 2)
    assert (await erase(service, tenant, uploaded["result"]["document_id"])).status_code == 200
    assert await occurrences(service, MARKER) == []
    assert len(set(objects.glob("*"))) == 1
    assert files_with(model_home, MARKER) == []
    # PostgreSQL keeps what was deleted in pages that hold other rows, until the table is written anew.
    await superuser.execute(f"vacuum full {', '.join(TABLES)}")
    await superuser.execute("checkpoint")
    assert files_with(cluster, MARKER) == []
    assert await superuser.fetchval(term, tenant.id, word) is None
    assert (await service.get(f"/documents/{first['document_id']}", tenant, "editor")).status_code == 404
    assert await retrieved(service, tenant, f"Is the {MARKER} account frozen?", collection="guidance") == []
    await superuser.close()


async def test_the_deletion_is_on_record(service: Service, tenant: Tenant) -> None:
    submitted = await approved(service, tenant, "recorded", "Deleted, and known to be.")
    await erase(service, tenant, submitted["document_id"])
    (event,) = await service.events(tenant, action="document:erased", document="recorded")
    assert event["event"]["deletion"]["documents"][0]["doc_id"] == "recorded"
    assert event["principal_id"] == str(tenant.users["privacy"])


async def test_everything_of_a_data_subject_goes_and_nothing_else(service: Service, tenant: Tenant) -> None:
    theirs = {"data_subject": "cust-4711"}
    await submit(service, tenant, "case", "The customer moved to Trento.", metadata=theirs, collection="restricted")
    shared = {"doc_id": "calls", "source_type": "note", "collection": "default"}
    await service.post("/ingest", tenant, "editor", {**shared, "chunk_text": "Called from Trento.", "metadata": theirs})
    await service.post("/ingest", tenant, "editor", {**shared, "chunk_text": "The line was busy."})
    wanted = {"data_subject": "cust-4711", "reason": REASON}
    answer = await service.post("/documents/erasures", tenant, "privacy", wanted)
    assert answer.status_code == 200, answer.text
    assert sorted((d["doc_id"], d["whole"]) for d in answer.json()["documents"]) == [("calls", False), ("case", True)]
    assert await occurrences(service, "Trento") == []
    assert await retrieved(service, tenant, "Was the line busy?", collection="default") == [("calls", 1)]


async def test_only_who_may_erase_deletes_and_another_tenants_document_is_not_found(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    submitted = await approved(service, tenant, "kept", "This stays.")
    for username in ("admin", "editor", "approver", "compliance"):
        assert (await erase(service, tenant, submitted["document_id"], username)).status_code == 403
    for document_id in (submitted["document_id"], str(uuid4())):
        assert (await erase(service, other_tenant, document_id)).status_code == 404
    assert await retrieved(service, tenant, "What stays?", collection="guidance") == [("kept", 1)]


async def test_nothing_is_deleted_while_a_legal_hold_stands(service: Service, tenant: Tenant) -> None:
    submitted = await approved(service, tenant, "held", "This is evidence.")
    hold = await service.post("/audit/holds", tenant, "compliance", {"reason": "A lawsuit."})
    assert hold.status_code == 201, hold.text
    assert (await erase(service, tenant, submitted["document_id"])).status_code == 409
    await service.release_hold(tenant, hold.json()["id"])
    assert (await erase(service, tenant, submitted["document_id"])).status_code == 200
