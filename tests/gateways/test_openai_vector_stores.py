"""Vector stores, through the official client with strict validation of what comes back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import pytest

from tests.conftest import Service, Tenant
from tests.gateways.listening import listening

pytestmark = pytest.mark.anyio

FEE = "An outgoing domestic wire costs 25 dollars."


@pytest.fixture(scope="module")
async def address(service: Service) -> AsyncIterator[str]:
    async with listening(service) as url:
        yield url


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> None:
    for doc_id, text, country in (("wires", FEE, "US"), ("fees", "The monthly fee is 12 dollars.", "CA")):
        chunk = {"doc_id": doc_id, "chunk_text": text, "source_type": "policy", "metadata": {"country": country}}
        assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 201


@asynccontextmanager
async def client_of(service: Service, tenant: Tenant, user: str, address: str) -> AsyncIterator[openai.AsyncOpenAI]:
    key = (await service.as_user(tenant, user))["Authorization"].removeprefix("Bearer ")
    async with openai.AsyncOpenAI(
        base_url=f"{address}/v1", api_key=key, _strict_response_validation=True, max_retries=0
    ) as client:
        yield client


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
