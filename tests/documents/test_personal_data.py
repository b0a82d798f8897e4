"""Personal data in what is ingested: counted, put under pseudonyms, or refused, as its collection wants it."""

from typing import Any

import pytest

from backend.identity.callers.permissions import Role
from tests.factories import create_collection, ingested
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

ACCOUNT, CARD, MAIL = "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111", "jane.roe@example.com"
TEXT = f"The fee of Jane Roe is taken from {ACCOUNT}. She writes from {MAIL}."


async def make(service: Service, tenant: Tenant, slug: str, policy: str) -> None:
    """A collection that the editor fills without approval and the analyst reads."""
    await create_collection(service, tenant, slug, approval_required=False, personal_data=policy)


@pytest.fixture(scope="module")
async def tenant(service: Service) -> Tenant:
    tenant = await service.create_tenant()
    for policy in ("mask", "refuse"):
        await make(service, tenant, policy, policy)
    return tenant


async def ingest(service: Service, tenant: Tenant, collection: str, text: str, doc_id: str = "d") -> Any:
    body = {"doc_id": doc_id, "chunk_text": text, "source_type": "policy", "collection": collection}
    return await service.post("/ingest", tenant, "editor", body)


async def held(service: Service, tenant: Tenant, collection: str, doc_id: str = "d") -> dict[str, int]:
    """What the newest version of a document says that it holds."""
    params = {"collection": collection, "doc_id": doc_id}
    (document,) = (await service.get("/documents", tenant, "editor", **params)).json()["documents"]
    view = (await service.get(f"/documents/{document['id']}", tenant, "editor")).json()
    counts: dict[str, int] = view["versions"][0]["personal_data"]
    return counts


async def test_by_default_it_is_counted_on_the_version_and_on_record_and_never_told(
    service: Service, tenant: Tenant
) -> None:
    assert (await ingest(service, tenant, "default", TEXT)).status_code == 201
    assert await held(service, tenant, "default") == {"email": 1, "iban": 1}
    assert (await ingest(service, tenant, "default", f"Her card is {CARD}.")).status_code == 201
    assert await held(service, tenant, "default") == {"card": 1, "email": 1, "iban": 1}
    newest, before = await service.events(tenant, action="document:ingested", limit=2)
    assert newest["event"]["ingestion"]["personal_data"] == {"card": 1}
    assert before["event"]["ingestion"]["personal_data"] == {"email": 1, "iban": 1}
    assert not any(value in str(event) for event in (newest, before) for value in (CARD, ACCOUNT, MAIL))
    answer = await service.post("/retrieve", tenant, "analyst", {"query": "fee of Jane Roe", "collection": "default"})
    assert ACCOUNT in answer.text


async def test_where_it_is_masked_what_is_found_has_pseudonyms_by_which_it_is_found_again(
    service: Service, tenant: Tenant
) -> None:
    assert (await ingest(service, tenant, "mask", TEXT, "jane")).status_code == 201
    for number in range(3):
        other = f"The fee of customer {number} is taken from her account."
        assert (await ingest(service, tenant, "mask", other, f"other-{number}")).status_code == 201
    asked = {"query": f"Whose account is {ACCOUNT.replace(' ', '')}?", "collection": "mask", "mode": "lexical"}
    answer = await service.post("/retrieve", tenant, "analyst", asked)
    first = answer.json()["contexts"][0]
    assert first["doc_id"] == "jane"
    assert not any(value in str(shown) for value in (ACCOUNT, MAIL) for shown in answer.json()["contexts"])
    assert "is taken from [IBAN-" in first["chunk_text"]
    assert "writes from [EMAIL-" in first["chunk_text"]
    quoted = {"query": f'"taken from {ACCOUNT}"', "collection": "mask", "k": 2}
    assert (await service.post("/retrieve", tenant, "analyst", quoted)).json()["contexts"][0]["doc_id"] == "jane"
    (event,) = await service.events(tenant, action="retrieval:executed", limit=1)
    assert event["event"]["retrieval"]["personal_data"] == {"iban": 1}
    assert (await service.post("/retrieve", tenant, "analyst", asked)).json()["contexts"][0] == first


async def test_another_tenant_has_other_pseudonyms(service: Service, tenant: Tenant) -> None:
    other = await service.create_tenant()
    await make(service, other, "mask", "mask")
    shown = []
    for owner in (tenant, other):
        assert (await ingest(service, owner, "mask", f"Same account {ACCOUNT}.", "same")).status_code == 201
        asked = {"query": "same account", "collection": "mask", "k": 1}
        shown.append((await service.post("/retrieve", owner, "analyst", asked)).json()["contexts"][0]["chunk_text"])
    assert shown[0] != shown[1]


