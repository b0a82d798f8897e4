"""Whose step comes first: who asks one thing at a time goes before who floods, and nobody waits for ever."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from backend import precedence
from backend.precedence import Precedence, step
from backend.retrieval.embedding.embedder import LocalEmbedder
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step of those that give way at a time; nothing is too long for a busy machine unless a test says so."""
    monkeypatch.setattr(precedence, "_FEW", 1)
    monkeypatch.setattr(precedence, "_LONG_SECONDS", 60.0)
    monkeypatch.setattr(precedence, "_REMEMBERED_SECONDS", 60.0)


@contextmanager
def here(order: Precedence, **tenants: int) -> Iterator[None]:
    """So many requests of each tenant, which do nothing."""
    with ExitStack() as stack:
        for tenant, requests in tenants.items():
            for _ in range(requests):
                stack.enter_context(order.present(tenant))
        yield


class Working:
    """Steps of tenants, which last until they are let go."""

    def __init__(self, order: Precedence) -> None:
        self.order = order
        self.begun: list[str] = []
        self._going: dict[str, asyncio.Event] = {}

    def begin(self, tenant: str, name: str) -> asyncio.Task[None]:
        self._going[name] = asyncio.Event()

        async def work() -> None:
            with self.order.present(tenant):
                async with step():
                    self.begun.append(name)
                    await self._going[name].wait()

        return asyncio.create_task(work())

    async def end(self, task: asyncio.Task[None], name: str) -> None:
        self._going[name].set()
        await task


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.002)


async def test_a_flood_waits_for_the_step_of_who_asks_one_thing() -> None:
    order = Precedence()
    working = Working(order)
    with here(order, flood=5):
        quiet = working.begin("quiet", "quiet")
        await asyncio.sleep(0)
        flood = working.begin("flood", "flood")
        await asyncio.sleep(0.05)
        assert working.begun == ["quiet"]
        await working.end(quiet, "quiet")
        await until(lambda: working.begun == ["quiet", "flood"])
        await working.end(flood, "flood")


async def test_who_asks_one_thing_does_not_wait_for_a_flood() -> None:
    order = Precedence()
    working = Working(order)
    with here(order, flood=5):
        flood = [working.begin("flood", f"flood-{number}") for number in range(3)]
        await until(lambda: len(working.begun) == 3)
        quiet = working.begin("quiet", "quiet")
        await asyncio.sleep(0)
        assert "quiet" in working.begun
        for number, task in enumerate(flood):
            await working.end(task, f"flood-{number}")
        await working.end(quiet, "quiet")


async def test_of_a_flood_one_step_goes_at_a_time_while_others_ask() -> None:
    order = Precedence()
    running, most, done = 0, 0, 0

    async def work() -> None:
        nonlocal running, most, done
        with order.present("flood"):
            async with step():
                running += 1
                most = max(most, running)
                await asyncio.sleep(0)
                running, done = running - 1, done + 1

    with here(order, quiet=1):
        await asyncio.gather(*(work() for _ in range(6)))
    assert (most, done) == (1, 6)
    most = 0
    alone = Precedence()
    order = alone
    await asyncio.gather(*(work() for _ in range(6)))
    assert most == 6, "whoever is alone has everything"


async def test_a_tenant_between_waits_for_nobody_who_asks_more() -> None:
    order = Precedence()
    working = Working(order)
    with here(order, quiet=1, some=2, flood=9):
        flood = working.begin("flood", "flood")
        await until(lambda: working.begun == ["flood"])
        some = working.begin("some", "some")
        await until(lambda: working.begun == ["flood", "some"])
        await working.end(flood, "flood")
        await working.end(some, "some")


async def test_nobody_gives_way_to_who_has_had_much_more() -> None:
    order = Precedence()
    working = Working(order)
    with here(order, flood=5, quiet=1):
        quiet = working.begin("quiet", "long")
        await until(lambda: working.begun == ["long"])
        await asyncio.sleep(0.05)
        await working.end(quiet, "long")
        quiet = working.begin("quiet", "again")
        await asyncio.sleep(0)
        flood = working.begin("flood", "flood")
        await until(lambda: working.begun == ["long", "again", "flood"])
        await working.end(quiet, "again")
        await working.end(flood, "flood")


async def test_a_step_that_hangs_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "_LONG_SECONDS", 0.05)
    order = Precedence()
    working = Working(order)
    with here(order, flood=5):
        hangs = working.begin("quiet", "hangs")
        await asyncio.sleep(0)
        flood = working.begin("flood", "flood")
        await until(lambda: "flood" in working.begun)
        await working.end(hangs, "hangs")
        await working.end(flood, "flood")


