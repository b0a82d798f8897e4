"""A question is embedded while it is found out who asks it: for whom, by which models, and that it changes nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import structlog

from backend.retrieval.embedding.ahead import embedding_ahead, vector_of
from backend.retrieval.embedding.embedder import Embedder, LocalEmbedder, Vectors
from tests.factories import ingest
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

QUESTION = "What does an outgoing wire transfer cost?"
LONG = "x" * 2_000  # more than is read of a body before it is known whose it is


@dataclass
class Watched:
    """The embedder of a service, with each question and whether it was known already who asks it."""

    embedder: Embedder
    in_process: bool = True
    asked: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def model(self) -> str:
        return self.embedder.model

    @property
    def dimensions(self) -> int:
        return self.embedder.dimensions

    async def embed_query(self, text: str) -> Vectors:
        self.asked.append((text, "principal" in structlog.contextvars.get_contextvars()))
        return await self.embedder.embed_query(text)


@asynccontextmanager
async def watching(service: Service, *, in_process: bool = True) -> AsyncIterator[Watched]:
    retrieval = service.services.retrieval
    watched = Watched(retrieval.embedder, in_process)
    service.exchange(retrieval=replace(retrieval, embedder=watched))
    yield watched
    service.exchange(retrieval=retrieval)


@pytest.mark.parametrize("username", ["analyst", "partner"])
async def test_a_question_of_a_proven_caller_is_embedded_once_and_before_it_is_known_what_that_one_may(
    service: Service, tenant: Tenant, username: str
) -> None:
    await ingest(service, tenant, "wires", "An outgoing wire transfer costs 25 dollars.")
    first = await service.post("/retrieve", tenant, username, {"query": QUESTION})  # a key is remembered from now on
    async with watching(service) as watched:
        again = await service.post("/retrieve", tenant, username, {"query": QUESTION})
    assert watched.asked == [(QUESTION, False)]
    assert again.json()["contexts"] == first.json()["contexts"] != []


@pytest.mark.parametrize(
    ("body", "in_process", "asked"),
    [
        pytest.param({"query": QUESTION}, False, [(QUESTION, True)], id="a server's model learns no question before"),
        pytest.param({"query": LONG}, True, [(LONG, True)], id="long"),
        pytest.param({"query": QUESTION, "mode": "lexical"}, True, [], id="words alone are compared"),
        pytest.param({"query": ""}, True, [], id="empty"),
        pytest.param({"query": [QUESTION]}, True, [], id="no text"),
        pytest.param([QUESTION], True, [], id="no object"),
    ],
)
async def test_others_are_embedded_when_it_is_known_who_asks_or_not_at_all(
    service: Service, tenant: Tenant, *, body: object, in_process: bool, asked: list[tuple[str, bool]]
) -> None:
    async with watching(service, in_process=in_process) as watched:
        answer = await service.post("/retrieve", tenant, "analyst", body)
    assert watched.asked == asked
    readable = isinstance(body, dict) and body["query"] in (QUESTION, LONG)
    assert answer.status_code == (200 if readable else 422)


async def test_nothing_is_embedded_for_who_proves_nothing(service: Service, tenant: Tenant) -> None:
    token = await service.token(tenant, "analyst")
    forged = [f"{token[:-9]}{token[-9:][::-1]}", f"{tenant.partner_key[:-9]}{tenant.partner_key[-9:][::-1]}", "x", ""]
    async with watching(service) as watched:
        for credential in forged:
            headers = {"Authorization": f"Bearer {credential}"}
            assert (
                await service.client.post("/retrieve", json={"query": QUESTION}, headers=headers)
            ).status_code == 401
    assert watched.asked == []


async def test_who_may_not_ask_learns_nothing_from_what_was_embedded(service: Service, tenant: Tenant) -> None:
    async with watching(service) as watched:
        assert (await service.post("/retrieve", tenant, "compliance", {"query": QUESTION})).status_code == 403
    assert [text for text, _ in watched.asked] in ([QUESTION], [])


async def test_a_vector_is_that_of_the_text_and_the_model_that_are_asked_for(embedder: LocalEmbedder) -> None:
    own, other = await embedder.embed_query("a fee"), await embedder.embed_query("a card")
    watched = Watched(embedder)
    async with embedding_ahead(watched, "a fee"):
        assert (await vector_of(watched, "a fee")).tobytes() == own.tobytes()
        assert (await vector_of(watched, "a card")).tobytes() == other.tobytes()  # such as one with pseudonyms
        assert (await vector_of(Watched(embedder), "a fee")).tobytes() == own.tobytes()
        assert len(watched.asked) == 2
    assert (await vector_of(watched, "a fee")).tobytes() == own.tobytes()
    assert len(watched.asked) == 3


async def test_who_still_waits_for_a_vector_when_the_request_was_answered_gets_it(embedder: LocalEmbedder) -> None:
    watched = Watched(embedder)
    async with embedding_ahead(watched, "a fee"):  # as a stream, whose response is made before its sentences
        waiting = asyncio.create_task(vector_of(watched, "a fee"))
        await asyncio.sleep(0)
    assert (await waiting).tobytes() == (await embedder.embed_query("a fee")).tobytes()
    async with embedding_ahead(watched, "a card"):
        pass
    await asyncio.sleep(0)
    assert [text for text, _ in watched.asked] == ["a fee", "a card"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_question_to_be_answered_is_embedded_ahead_unless_it_follows_up(
    service: Service, tenant: Tenant, *, stream: bool
) -> None:
    first = (await service.post("/answer", tenant, "analyst", {"question": QUESTION})).json()["turn"]
    retrieval = service.services.retrieval
    async with watching(service) as watched:
        service.exchange(answering=replace(service.services.answering, retrieval=service.services.retrieval))
        for body in ({"question": QUESTION}, {"question": "And an incoming one?", "previous_turn": first}):
            answer = await service.post("/answer", tenant, "analyst", body | {"stream": stream})
            assert (answer.status_code, "event: error" in answer.text) == (200, False), answer.text
        service.exchange(answering=replace(service.services.answering, retrieval=retrieval))
    assert [known for _, known in watched.asked] == [False, True]


MCP = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
SPOKEN = {"io.modelcontextprotocol/protocolVersion": "2025-11-25"}
MESSAGES = [{"role": "user", "content": QUESTION}]
BEFORE = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello."}]


@pytest.mark.parametrize(
    ("path", "body", "known"),
    [
        ("/mcp", MCP | {"params": {"name": "search", "arguments": {"query": QUESTION}, "_meta": SPOKEN}}, [False]),
        ("/mcp", MCP | {"params": {"name": "ask", "arguments": {"question": QUESTION}, "_meta": SPOKEN}}, [False]),
        ("/v1/chat/completions", {"model": "affidavit", "messages": MESSAGES}, [False]),
        ("/v1/chat/completions", {"model": "affidavit", "messages": [{"role": "system", "content": "Be brief."}, *MESSAGES]}, [False]),
        ("/v1/chat/completions", {"model": "affidavit", "messages": [*BEFORE, *MESSAGES]}, [True]),
        ("/v1/responses", {"model": "affidavit", "input": QUESTION}, [False]),
    ],
)  # fmt: skip
async def test_other_doors_lose_no_time_against_the_route_that_they_wrap(
    service: Service, tenant: Tenant, path: str, body: dict[str, Any], known: list[bool]
) -> None:
    headers = await service.as_user(tenant, "analyst") | {"Accept": "application/json, text/event-stream"}
    async with watching(service) as watched:
        service.exchange(answering=replace(service.services.answering, retrieval=service.services.retrieval))
        answer = await service.client.post(path, json=body, headers=headers)
    service.exchange(answering=replace(service.services.answering, retrieval=service.services.retrieval))
    assert answer.status_code == 200, answer.text
    assert [known for _, known in watched.asked] == known


async def test_who_stops_waiting_for_a_vector_takes_it_from_nobody(embedder: LocalEmbedder) -> None:
    watched = Watched(embedder)
    async with embedding_ahead(watched, "a fee"):
        waiting = asyncio.create_task(vector_of(watched, "a fee"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (await vector_of(watched, "a fee")).shape == (embedder.dimensions,)
    assert len(watched.asked) == 1
