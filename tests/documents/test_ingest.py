"""Ingesting ready-made chunks: all or nothing, each once, where the caller may write, and not before it is approved."""

import asyncio
from hashlib import sha256
from typing import Any

import asyncpg
import pytest

from tests.factories import approved, create_collection
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


def chunk(text: str, doc_id: str = "pol-1", **changed: Any) -> dict[str, Any]:
    return {"doc_id": doc_id, "chunk_text": text, "source_type": "policy", "metadata": {}, **changed}


async def found(service: Service, tenant: Tenant, user: str = "editor", **changed: Any) -> set[str]:
    answer = await service.post("/retrieve", tenant, user, {"query": "fees of wires", "k": 100, **changed})
    assert answer.status_code == 200, answer.text
    return {context["chunk_text"] for context in answer.json()["contexts"]}


@pytest.fixture
async def fresh(service: Service) -> Tenant:
    return await service.create_tenant()


async def test_a_chunk_is_retrievable_at_once_with_what_was_said_of_it(service: Service, fresh: Tenant) -> None:
    metadata = {"jurisdiction": "US", "product": ["wires", "checks"]}
    stored = await service.post("/ingest", fresh, "editor", chunk("A wire costs 25 USD.", metadata=metadata))
    assert stored.status_code == 201
    body = stored.json()
    assert (body["doc_id"], body["collection"], body["document_version"]) == ("pol-1", "default", 1)
    assert body["status"] == "approved"
    (context,) = (await service.post("/retrieve", fresh, "analyst", {"query": "wire"})).json()["contexts"]
    assert (context["chunk_id"], context["doc_id"], context["metadata"]) == (body["id"], "pol-1", metadata)
    assert (context["source_type"], context["collection"], context["rank"]) == ("policy", "default", 1)


async def test_a_batch_is_stored_in_its_order(service: Service, fresh: Tenant) -> None:
    chunks = [chunk(f"Wire rule number {n}.", doc_id=f"doc-{n % 7}") for n in range(40)]
    answer = await service.post("/ingest/batch", fresh, "editor", {"chunks": chunks})
    assert answer.status_code == 201
    assert answer.json()["ingested"] == 40
    contexts = (await service.post("/retrieve", fresh, "editor", {"query": "wire rule", "k": 100})).json()["contexts"]
    texts = {context["chunk_id"]: context["chunk_text"] for context in contexts}
    assert [texts[chunk_id] for chunk_id in answer.json()["ids"]] == [item["chunk_text"] for item in chunks]


async def test_each_document_of_a_batch_has_the_hash_of_its_own_texts(service: Service, fresh: Tenant) -> None:
    texts = {f"of-{one}": [f"Wire rule {one}.{n}." for n in range(one + 1)] for one in range(3)}
    batch = [chunk(text, doc_id=doc_id) for doc_id, held in texts.items() for text in held]
    assert (await service.post("/ingest/batch", fresh, "editor", {"chunks": batch})).status_code == 201
    for doc_id, held in texts.items():
        (document,) = (await service.get("/documents", fresh, "editor", doc_id=doc_id)).json()["documents"]
        version = (await service.get(f"/documents/{document['id']}/versions/1", fresh, "editor")).json()
        hashes = b"".join(sha256(text.encode()).digest() for text in held)
        assert version["content_sha256"] == sha256(hashes).hexdigest(), doc_id


async def test_a_batch_takes_as_many_statements_whatever_it_holds(
    service: Service, fresh: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noted(name: str) -> None:
        method = getattr(asyncpg.Connection, name)

        async def noting(self: asyncpg.Connection, statement: str, *arguments: Any, **more: Any) -> Any:
            asked.append(statement)
            return await method(self, statement, *arguments, **more)

        monkeypatch.setattr(asyncpg.Connection, name, noting)

    for name in ("execute", "executemany", "fetch", "fetchrow", "fetchval"):
        noted(name)

    async def statements(documents: int, chunks: int) -> list[str]:
        asked.clear()
        batch = [
            chunk(f"Wire rule {n}.", doc_id=f"of-{documents}-{one}") for one in range(documents) for n in range(chunks)
        ]
        stored = await service.post("/ingest/batch", fresh, "editor", {"chunks": batch})
        assert (stored.status_code, stored.json()["ingested"]) == (201, documents * chunks)
        return list(asked)

    await statements(1, 1)  # makes what is made once, such as the data key of the month
    few, many = await statements(2, 1), await statements(20, 3)
    assert many == few
    assert any("insert into documents.chunk " in statement for statement in few)


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        ({"collection": "nonesuch"}, 404),
        ({"chunk_text": "x" * 20_001}, 413),
        ({"metadata": {"a": "\0"}}, 422),
    ],
)
async def test_of_a_batch_with_one_bad_chunk_nothing_is_stored(
    service: Service, fresh: Tenant, bad: dict[str, Any], status: int
) -> None:
    chunks = [chunk("Wires cost 25 USD."), chunk("Wires take a day.") | bad]
    assert (await service.post("/ingest/batch", fresh, "editor", {"chunks": chunks})).status_code == status
    assert await found(service, fresh) == set()


