"""Every question gets an end on record, whatever happens to it between its prompt and its answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from backend.answers.extractive import ExtractiveGenerator
from backend.answers.generator import GeneratorError, GeneratorUnavailable
from backend.errors import Unavailable
from tests.factories import ingest
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

QUESTION = {"question": "When do wires leave?"}
ENDS = {"answer:returned", "answer:refused", "answer:aborted"}
FAULTS = (
    GeneratorError("it says what is none"), GeneratorUnavailable("it is away"), Unavailable(), RuntimeError("a bug"), RecursionError(),
    MemoryError(), TimeoutError(), OSError(28, "no space left"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"),
)  # fmt: skip


@pytest.fixture(scope="module")
async def tenant(service: Service) -> Tenant:
    """A tenant with a document."""
    tenant = await service.create_tenant()
    await ingest(service, tenant, "wires", "Wires leave before noon.")
    return tenant


@asynccontextmanager
async def unwritable_end(service: Service, failure: str) -> AsyncIterator[None]:
    """Has the database fail when the end of a turn is written that shows something; that it was aborted can be written."""
    superuser = await asyncpg.connect(service.database.superuser_url)
    try:
        await superuser.execute(f"""
            create function public.fail() returns trigger language plpgsql as $$
            begin if new.action in ('answer:returned', 'answer:refused') then {failure}; end if; return null; end $$;
            create trigger fail after insert on audit.event for each row execute function public.fail()
        """)
        yield
    finally:
        await superuser.execute("drop trigger if exists fail on audit.event; drop function if exists public.fail()")
        await superuser.close()


def fail_to_generate(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    """Has the generator fail, as one that is another's program may; everything that decides what is shown and kept is real."""

    async def generate(*_: object, **__: object) -> None:
        raise fault

    async def stream(*_: object) -> AsyncIterator[object]:
        raise fault
        yield

    monkeypatch.setattr(ExtractiveGenerator, "generate", generate)
    monkeypatch.setattr(ExtractiveGenerator, "stream", stream)


async def last_turn(service: Service, tenant: Tenant) -> list[dict[str, Any]]:
    """Returns the events of the newest question of a tenant that had a prompt, newest first."""
    events = await service.events(tenant, limit=50)
    turn = next(event for event in events if event["action"] == "prompt:submitted")["event"]["turn"]
    return [event for event in events if event["event"].get("turn") == turn]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_whatever_fails_in_a_generator_ends_the_turn_on_record_and_shows_nothing(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, *, stream: bool, fault: Exception
) -> None:
    fail_to_generate(monkeypatch, fault)
    answer = await service.post("/answer", tenant, "analyst", {**QUESTION, "stream": stream})
    monkeypatch.undo()
    await assert_aborted(service, tenant, answer)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("failure", ["raise exception 'no'", "perform pg_terminate_backend(pg_backend_pid())"])
async def test_an_answer_that_cannot_be_recorded_ends_the_turn_on_record_and_is_not_shown(
    service: Service, tenant: Tenant, *, stream: bool, failure: str
) -> None:
    async with unwritable_end(service, failure):
        answer = await service.post("/answer", tenant, "analyst", {**QUESTION, "stream": stream})
    assert "before noon" not in answer.text
    await assert_aborted(service, tenant, answer)


async def assert_aborted(service: Service, tenant: Tenant, answer: httpx.Response) -> None:
    assert answer.status_code in {500, 503} or "event: error" in answer.text
    (end,) = [event for event in await last_turn(service, tenant) if event["action"] in ENDS]
    assert (end["action"], end["outcome"]) == ("answer:aborted", "aborted")
    assert end["reason"]


async def test_a_question_to_which_nothing_happens_has_one_end_too(service: Service, tenant: Tenant) -> None:
    assert (await service.post("/answer", tenant, "analyst", QUESTION)).status_code == 200
    (end,) = [event for event in await last_turn(service, tenant) if event["action"] in ENDS]
    assert end["outcome"] == "succeeded"
