"""Small tenants are searched exactly in a shared partition, large ones by indexes of their own; moving loses nothing."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from backend.operation import placement
from backend.operation.service import OperatorError
from backend.retrieval import search
from backend.retrieval.stages import Partition, SearchPlan
from tests.benchmarks.synthetic import CHUNKS_PER_DOCUMENT
from tests.retrieval.large_tenant import LargeTenant
from tests.service import Service

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
CHUNKS = {"default": 1500, "restricted": 100}
ALL = ("default", "restricted")


def quietly(step: str, done: int, total: int) -> None:
    """Takes progress and shows none."""


@pytest.fixture(scope="module", autouse=True)
def low_crossover() -> AsyncIterator[None]:
    """Indexes pay from thousands of chunks; a test does with hundreds."""
    patch = pytest.MonkeyPatch()
    patch.setattr(search, "CROSSOVER", 500)
    yield
    patch.undo()


@pytest.fixture(scope="module")
async def small(service: Service) -> LargeTenant:
    return await LargeTenant.create(service, CHUNKS)


@pytest.fixture(scope="module")
async def promoted(service: Service) -> LargeTenant:
    large = await LargeTenant.create(service, CHUNKS)
    await placement.promote(service.database.owner_url, large.tenant.id, quietly)
    return large


async def test_a_small_tenant_is_compared_whole_by_one_scan_of_its_collections(small: LargeTenant) -> None:
    plan = await small.plan(search.queries.exact_search, 10, small.question(), [10, 10])
    scan, *others = re.findall(r"(\S+ Scan (?:using \S+ )?on chunk\S*)", plan)
    assert re.fullmatch(r"(Index|Heap) Scan (using chunk_shared_tenant_id_collection_id\w+ )?on chunk_shared", scan), (
        plan
    )
    assert all(other.startswith("Index Scan on chunk_shared_tenant_id_collection_id") for other in others), plan
    assert "chunk_0" not in plan, plan  # no partition of anyone's


async def test_a_large_tenant_is_searched_through_both_of_its_indexes(promoted: LargeTenant) -> None:
    plan = await promoted.plan(search.queries.indexed_search, 12, promoted.question(), [10, 100, [1], 400])
    name = f"chunk_{promoted.tenant.id.hex}"
    assert re.search(rf"Index Scan using {name}_dense_\w+ on {name}", plan), plan
    assert re.search(rf"Index Scan using {name}_sparse on {name}", plan), plan


async def test_what_has_a_rare_word_is_found_by_the_inverted_index(promoted: LargeTenant) -> None:
    question = promoted.question(mode="lexical", k=10)
    assert await promoted.with_terms(question, "default") == await promoted.exact(question, "default")
    assert await promoted.reads_of_inverted_index([1, 2, 3]) == 1


async def test_the_inverted_index_shows_nobody_what_row_level_security_hides(
    promoted: LargeTenant, service: Service
) -> None:
    question = promoted.question(mode="lexical", k=10)
    assert await promoted.with_terms(question, *ALL, searched="restricted")
    assert not await promoted.with_terms(question, "default", searched="restricted")
    assert not await promoted.with_terms(question, *ALL, known_at=datetime.now(UTC))
    stranger = replace(promoted, tenant=await service.create_tenant())
    assert not await stranger.with_terms(question, *ALL)
    connection = await asyncpg.connect(service.database.runtime_url)
    try:
        assert not await connection.fetch(
            "select retrieval.chunks_with_terms(array[1], array[$1::uuid], '{}/1000000000', 10)", promoted.tenant.id
        )
    finally:
        await connection.close()
    async with expired(promoted):
        assert not await promoted.with_terms(question, *ALL, searched="restricted")


@asynccontextmanager
async def expired(large: LargeTenant) -> AsyncIterator[None]:
    """Lets no chunk of the collection `restricted` be in force."""
    statement = "update documents.chunk set effective_to = $3 where tenant_id = $1 and collection_id = $2"
    connection = await asyncpg.connect(large.service.database.superuser_url)
    try:
        for end in (datetime(2021, 1, 1, tzinfo=UTC), None):
            await connection.execute(
                statement, large.tenant.id, large.collections["restricted"], end or datetime.max.replace(tzinfo=UTC)
            )
            if end:
                yield
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "lexical"])
async def test_the_indexes_find_what_comparing_everything_finds(promoted: LargeTenant, mode: str) -> None:
    found = wanted = 0
    for _ in range(15):
        question = promoted.question(mode=mode, k=10)
        ranking = await promoted.search(question, *ALL)
        assert (await promoted.covered(question, *ALL)).partition is Partition.PRIVATE
        assert ranking.plan is SearchPlan.INDEXED
        exact = await promoted.exact(question, *ALL)
        assert len(ranking.hits) == len(exact) == 10
        in_both = {hit.chunk_id for hit in ranking.hits} & set(exact)
        assert [hit.chunk_id for hit in ranking.hits if hit.chunk_id in in_both] == [i for i in exact if i in in_both]
        found += len(in_both)
        wanted += len(exact)
    assert found / wanted >= 0.99


@pytest.mark.parametrize("collections", [("default",), ("restricted",), ALL])
@pytest.mark.parametrize(
    "filters", [{"number": 7}, {"number": {"gte": 3}, "product": "c"}, {"product": ["a", "b", "c"]}]
)
async def test_filters_and_permissions_never_reduce_recall(
    promoted: LargeTenant, filters: dict[str, object], collections: tuple[str, ...]
) -> None:
    for mode in ("hybrid", "semantic", "lexical"):
        question = promoted.question(k=10, filters=filters, mode=mode)
        ranking = await promoted.search(question, *collections)
        assert [hit.chunk_id for hit in ranking.hits] == await promoted.exact(question, *collections)


async def test_distinct_texts_are_as_many_as_there_are_whether_or_not_the_indexes_yield_them(
    promoted: LargeTenant,
) -> None:
    await promoted.repeat_texts(distinct=30)
    for k, plan in ((5, SearchPlan.INDEXED), (50, SearchPlan.EXACT_AFTER_INDEX)):
        question = promoted.question(k=k, distinct=True)
        ranking = await promoted.search(question, *ALL)
        texts = [hit.sha256 for hit in ranking.hits]
        assert (len(set(texts)), ranking.plan) == (min(k, 30), plan)
        assert [hit.chunk_id for hit in ranking.hits] == await promoted.exact(question, *ALL)
        everything = [hit.sha256 for hit in (await promoted.search(question, *ALL, limit=1600)).hits]
        assert texts == list(dict.fromkeys(everything))[:k]


async def test_a_search_whose_sample_misleads_compares_everything_after_all(
    promoted: LargeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sanguine(*_: object) -> float:
        return search.EF_SEARCH

    monkeypatch.setattr(search, "_ef_search", sanguine)
    question = promoted.question(k=10, filters={"number": 7})
    ranking = await promoted.search(question, *ALL)
    assert [hit.chunk_id for hit in ranking.hits] == await promoted.exact(question, *ALL)


async def test_a_tenant_moves_both_ways_while_it_is_read_and_written(service: Service) -> None:
    large = await LargeTenant.create(service, {"default": 1500})
    owner_url, moving = service.database.owner_url, True
    question = large.question(k=20, mode="semantic")  # words weigh less or more with each chunk that is written
    expected = await large.exact(question, "default")
    written: list[str] = []

    async def write() -> None:
        while moving:
            chunk = {"doc_id": f"new-{len(written)}", "chunk_text": f"A note of {len(written)}.", "source_type": "memo"}
            answer = await service.post("/ingest", large.tenant, "editor", chunk)
            assert answer.status_code == 201, answer.text
            written.append(answer.json()["id"])

    async def read() -> int:
        reads = 0
        while moving:
            assert await large.exact(question, "default") == expected
            assert len((await large.search(question, "default")).hits) == 20
            reads += 1
        return reads

    working = [asyncio.create_task(write()), asyncio.create_task(read()), asyncio.create_task(write())]
    try:
        await placement.promote(owner_url, large.tenant.id, quietly)
        assert (await large.placed())["shared"] <= 2
        await placement.demote(owner_url, large.tenant.id, quietly)
    finally:
        moving = False
        _, reads, _ = await asyncio.gather(*working)
    assert reads
    assert written
    total = 1500 + len(set(written))  # the same text in the same document is stored once
    assert await large.placed() == {"private": 0, "shared": total, "distinct": total, "rows": total}


async def test_a_document_can_be_erased_while_it_is_being_moved(service: Service) -> None:
    large = await LargeTenant.create(service, {"default": 120})
    owner = await asyncpg.connect(service.database.owner_url)
    try:
        await owner.execute("select retrieval.create_private_partition($1)", large.tenant.id)
        row = await owner.fetchrow(
            "select id, document_id from documents.version where tenant_id = $1", large.tenant.id
        )
        async with owner.transaction():
            await placement.locked_versions(owner, large.tenant.id, [row["id"]])
            await owner.execute(
                placement.queries.move_chunks, large.tenant.id, placement.SHARED, large.tenant.id, [row["id"]]
            )
            headers = await service.as_user(large.tenant, "privacy")
            path, asked = f"/documents/{row['document_id']}", {"reason": "Request 118."}
            erasing = asyncio.create_task(service.client.delete(path, params=asked, headers=headers))
            await asyncio.sleep(0.5)
            assert not erasing.done()
        assert (await erasing).status_code == 200
    finally:
        await owner.close()
    assert (await large.placed())["rows"] == 120 - CHUNKS_PER_DOCUMENT


PROMOTE_AND_DIE = """
import asyncio, os, signal, sys, uuid
from backend.operation import placement
def die(step, done, total):
    if step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)
