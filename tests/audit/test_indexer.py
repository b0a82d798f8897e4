"""The index by documents and words: what reviewers search for is there at once, entered once, and planted by nobody."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from backend.audit import indexer
from backend.audit.indexer import Indexer
from backend.database import Pool, open_pool
from tests.factories import ingest
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio

ENTRIES = """
select (select count(*) from audit.event_document where tenant_id = $1) as documents,
  (select count(*) from audit.payload_term where tenant_id = $1) as words,
  (select count(*) from audit.unindexed where tenant_id = $1) as waiting
"""


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    opened = await open_pool(database.sealer_url, size=4, timeout=5)
    yield opened
    await opened.close()


async def asked(service: Service, times: int = 1) -> Tenant:
    """A tenant with one document, about which its analyst has asked."""
    tenant = await service.create_tenant()
    await ingest(service, tenant, "fees", "A wire transfer costs 25 dollars.")
    for _ in range(times):
        answer = await service.post("/retrieve", tenant, "analyst", {"query": "zebra wire"})
        assert answer.status_code == 200
    return tenant


async def index_everything(pool: Pool) -> None:
    while await Indexer(pool).index():
        pass


async def test_what_is_searched_for_before_it_is_indexed_is_found_all_the_same(
    service: Service, superuser: asyncpg.Connection
) -> None:
    tenant = await asked(service)
    assert (await superuser.fetchrow(ENTRIES, tenant.id))["waiting"]
    assert len(await service.events(tenant, q="zebra", reason="complaint 17")) == 1
    readers = await service.get("/audit/documents/fees/readers", tenant, "compliance")
    assert [reader["action"] for reader in readers.json()["readers"]] == ["retrieval:executed"]


async def test_competing_indexers_and_reviewers_enter_each_event_once(
    service: Service, superuser: asyncpg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await asked(service, times=12)
    monkeypatch.setattr(indexer, "BATCH_EVENTS", 2)
    searches = [service.events(tenant, document="fees", action="retrieval:executed") for _ in range(4)]
    found, *_ = await asyncio.gather(asyncio.gather(*searches), *(index_everything(pool) for _ in range(3)))
    assert [len(events) for events in found] == [12] * 4
    await index_everything(pool)
    # The document was written once and retrieved twelve times; each question has two words and the mark of the search key.
    assert dict(await superuser.fetchrow(ENTRIES, tenant.id)) == {"documents": 13, "words": 36, "waiting": 0}


async def test_a_running_indexer_outlives_a_database_that_throws_it_out(
    service: Service, superuser: asyncpg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "INTERVAL_SECONDS", 0.01)
    running = asyncio.create_task(Indexer(pool).run())
    await asyncio.sleep(0.05)
    await superuser.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'affidavit_sealer'")
    tenant = await asked(service)
    while (await superuser.fetchrow(ENTRIES, tenant.id))["waiting"]:
        assert not running.done()
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("indexed_before", [False, True])
async def test_what_another_transaction_says_of_an_event_gets_into_no_index(
    service: Service, superuser: asyncpg.Connection, pool: Pool, *, indexed_before: bool
) -> None:
    tenant = await asked(service)
    if indexed_before:
        await index_everything(pool)
    event = (await service.events(tenant, action="retrieval:executed"))[0]["id"]
    before = await superuser.fetchrow(ENTRIES, tenant.id)
    planted = [
        f"insert into audit.payload (tenant_id, event_id, name, key_id, ciphertext, terms)"
        f" select tenant_id, event_id, 'planted', key_id, '', '{{7}}' from audit.payload"
        f" where event_id = '{event}' and name = 'query'",
        f"insert into audit.unindexed (tenant_id, event_id, doc_ids, action, outcome)"
        f" values ('{tenant.id}', '{event}', '{{planted}}', 'x', 'y') on conflict do nothing",
    ]
    for statement in planted:
        await superuser.execute(statement)
    await index_everything(pool)
    after = await superuser.fetchrow(ENTRIES, tenant.id)
    own = {"documents": 2, "words": 3, "waiting": 0}
    assert dict(after) == own, dict(before)
    assert await service.events(tenant, document="planted") == []


async def test_texts_that_were_erased_before_they_were_indexed_leave_no_words(
    service: Service, superuser: asyncpg.Connection, pool: Pool
) -> None:
    tenant = await asked(service)
    await superuser.execute("delete from audit.payload where tenant_id = $1", tenant.id)
    await index_everything(pool)
    assert dict(await superuser.fetchrow(ENTRIES, tenant.id)) == {"documents": 2, "words": 0, "waiting": 0}
