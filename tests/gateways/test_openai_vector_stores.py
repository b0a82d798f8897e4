"""Vector stores, through the official client with strict validation of what comes back."""

import openai
import pytest

from tests.factories import ingest
from tests.gateways.openai_client import client_of
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

FEE = "An outgoing domestic wire costs 25 dollars."


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> None:
    for doc_id, text, country in (("wires", FEE, "US"), ("fees", "The monthly fee is 12 dollars.", "CA")):
        await ingest(service, tenant, doc_id, text, metadata={"country": country})


async def test_a_partner_searches_the_collections_that_it_may_read(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "partner", address) as client:
        stores = [store async for store in client.vector_stores.list()]
        assert [store.name for store in stores] == ["default"]
        assert (await client.vector_stores.retrieve(stores[0].id)).id == stores[0].id
        found = [hit async for hit in await client.vector_stores.search(stores[0].id, query="What does a wire cost?")]  # type: ignore[misc]
        assert found[0].filename == "wires"
        assert found[0].content[0].text == FEE
        assert all(0 <= hit.score <= 1 for hit in found)


async def test_filters_of_the_client_narrow_the_search(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        store = (await client.vector_stores.list()).data[0]
        page = await client.vector_stores.search(
            store.id,
            query=["fee", "wire"],
            filters={"type": "and", "filters": [{"type": "eq", "key": "country", "value": "CA"}]},
        )
        assert {hit.filename for hit in page.data} == {"fees"}
        with pytest.raises(openai.BadRequestError) as refused:
            await client.vector_stores.search(store.id, query="fee", filters={"type": "like", "key": "a", "value": "b"})  # type: ignore[arg-type]
        assert (refused.value.param, refused.value.code) == ("filters", "unsupported_parameter")


async def test_files_are_versions_of_documents(service: Service, tenant: Tenant, address: str, filled: None) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        store = (await client.vector_stores.list()).data[0]
        files = [file async for file in client.vector_stores.files.list(store.id, limit=1)]
        wires = next(file for file in files if file.attributes and file.attributes["doc_id"] == "wires")
        assert wires.id.endswith("_v1")
        assert (await client.vector_stores.files.retrieve(wires.id, vector_store_id=store.id)).status == "completed"
        parts = [part async for part in client.vector_stores.files.content(wires.id, vector_store_id=store.id)]
        assert [part.text for part in parts] == [FEE]


async def test_another_tenants_store_and_a_made_up_one_are_not_there(
    service: Service, tenant: Tenant, other_tenant: Tenant, address: str
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        own = (await client.vector_stores.list()).data[0]
    async with client_of(service, other_tenant, "analyst", address) as foreign:
        for store in (own.id, "vs_" + "0" * 32, "vs_1"):
            with pytest.raises(openai.NotFoundError):
                await foreign.vector_stores.retrieve(store)


async def test_nobody_unknown_gets_in(address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="made-up", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.vector_stores.list()
    assert refused.value.code == "unauthenticated"


async def test_lists_are_turned_in_both_directions(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        store = (await client.vector_stores.list()).data[0].id
        oldest_first = [f.id async for f in client.vector_stores.files.list(store, limit=1, order="asc")]
        newest_first = [f.id async for f in client.vector_stores.files.list(store, limit=1)]
        assert len(oldest_first) > 1
        assert newest_first == oldest_first[::-1]
        back = await client.vector_stores.files.list(store, limit=1, order="asc", before=oldest_first[-1])
        assert [file.id for file in back.data] == [oldest_first[-2]]
        first = await client.vector_stores.files.list(store, order="asc", before=oldest_first[0])
        assert first.data == []
        assert (await client.vector_stores.files.list(store, filter="failed")).data == []
        done = await client.vector_stores.files.list(store, filter="completed")
        assert {file.id for file in done.data} == set(oldest_first)
        assert (await client.vector_stores.list(after=store)).data == []
        assert (await client.vector_stores.list(before="vs_" + "f" * 32, order="asc")).data[0].id == store


async def test_a_search_names_its_collection_on_record(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    """The id that the client sends is one of our ids; reviewers look for names, and a replay searches by them."""
    async with client_of(service, tenant, "analyst", address) as client:
        store = (await client.vector_stores.list()).data[0]
        await client.vector_stores.search(store.id, query="What does a wire cost?")
        with pytest.raises(openai.NotFoundError):
            await client.vector_stores.search("vs_" + "0" * 32, query="What does a wire cost?")
    newest = (await service.events(tenant, action="retrieval:executed", limit=1))[0]["event"]["retrieval"]
    assert newest["collection"] == store.name
    assert newest["chunk_count"] > 0
