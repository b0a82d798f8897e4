"""What real model servers do, each a little differently, and what hostile ones do: an answer, or an error of the model server."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import SecretStr

from backend import bounded_http
from backend.answers.generator import (
    MODEL_REFUSED,
    MODEL_SILENT,
    NOT_SUPPORTED,
    Generation,
    GeneratorUnavailable,
)
from backend.answers.openai_compatible import OpenAICompatibleGenerator
from backend.answers.prompt import REFUSAL, render
from backend.settings.answers import ModelServerSettings
from tests.answers import model_server
from tests.answers.grounding_model import grounding
from tests.answers.model_server import ModelServer, Reply
from tests.answers.passages import answer_of, passages

pytestmark = pytest.mark.anyio

PROMPT = render(
    "What do domestic and international wires cost?",
    passages(
        "Domestic wires cost $25 per transfer. International wires cost $45 per transfer.",
        "Customers must file a card dispute within 60 days of the statement date.",
    ),
)
BOTH = "Domestic wires cost $25 per transfer. [1] International wires cost $45 per transfer. [2]"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def running_server() -> Iterator[ModelServer]:
    with model_server.running() as server:
        yield server


@pytest.fixture
def server(running_server: ModelServer) -> ModelServer:
    running_server.requests.clear()
    running_server.headers.clear()
    return running_server


@pytest.fixture
async def generator(server: ModelServer) -> AsyncIterator[OpenAICompatibleGenerator]:
    created = OpenAICompatibleGenerator(
        ModelServerSettings(name="m", url=server.url, timeout=60.0, max_tokens=500), grounding(), max_retries=0
    )
    yield created
    await created.aclose()


async def answered(generator: OpenAICompatibleGenerator, *, stream: bool) -> Generation:
    if not stream:
        return await generator.generate(PROMPT)
    *_, last = [item async for item in generator.stream(PROMPT)]
    assert isinstance(last, Generation)
    return last


both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

SHAPES = {
    "a numbered list": "1. Domestic wires cost $25 per transfer [1].\n2. International wires cost $45 per transfer [1].",
    "bullets": "- Domestic wires cost $25 per transfer [1].\n- International wires cost $45 per transfer [1].",
    "a heading and emphasis": "## Wires\n\n**Domestic wires** cost $25 per transfer [1]. International wires cost $45 per transfer [1].",
    "lenticular brackets": "Domestic wires cost $25 per transfer【1】. International wires cost $45 per transfer【1†source】.",
    "named passages": "Domestic wires cost $25 per transfer [Passage 1]. International wires cost $45 per transfer [passage-1].",
    "double brackets": "Domestic wires cost $25 per transfer [[1]]. International wires cost $45 per transfer [[1]].",
    "one citation for a paragraph": "Domestic wires cost $25 per transfer. International wires cost $45 per transfer [1].",
    "a citation behind each full stop": "Domestic wires cost $25 per transfer. [1] International wires cost $45 per transfer. [1]",
    "a thought": "<think>\nWhich passages? Customers must file a card dispute within 60 days of the statement date [2].\n</think>\n\n"
    "Domestic wires cost $25 per transfer [1]. International wires cost $45 per transfer [1].",
    "a thought without its beginning": "Customers must file, but that is not asked\n</think>\n"
    "Domestic wires cost $25 per transfer [1]. International wires cost $45 per transfer [1].",
    "a thought that says the one half": "<think>Domestic wires cost $25 per transfer [1].</think>"
    "Domestic wires cost $25 per transfer [1]. International wires cost $45 per transfer [1].",
}


@both_ways
@pytest.mark.parametrize("shape", SHAPES)
async def test_citations_are_read_in_every_shape(
    server: ModelServer, generator: OpenAICompatibleGenerator, shape: str, *, stream: bool
) -> None:
    server.reply = model_server.saying(SHAPES[shape])
    generation = await answered(generator, stream=stream)
    assert answer_of(generation.claims).text == BOTH
    assert generation.dropped == ()


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("end", ["data: [DONE]", ""], ids=["done", "no done"])
async def test_a_stream_is_read_however_its_lines_and_characters_are_cut(
    server: ModelServer, generator: OpenAICompatibleGenerator, line_end: str, end: str
) -> None:
    said = SHAPES["a citation behind each full stop"].replace("$25 ", "$25\u00a0")
    events = [{"content": said[:60]}, {"content": said[60:]}, {"content": ""}]
    lines = [""]
    for number, delta in enumerate(events, start=1):
        choice = {"index": 0, "delta": delta, "finish_reason": "stop" if number == len(events) else None}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        lines += [": still there", "", f"data: {json.dumps(chunk, ensure_ascii=False)}", ""]
    body = line_end.join([*lines, end, "", ""]).encode()

    async def byte_by_byte() -> AsyncIterator[bytes]:
        for position in range(len(body)):
            yield body[position : position + 1]

    server.reply = lambda _: StreamingResponse(byte_by_byte(), media_type="text/event-stream")
    generation = await answered(generator, stream=True)
    assert (answer_of(generation.claims).text, generation.dropped) == (BOTH, ())


@both_ways
async def test_a_passage_that_does_not_exist_is_not_cited(
    server: ModelServer, generator: OpenAICompatibleGenerator, *, stream: bool
) -> None:
    server.reply = model_server.saying("Domestic wires cost $25 per transfer [1][9].")
    assert "9" not in answer_of((await answered(generator, stream=stream)).claims).text


def refusing(*refused: str, message: str = "Unsupported parameter: '{}' is not supported with this model.") -> Reply:
    """Replies 400 while the request has one of these parameters, as OpenAI and Azure do."""

    def reply(body: dict[str, Any]) -> Response:
        for name in refused:
            if name in body:
                return JSONResponse({"error": {"message": message.format(name), "param": None, "code": "x"}}, 400)
        return model_server.saying(SHAPES["bullets"])(body)

    return reply


@both_ways
@pytest.mark.parametrize(
    ("refused", "sent"),
    [
        (["max_tokens"], {"max_completion_tokens", "temperature"}),
        (["max_tokens", "temperature"], {"max_completion_tokens"}),
        (["max_tokens", "max_completion_tokens"], {"temperature"}),
        (["stream_options"], {"max_tokens", "temperature"}),
    ],
)
async def test_a_parameter_that_a_server_refuses_is_not_sent_again(
    server: ModelServer, generator: OpenAICompatibleGenerator, refused: list[str], sent: set[str], *, stream: bool
) -> None:
    server.reply = refusing(*refused)
    generation = await answered(generator, stream=stream)
    assert answer_of(generation.claims).text == BOTH
    assert generation.parameters.keys() == sent
    tried = len(server.requests)
    await answered(generator, stream=stream)
    assert len(server.requests) == tried + 1


async def test_a_prompt_that_is_too_long_does_not_take_its_bound_from_an_answer(
    server: ModelServer, generator: OpenAICompatibleGenerator
) -> None:
    server.reply = refusing("max_tokens", message="'{}' is too large: 500. The maximum context length is 400 tokens.")
    with pytest.raises(GeneratorUnavailable):
        await generator.generate(PROMPT)
    assert generator.parameters["max_tokens"] == 500
    assert len(server.requests) == 1


@both_ways
@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_that_was_cut_says_so(
    server: ModelServer, generator: OpenAICompatibleGenerator, reason: str, *, stream: bool
) -> None:
    server.reply = model_server.saying("Domestic wires cost $25 per transfer [1]. Internat", finish_reason=reason)
    generation = await answered(generator, stream=stream)
    assert (answer_of(generation.claims).text, generation.cut) == ("Domestic wires cost $25 per transfer. [1]", reason)


@both_ways
@pytest.mark.parametrize(
    ("message", "finish_reason", "refusal"),
    [
        ({"content": "", "reasoning_content": "Which passages? Domestic wires cost $25 [1]."}, "length", MODEL_SILENT),
        ({"content": "<think>Domestic wires cost $25 per transfer [1]."}, "length", MODEL_SILENT),
        ({"content": None, "refusal": "I cannot help with that."}, "stop", MODEL_REFUSED),
        ({"content": None}, "content_filter", MODEL_REFUSED),
        (
            {"content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{"}}]},
            "tool_calls",
            MODEL_SILENT,
        ),
        ({"content": f"<think>Nothing.</think>\n\n{REFUSAL}"}, "stop", NOT_SUPPORTED),
        ({"content": f"`{REFUSAL}`."}, "stop", NOT_SUPPORTED),
    ],
)
async def test_a_model_that_says_nothing_is_told_apart_from_documents_that_hold_nothing(
    server: ModelServer, generator: OpenAICompatibleGenerator, message: dict[str, Any], finish_reason: str, refusal: str,
    *, stream: bool,
) -> None:  # fmt: skip
    server.reply = model_server.sending_message(message, finish_reason)
    generation = await answered(generator, stream=stream)
    assert (generation.claims, generation.refusal) == ((), refusal)


@both_ways
async def test_the_text_of_a_message_in_parts_is_read(
    server: ModelServer, generator: OpenAICompatibleGenerator, *, stream: bool
) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Wires are free [1]."}]},
        {"type": "text", "text": "Domestic wires cost $25 per transfer [1]. "},
        {"type": "text", "text": "International wires cost $45 per transfer [1]."},
    ]
    server.reply = model_server.sending_message({"content": parts}, "stop")
    assert answer_of((await answered(generator, stream=stream)).claims).text == BOTH


async def test_azure_gets_its_version_and_its_key(server: ModelServer) -> None:
    server.reply = model_server.saying(SHAPES["bullets"])
    azure = OpenAICompatibleGenerator(
        ModelServerSettings(name="m", url=server.url, api_key=SecretStr("k"), timeout=60.0, api_version="2026-06-01"),
        grounding(),
    )
    assert answer_of((await azure.generate(PROMPT)).claims).text == BOTH
    assert server.headers[-1]["api-key"] == "k"
    assert server.queries[-1] == {"api-version": "2026-06-01"}
    await azure.aclose()


def _message(content: str, model: str = '"m"') -> bytes:
    choice = f'{{"index": 0, "message": {{"role": "assistant", "content": {content}}}, "finish_reason": "stop"}}'
    return f'{{"id": "1", "object": "chat.completion", "created": 1, "model": {model}, "choices": [{choice}]}}'.encode()


NESTED = b"[" * 200_000


@pytest.mark.parametrize(
    "reply",
    {
        "brackets": model_server.sending(NESTED),
        "brackets within": model_server.sending(_message((b"[" * 200_000).decode())),
        "a stream of brackets": model_server.sending(b"data: " + NESTED + b"\n\n", "text/event-stream"),
        "an error body": model_server.sending(b'{"error": {"message": "overloaded"}}'),
        "a number": model_server.sending(_message("7")),
        "a false length": model_server.sending(_message('{"a": 1}')),
    }.values(),
)
@both_ways
async def test_a_hostile_body_is_an_error_of_the_model_server(
    server: ModelServer, generator: OpenAICompatibleGenerator, reply: Reply, *, stream: bool
) -> None:
    server.reply = reply
    with pytest.raises(GeneratorUnavailable):
        await answered(generator, stream=stream)


async def test_half_a_character_is_replaced_and_a_strange_name_is_made_printable(
    server: ModelServer, generator: OpenAICompatibleGenerator
) -> None:
    server.reply = model_server.sending(
        _message('"Domestic wires cost $25 per transfer [1]. \\ud800"', '"a\\u0000\\ud800b"')
    )
    generation = await generator.generate(PROMPT)
    assert answer_of(generation.claims).text == "Domestic wires cost $25 per transfer. [1]"
    assert generation.model_served == "ab"
    assert json.dumps(generation.completion, ensure_ascii=False).encode()


@both_ways
@pytest.mark.parametrize("piece", [b" " * 65536, b"data: {}\n\n" * 4096], ids=["spaces", "events"])
async def test_an_endless_body_ends_at_the_bound(
    server: ModelServer,
    generator: OpenAICompatibleGenerator,
    monkeypatch: pytest.MonkeyPatch,
    piece: bytes,
    *,
    stream: bool,
) -> None:
    monkeypatch.setattr(bounded_http, "MAX_BYTES", 1024 * 1024)
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += len(piece)
            yield piece
            await asyncio.sleep(0)

    kind = "text/event-stream" if stream else "application/json"
    server.reply = lambda _: StreamingResponse(body(), media_type=kind)
    with pytest.raises(GeneratorUnavailable):
        await answered(generator, stream=stream)
    assert sent < 16 * 1024 * 1024


async def test_a_compressed_body_is_not_unpacked(server: ModelServer, generator: OpenAICompatibleGenerator) -> None:
    server.reply = lambda _: Response(b"\x1f\x8b", media_type="application/json", headers={"Content-Encoding": "gzip"})
    with pytest.raises(GeneratorUnavailable):
        await generator.generate(PROMPT)
    assert server.headers[-1]["accept-encoding"] == "identity"