async def test_a_flood_waits_not_long_for_a_step_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    order = Precedence()
    working = Working(order)
    with here(order, flood=5, quiet=1):
        long = working.begin("flood", "long")
        await until(lambda: working.begun == ["long"])
        monkeypatch.setattr(precedence, "_LONG_SECONDS", 0.05)
        others = [working.begin("flood", f"flood-{number}") for number in range(2)]
        await until(lambda: len(working.begun) == 3)
        for number, other in enumerate(others):
            await working.end(other, f"flood-{number}")
        await working.end(long, "long")


async def test_a_step_within_a_step_does_not_wait() -> None:
    order = Precedence()

    async def within() -> None:
        async with step():
            pass

    with here(order, quiet=1, flood=5), order.present("flood"):
        async with asyncio.timeout(20), step():
            await asyncio.gather(within(), within())
            async with step():
                pass


async def test_parts_of_one_request_leave_nothing_behind() -> None:
    order = Precedence()

    async def part() -> None:
        async with step():
            await asyncio.sleep(0)

    with here(order, quiet=1, flood=5), order.present("flood"):
        await asyncio.gather(*(part() for _ in range(5)))
        assert [one.stepping for one in order._tenants.values()] == [0, 0]
        assert not order._giving_way


async def test_one_that_is_cancelled_while_it_waits_leaves_its_place() -> None:
    order = Precedence()
    working = Working(order)
    with here(order, flood=5):
        quiet = working.begin("quiet", "quiet")
        await asyncio.sleep(0)
        flood = [working.begin("flood", f"flood-{number}") for number in range(2)]
        await asyncio.sleep(0.01)
        flood[0].cancel()
        await asyncio.gather(flood[0], return_exceptions=True)
        await working.end(quiet, "quiet")
        await until(lambda: working.begun == ["quiet", "flood-1"])
        await working.end(flood[1], "flood-1")
    assert order._waiting == []


async def test_two_who_ask_one_thing_after_the_other_do_not_wait_for_each_other() -> None:
    order = Precedence()
    working = Working(order)
    first = working.begin("one", "first")
    await until(lambda: working.begun == ["first"])
    await working.end(first, "first")
    other = working.begin("other", "other")
    await asyncio.sleep(0)
    assert working.begun == ["first", "other"]
    await working.end(other, "other")


async def test_what_only_stays_open_makes_no_flood() -> None:
    order = Precedence()
    working = Working(order)
    with ExitStack() as stack:
        for _ in range(9):
            stack.enter_context(order.present("watching")).stays_open()
        quiet = working.begin("quiet", "quiet")
        await asyncio.sleep(0)
        other = working.begin("watching", "watching")
        await until(lambda: working.begun == ["quiet", "watching"])
        await working.end(quiet, "quiet")
        await working.end(other, "watching")


async def test_nobody_waits_for_who_is_not_known() -> None:
    order = Precedence()
    working = Working(order)
    going = asyncio.Event()

    async def strange() -> None:
        with order.present("address:203.0.113.7", known=False):
            async with step():
                await going.wait()

    with here(order, flood=5):
        stranger = asyncio.create_task(strange())
        await asyncio.sleep(0)
        flood = working.begin("flood", "flood")
        await asyncio.sleep(0)
        assert working.begun == ["flood"]
        await working.end(flood, "flood")
        going.set()
        await stranger


async def test_what_is_no_request_waits_for_nobody() -> None:
    async with step():
        pass


class Counting(Precedence):
    """Counts the steps that begin."""

    begun = 0

    def begin(self, request: precedence.PresentRequest) -> None:
        self.begun += 1
        super().begin(request)


async def test_a_request_begins_a_step_for_who_asks_and_for_what_it_does(service: Service, tenant: Tenant) -> None:
    await service.token(tenant, "analyst")
    before, order = service.services.admission, Counting()
    service.exchange(admission=replace(before, precedence=order))
    try:
        answer = await service.post("/retrieve", tenant, "analyst", {"query": "fees", "mode": "lexical"})
    finally:
        service.exchange(admission=before)
    assert answer.status_code == 200
    assert order.begun == 2


async def test_others_have_their_turn_between_the_windows_of_a_long_question_and_between_passages(
    model_home: Path,
) -> None:
    embedder = LocalEmbedder.load(model_home / "models", threads=1)
    text = " ".join(f"clause {number} of the agreement on fees" for number in range(110))
    order = Counting()
    with order.present("somebody"):
        vector = await embedder.embed_query(text)
        assert order.begun > 4
        assert (vector == embedder.encode_query(text)).all()
        order.begun = 0
        passages = await embedder.embed_passages([text, "a wire", "a fee"], ["Fees"] * 3)
        assert order.begun >= 3
        assert (passages == embedder.encode([text, "a wire", "a fee"], ["Fees"] * 3)).all()
