"""The event loop is free while texts are embedded: one tenant's ingestion does not hold up another's question."""

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import httpx
import pytest

from backend.retrieval.embedding.embedder import LocalEmbedder
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

LONGEST = 0.2  # seconds of a slow processor that one turn of the loop may take


class Watch:
    """Measures each turn of the loop in processor time of its thread: on a busy machine, waiting for a core is not blocking."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.culprit = ""
        self._thread = threading.get_ident()

    def around(self, run: Any) -> Any:
        def timed(handle: asyncio.Handle) -> None:
            started = time.thread_time()
            run(handle)
            taken = time.thread_time() - started
            if threading.get_ident() == self._thread and taken > self.longest:
                self.longest, self.culprit = taken, repr(handle)

        return timed


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watch]:
    watching = Watch()
    monkeypatch.setattr(asyncio.Handle, "_run", watching.around(asyncio.Handle._run))
    gc.disable()  # what other tests left is not this loop's to collect
    yield watching
    gc.enable()


@pytest.fixture
def warm(service: Service, tenant: Tenant) -> Awaitable[None]:
    """The first request of a route builds its validators, once in a process's life."""

    async def ask() -> None:
        await service.post("/ingest", tenant, "editor", {"doc_id": "d", "chunk_text": "A fee.", "source_type": "x"})
        await service.post("/retrieve", tenant, "analyst", {"query": "fee"})

    return ask()


async def test_ingestion_and_questions_never_block_the_loop(
    service: Service, tenant: Tenant, warm: Awaitable[None], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    await warm
    watch.longest = 0.0
    text = "The fee for late payment is charged monthly. " * 40
    chunks = [{"doc_id": f"d{n}", "chunk_text": f"Passage {n}. {text}", "source_type": "x"} for n in range(60)]
    local, embedding = service.services.embedder, set[int]()
    assert isinstance(local, LocalEmbedder)
    run = local._run
    monkeypatch.setattr(local, "_run", lambda ids: embedding.add(threading.get_ident()) or run(ids))  # type: ignore[func-returns-value]
    answers: list[httpx.Response] = await asyncio.gather(
        service.post("/ingest/batch", tenant, "editor", {"chunks": chunks}),
        *(
            service.post("/retrieve", tenant, "analyst", {"query": f"late payment {n} " * 100, "k": 50})
            for n in range(10)
        ),
    )
    assert {answer.status_code for answer in answers} == {200, 201}
    assert embedding
    assert threading.get_ident() not in embedding
    assert watch.longest < LONGEST, watch.culprit


async def test_the_watch_sees_a_loop_that_is_blocked(watch: Watch) -> None:
    async def block() -> None:
        until = time.thread_time() + 2 * LONGEST
        while time.thread_time() < until:
            pass

    await asyncio.create_task(block())
    assert watch.longest > LONGEST
