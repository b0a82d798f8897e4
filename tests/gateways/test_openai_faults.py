"""What fails while an answer is made, in the words of OpenAI's protocol: a status before anything was sent, an event of the stream after."""

import json
import re
from typing import Any

import openai
import pytest

from tests.answers import model_server
from tests.answers.model_server import ModelServer
from tests.answers.test_streaming import refused_at_commit
from tests.factories import ingest
from tests.listening import listening
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio

FIRST, SECOND = "Wires leave before noon.", "A wire costs 25 dollars."
QUESTION = "When do wires leave, and what do they cost?"
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": QUESTION}]},
    "/v1/responses": {"input": QUESTION},
}


@pytest.fixture(scope="module", autouse=True)
async def documents(service: Service, tenant: Tenant) -> None:
    await ingest(service, tenant, "wires", f"{FIRST} {SECOND}")


@pytest.fixture(autouse=True)
def pausing(model: ModelServer) -> None:
    model.reply = model_server.pausing("Wires leave before noon [1]. A", 0.3, " wire costs 25 dollars [1].")


@pytest.mark.parametrize("path", BODIES)
async def test_a_fault_behind_the_first_sentence_ends_the_stream_with_an_error_that_clients_raise(
    with_model: Service, service: Service, tenant: Tenant, database: Database, path: str
) -> None:
    key = (await service.as_user(tenant, "analyst"))["Authorization"].removeprefix("Bearer ")
    async with refused_at_commit(database, "answer:returned"):
        answer = await with_model.post(path, tenant, "analyst", {**BODIES[path], "stream": True})
        async with listening(with_model) as url, openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key) as client:
            with pytest.raises(openai.APIError, match="unavailable"):
                await _read(client, path)
    assert answer.status_code == 200
    assert ("noon" in answer.text, "dollars" in answer.text) == (True, False)
    lines = [line for line in answer.text.splitlines() if line.startswith(("event: ", "data: "))]
    told = json.loads(lines[-1].removeprefix("data: "))
    assert told["error"]["request_id"] == answer.headers["x-request-id"]
    assert (told["error"]["code"], told["error"]["type"]) == ("unavailable", "server_error")
    assert "[DONE]" not in answer.text
    assert "response.completed" not in answer.text
    if path == "/v1/responses":
        assert (lines[-2], told["type"]) == ("event: error", "error")
        assert told["message"] == told["error"]["message"]
        numbers = re.findall(r'"sequence_number":(\d+)', answer.text)
        assert numbers == [str(number) for number in range(len(numbers))]


async def _read(client: openai.AsyncOpenAI, path: str) -> None:
    if path == "/v1/responses":
        async for _ in await client.responses.create(model="affidavit", input=QUESTION, stream=True):
            pass
        return
    messages: Any = BODIES[path]["messages"]
    async for _ in await client.chat.completions.create(model="affidavit", messages=messages, stream=True):
        pass


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
async def test_a_fault_before_anything_was_sent_has_a_status_and_is_not_tried_again(
    with_model: Service, service: Service, tenant: Tenant, model: ModelServer, path: str, *, stream: bool
) -> None:
    before = len(await service.events(tenant, action="prompt:submitted", limit=200))
    model.reply = model_server.failing(500)
    answer = await with_model.post(path, tenant, "analyst", {**BODIES[path], "stream": stream})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
    assert answer.json()["error"]["code"] == "unavailable"
    assert len(await service.events(tenant, action="prompt:submitted", limit=200)) == before + 1