move = placement.promote if sys.argv[4] == "promote" else placement.demote
asyncio.run(move(sys.argv[1], uuid.UUID(sys.argv[2]), die))
"""


@pytest.mark.parametrize("step", ["moving", "indexing words"])
async def test_a_promotion_killed_at_any_step_is_carried_on(service: Service, step: str) -> None:
    large = await LargeTenant.create(service, {"default": 900})
    owner_url = service.database.owner_url
    for direction in ("promote", "demote"):
        died = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROMOTE_AND_DIE, owner_url, str(large.tenant.id), step if direction == "promote" else "moving",
            direction, env={**os.environ}, cwd=ROOT,
        )  # fmt: skip
        assert await died.wait() == -signal.SIGKILL
        placed = await large.placed()
        assert placed["distinct"] == placed["rows"] == 900
        question = large.question(k=10)
        assert [hit.chunk_id for hit in (await large.search(question, "default")).hits] == await large.exact(
            question, "default"
        )
        await retried(getattr(placement, direction), owner_url, large)
        where = "private" if direction == "promote" else "shared"
        assert (await large.placed())[where] == 900
    assert (await large.covered(large.question(), "default")).partition is Partition.SHARED


async def retried(move, owner_url: str, large: LargeTenant) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Carries a move on; the server needs a moment to notice that the killed client is gone."""
    for _ in range(600):
        try:
            return await move(owner_url, large.tenant.id, quietly)
        except OperatorError as busy:
            assert "already" in str(busy)  # noqa: PT017
            await asyncio.sleep(0.1)
    raise AssertionError


async def test_a_tenant_that_outgrew_the_shared_partition_is_proposed(
    small: LargeTenant, promoted: LargeTenant
) -> None:
    connection = await asyncpg.connect(small.service.database.owner_url)
    try:
        proposed = dict(await placement.proposals(connection, 1000))
    finally:
        await connection.close()
    assert proposed[small.tenant.slug] == 1600
    assert promoted.tenant.slug not in proposed


async def test_a_tenant_without_a_partition_cannot_be_demoted(small: LargeTenant) -> None:
    with pytest.raises(OperatorError, match="no partition"):
        await placement.demote(small.service.database.owner_url, small.tenant.id, quietly)