async def test_the_same_text_in_the_same_document_is_stored_once(service: Service, fresh: Tenant) -> None:
    first = (await service.post("/ingest", fresh, "editor", chunk("Wires cost 25 USD."))).json()
    again = (await service.post("/ingest", fresh, "editor", chunk("Wires cost 25 USD."))).json()
    batch = [chunk("Wires cost 25 USD."), chunk("Wires are fast."), chunk("Wires are fast.")]
    ids = (await service.post("/ingest/batch", fresh, "editor", {"chunks": batch})).json()["ids"]
    assert again["id"] == first["id"] == ids[0]
    assert ids[1] == ids[2]
    elsewhere = (await service.post("/ingest", fresh, "editor", chunk("Wires cost 25 USD.", doc_id="pol-2"))).json()
    assert elsewhere["id"] != first["id"]
    answer = await service.post("/retrieve", fresh, "editor", {"query": "wires", "k": 100})
    assert len(answer.json()["contexts"]) == 3


async def test_writers_at_the_same_moment_store_each_chunk_once(service: Service, fresh: Tenant) -> None:
    chunks = [chunk(f"Wire rule number {n}.", doc_id=f"doc-{n % 3}") for n in range(12)]
    orders = (chunks, chunks[::-1], chunks[6:] + chunks[:6], chunks[:9])
    answers = await asyncio.gather(
        *(service.post("/ingest/batch", fresh, "editor", {"chunks": order}) for order in orders)
    )
    assert {answer.status_code for answer in answers} == {201}
    answer = await service.post("/retrieve", fresh, "editor", {"query": "wire rule", "k": 100})
    assert len(answer.json()["contexts"]) == 12


async def test_who_may_not_write_a_collection_is_refused(service: Service, fresh: Tenant) -> None:
    for user in ("analyst", "approver", "admin", "compliance", "partner"):
        assert (await service.post("/ingest", fresh, user, chunk("Wires."))).status_code == 403, user
    async with service.operator() as acting:
        await acting.create_collection(fresh.id, "read-only", "Read only")
        await acting.create_collection(fresh.id, "hidden", "Hidden")
        await acting.grant(fresh.id, "read-only", "read", principal_id=fresh.users["editor"])
    readable = await service.post("/ingest", fresh, "editor", chunk("Wires.", collection="read-only"))
    hidden = await service.post("/ingest", fresh, "editor", chunk("Wires.", collection="hidden"))
    assert (readable.status_code, hidden.status_code) == (403, 404)
    assert await found(service, fresh) == set()


async def test_a_grant_works_on_the_next_request(service: Service, fresh: Tenant) -> None:
    await service.post("/ingest", fresh, "editor", chunk("Wires cost 25 USD.", collection="restricted"))
    assert await found(service, fresh, "analyst") == set()
    async with service.operator() as acting:
        await acting.grant(fresh.id, "restricted", "read", principal_id=fresh.users["analyst"])
    assert await found(service, fresh, "analyst") == {"Wires cost 25 USD."}


async def test_one_doc_id_in_two_collections_is_two_documents(service: Service, fresh: Tenant) -> None:
    for collection in ("default", "restricted"):
        text = f"Wires as {collection} says."
        assert (await service.post("/ingest", fresh, "editor", chunk(text, collection=collection))).status_code == 201
    assert await found(service, fresh, "analyst") == {"Wires as default says."}
    assert await found(service, fresh, "editor", collection="restricted") == {"Wires as restricted says."}