async def test_where_it_is_refused_nothing_is_taken_and_that_is_on_record(service: Service, tenant: Tenant) -> None:
    submitted = {
        "doc_id": "v", "source_type": "policy", "collection": "refuse", "chunks": [{"text": "Fine."}, {"text": TEXT}],
    }  # fmt: skip
    answers = [
        await ingest(service, tenant, "refuse", TEXT),
        await service.post("/documents/versions", tenant, "editor", submitted),
    ]
    for answer in answers:
        assert answer.status_code == 422
        assert answer.json()["detail"].endswith("1 of kind email, 1 of kind iban.")
    events = await service.events(tenant, action="document:ingested", outcome="denied", limit=2)
    assert [event["event"]["personal_data"] for event in events] == [{"email": 1, "iban": 1}] * 2
    assert events[0]["reason"] == "personal_data:refused"
    assert not (await service.get("/documents", tenant, "editor", collection="refuse")).json()["documents"]
    assert (await ingest(service, tenant, "refuse", "Accounts are never named.")).status_code == 201


@pytest.mark.parametrize("collection", ["default", "mask", "refuse"])
async def test_a_file_is_treated_alike(service: Service, tenant: Tenant, collection: str) -> None:
    content = f"# Fees\n\n{TEXT}\n\n{TEXT}\n".encode()
    name = f"{collection}.md"
    job = await ingested(service, tenant, name, content, source_type="policy", collection=collection)
    if collection == "refuse":
        assert job["status"] == "failed"
        assert job["error"]["code"] == "personal_data"
        assert not (await service.get("/documents", tenant, "editor", collection="refuse", doc_id=name)).json()[
            "documents"
        ]
        return
    assert job["result"]["personal_data"] == {"email": 1, "iban": 1}
    assert await held(service, tenant, collection, name) == {"email": 1, "iban": 1}
    asked = {"query": "fee of Jane Roe", "collection": collection, "k": 20}
    contexts = (await service.post("/retrieve", tenant, "analyst", asked)).json()["contexts"]
    (text,) = (context["chunk_text"] for context in contexts if context["doc_id"] == name)
    assert (ACCOUNT in text) is (collection == "default")


async def test_a_question_with_personal_data_is_not_asked_of_a_collection_that_takes_none(
    service: Service, tenant: Tenant
) -> None:
    asked = {"query": f"What do we know of {MAIL}?"}
    for path, body in (("/retrieve", asked), ("/answer", {"question": asked["query"]})):
        answer = await service.post(path, tenant, "analyst", body)
        assert answer.status_code == 422, answer.text
        assert "'refuse'" in answer.json()["detail"]
        (event,) = await service.events(tenant, action="question:refused", limit=1)
        assert (event["outcome"], event["event"]["personal_data"]) == ("denied", {"email": 1})
        assert event["event"]["collections"] == ["refuse"]
        assert MAIL not in str(event)
    named = {**asked, "collection": ["default", "mask"]}
    assert (await service.post("/retrieve", tenant, "analyst", named)).status_code == 200
    why = {**asked, "doc_id": "d", "collection": "refuse"}
    assert (await service.post("/retrieve/why", tenant, "analyst", why)).status_code == 422


async def test_to_be_less_strict_needs_two_people_and_to_be_stricter_one(service: Service, tenant: Tenant) -> None:
    await service.add_user(tenant, "admin2", Role.ADMIN)
    await make(service, tenant, "changing", "tell")

    async def change(username: str, policy: str) -> int:
        headers = await service.as_user(tenant, username)
        body = {"personal_data": policy}
        return (await service.client.patch("/collections/changing", json=body, headers=headers)).status_code

    assert (await ingest(service, tenant, "changing", TEXT)).status_code == 201
    assert await change("admin", "refuse") == 200
    asked = {"query": "fee of Jane Roe", "collection": "changing"}
    answer = await service.post("/retrieve", tenant, "analyst", asked)
    assert ACCOUNT not in answer.text  # what was taken before is shown with pseudonyms
    assert await change("admin", "mask") == 202
    assert await change("admin", "mask") == 202
    assert (await service.get("/collections/changing", tenant, "admin")).json()["personal_data"] == "refuse"
    assert await change("admin2", "mask") == 200
    assert await change("admin", "tell") == 202
    assert await change("admin2", "tell") == 200
    assert ACCOUNT in (await service.post("/retrieve", tenant, "analyst", asked)).text
    changed = await service.events(tenant, action="collection:changed", limit=1)
    assert changed[0]["event"]["personal_data"] == "tell"
