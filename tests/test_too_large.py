"""What is too large, too long or too much is refused before it is read to its end."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.service import Service, Tenant, cloned_database, running, settings_for
from tests.test_bad_input import CHUNK, JSON, is_error

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def small(postgres: Any, run_secrets: Any, model_home: Any) -> AsyncIterator[Service]:
    """A service with small limits."""
    limits = {"max_body_bytes": 4096, "max_chunk_chars": 100, "max_batch_chunks": 3}
    async with (
        cloned_database(postgres) as database,
        running(settings_for(database, run_secrets, model_home, **limits), database) as started,
    ):
        yield started


@pytest.fixture(scope="module")
async def small_tenant(small: Service) -> Tenant:
    return await small.create_tenant()


async def test_a_body_that_says_that_it_is_too_large_is_not_read(small: Service) -> None:
    answer = await small.client.post("/ingest", content=b"x" * 4097, headers=JSON)
    assert is_error(answer, 413)
    assert answer.json()["error"] == "too_large"


async def test_a_body_that_turns_out_too_large_is_cut_off(small: Service, small_tenant: Tenant) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1024

    headers = {**await small.as_user(small_tenant, "editor"), **JSON}
    answer = await small.client.post("/ingest", content=pieces(), headers=headers)
    assert is_error(answer, 413), answer.text
    assert sent < 10


async def test_a_form_that_turns_out_too_large_is_cut_off(small: Service) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"a=" + b"x" * 1024 + b"&"

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert is_error(await small.client.post("/auth/token", content=pieces(), headers=headers), 413)


async def test_a_chunk_that_is_too_long_is_named(small: Service, small_tenant: Tenant) -> None:
    long = {**CHUNK, "chunk_text": "x" * 101}
    assert is_error(await small.post("/ingest", small_tenant, "editor", long), 413)
    batch = await small.post("/ingest/batch", small_tenant, "editor", {"chunks": [CHUNK, long]})
    assert is_error(batch, 413)
    assert "item 1" in batch.json()["detail"]


async def test_a_batch_of_too_many_chunks_is_refused(small: Service, small_tenant: Tenant) -> None:
    answer = await small.post("/ingest/batch", small_tenant, "editor", {"chunks": [CHUNK] * 4})
    assert is_error(answer, 422)
    assert "chunks" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/health", "/auth/me", "/no/such/route", "/docs", "/openapi.json", "/console/sign-in"]
)
async def test_no_answer_is_kept_on_its_way_or_taken_for_another_type(service: Service, path: str) -> None:
    headers = (await service.client.get(path)).headers
    assert headers.get_list("cache-control") == ["no-store"]
    assert headers.get_list("x-content-type-options") == ["nosniff"]