async def test_what_needs_approval_is_a_draft_that_nobody_retrieves(service: Service, fresh: Tenant) -> None:
    await create_collection(service, fresh, "reviewed")
    stored = await service.post("/ingest", fresh, "editor", chunk("Wires cost 99 USD.", collection="reviewed"))
    assert (stored.status_code, stored.json()["status"]) == (201, "draft")
    for user in ("editor", "analyst", "approver"):
        assert await found(service, fresh, user) == set(), user
    answer = await service.post("/answer", fresh, "analyst", {"question": "What does a wire cost?"})
    assert answer.json()["refused"]


async def test_an_ingestion_is_on_record_with_the_hash_of_what_came_in(service: Service, fresh: Tenant) -> None:
    stored = await service.post("/ingest/batch", fresh, "editor", {"chunks": [chunk("Wires."), chunk("More wires.")]})
    (event,) = await service.events(fresh, request_id=stored.headers["x-request-id"])
    ingestion = event["event"]["ingestion"]
    assert (event["action"], event["principal_name"]) == ("document:ingested", "editor")
    assert (ingestion["chunks"], ingestion["added"], ingestion["document_count"]) == (2, 2, 1)
    assert ingestion["documents"][0] | {"id": ""} == {"doc_id": "pol-1", "id": "", "version": 1, "chunks": 2}
    assert len(ingestion["content_sha256"]) == 64


async def test_a_second_chunk_is_added_and_the_answer_says_what_the_version_holds(
    service: Service, fresh: Tenant
) -> None:
    first = (await service.post("/ingest", fresh, "editor", chunk("A wire is free for 60 days."))).json()
    second = (await service.post("/ingest", fresh, "editor", chunk("A wire is free for 90 days."))).json()
    again = (await service.post("/ingest", fresh, "editor", chunk("A wire is free for 60 days."))).json()
    assert [(answer["chunks"], answer["added"]) for answer in (first, second, again)] == [
        (1, True),
        (2, True),
        (2, False),
    ]
    assert again["chunk_ids"] == [first["id"], second["id"]]
    assert again["id"] == first["id"]
    assert again["document_version"] == 1


async def test_a_replacing_chunk_supersedes_what_the_document_held(service: Service, fresh: Tenant) -> None:
    await service.post("/ingest/batch", fresh, "editor", {"chunks": [chunk("Old wire fee."), chunk("Old wire limit.")]})
    new = await service.post("/ingest", fresh, "editor", chunk("New wire fee.", replace=True, metadata={"year": 2026}))
    assert new.status_code == 201, new.text
    assert (new.json()["document_version"], new.json()["chunks"], new.json()["status"]) == (2, 1, "approved")
    assert await found(service, fresh) == {"New wire fee."}
    more = (await service.post("/ingest", fresh, "editor", chunk("New wire limit."))).json()
    assert (more["document_version"], more["chunks"]) == (2, 2)
    assert await found(service, fresh) == {"New wire fee.", "New wire limit."}
    assert await found(service, fresh, filters={"year": 2026}) == {"New wire fee."}


async def test_the_chunks_of_a_document_are_put_in_place_of_others_from_a_date_on(
    service: Service, fresh: Tenant
) -> None:
    await service.post("/ingest", fresh, "editor", chunk("Old wire fee.", doc_id="fees/wires"))
    body = {
        "source_type": "policy", "effective_from": "2999-01-01T00:00:00Z",
        "chunks": [{"chunk_text": text} for text in ("New wire fee.", "New wire limit.", "New wire fee.")],
    }  # fmt: skip
    path, headers = "/documents/by-doc-id/fees/wires/chunks", await service.as_user(fresh, "editor")
    answer = await service.client.put(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    (document,) = answer.json()["documents"]
    assert (document["document_version"], document["chunks"], answer.json()["ingested"]) == (2, 2, 3)
    assert len(set(answer.json()["ids"])) == 2
    assert await found(service, fresh) == {"Old wire fee."}
    assert await found(service, fresh, as_of="2999-01-02") == {"New wire fee.", "New wire limit."}


async def test_nothing_is_appended_to_what_was_approved(service: Service, fresh: Tenant) -> None:
    await create_collection(service, fresh)
    await approved(service, fresh, "boxes", "Safe deposit boxes are drilled open after three years.")
    added = chunk("Wires are free.", doc_id="boxes", collection="guidance")
    refused = await service.post("/ingest", fresh, "editor", added)
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    replacing = (await service.post("/ingest", fresh, "editor", {**added, "replace": True})).json()
    assert (replacing["document_version"], replacing["status"]) == (2, "in_review")
    assert await found(service, fresh, collection="guidance", user="analyst") == {
        "Safe deposit boxes are drilled open after three years."
    }
