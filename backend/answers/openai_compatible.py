"""Answers with any server that speaks OpenAI's chat completions protocol, as nearly all do, each a little differently.

A model may be wrong, or may obey an instruction hidden in a document, so only grounded sentences are let
through: a streamed answer leaves sentence by sentence, each after its check, and not token by token.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from openai import APIStatusError, AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from backend import tracing
from backend.answers.generator import Claim, Generation, Prompt
from backend.answers.grounding.support import Grounding
from backend.answers.model_answer import ModelAnswer, failures_translated
from backend.answers.model_parameters import Parameters
from backend.bounded_http import bounded_client
from backend.settings.answers import ModelServerSettings

T = TypeVar("T")


class OpenAICompatibleGenerator:
    """Asks one model of one server, and checks each sentence of its answer against the passages it cites."""

    def __init__(self, server: ModelServerSettings, grounding: Grounding, *, max_retries: int = 1) -> None:
        """Connects to the server; its time-out covers an answer and its retries."""
        self._server = server
        self._grounding = grounding
        self._parameters = Parameters(server.max_tokens)
        # A key is always given: without one the client would take it from the environment.
        key = server.api_key.get_secret_value() if server.api_key else "none"
        version = server.api_version
        self._client = AsyncOpenAI(
            base_url=server.url, api_key=key, timeout=server.timeout, max_retries=max_retries,
            http_client=bounded_client(server.timeout),
            default_headers={"api-key": key} if version else None,
            default_query={"api-version": version} if version else None,
        )  # fmt: skip

    @property
    def name(self) -> str:
        """The model asked for; the server may name the one it used more precisely."""
        return self._server.name

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """The parameters that are sent, as far as the server is known to take them."""
        return self._parameters.recorded

    @property
    def longest_answer(self) -> int:
        """The tokens that it asks for at most."""
        return self._server.max_tokens

    async def generate(self, prompt: Prompt) -> Generation:
        """Returns the supported sentences of the model's answer, or a refusal."""
        answer = ModelAnswer(self._server.name, prompt, self._grounding)
        if prompt.passages:
            with self._traced(answer) as span:
                completion = await _within(self._deadline(), self._send(prompt, span, stream=False))
                with failures_translated():
                    await answer.read(completion, "message")
                    await answer.finish()
        return answer.generation(self.parameters)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Claim | Generation]:
        """Yields each sentence once it has passed its check, then the generation."""
        answer = ModelAnswer(self._server.name, prompt, self._grounding)
        if prompt.passages:
            deadline = self._deadline()
            with self._traced(answer) as span:
                chunks = await _within(deadline, self._send(prompt, span, stream=True))
                async with chunks:
                    # Each wait has its own time-out: one around the loop would also cover the `yield`.
                    while (chunk := await _within(deadline, anext(chunks, None))) is not None:
                        with failures_translated():
                            claims = await answer.read(chunk, "delta")
                        for claim in claims:
                            yield claim
                with failures_translated():
                    await answer.finish()
        yield answer.generation(self.parameters)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.close()
        await self._grounding.aclose()

    @contextmanager
    def _traced(self, answer: ModelAnswer) -> Iterator[Span]:
        """Measures an answer, and says at its end what it took."""
        asked_for = self._server.model or self._server.name
        parameters = {"max_tokens": self._server.max_tokens}
        with tracing.model_call("chat", asked_for, self._server.url, parameters) as span:
            try:
                yield span
            finally:
                if span.is_recording():
                    span.set_attributes(_traced(answer.generation(self.parameters)))

    async def _send(self, prompt: Prompt, span: Span, *, stream: bool) -> Any:  # noqa: ANN401 - the client validates nothing
        """Asks the server; again when it refuses a parameter that can be left out."""
        while True:
            sent = self._parameters.of_request(stream=stream)
            try:
                with tracing.asking(span):
                    return await self._client.chat.completions.create(
                        model=self._server.model or self._server.name,
                        messages=_messages(prompt),
                        stream=stream,
                        extra_body={**sent, **self._server.extra_body},
                    )
            except APIStatusError as error:
                if not self._parameters.learn(error, sent):
                    raise

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._server.timeout


def _messages(prompt: Prompt) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]


def _traced(generation: Generation) -> dict[str, AttributeValue]:
    """Returns what a span says of an answer, by the names of OpenTelemetry's conventions; nothing of its text."""
    known: dict[str, AttributeValue | None] = {
        "gen_ai.response.model": generation.model_served,
        "gen_ai.response.finish_reasons": [generation.finish_reason],
        "gen_ai.usage.input_tokens": generation.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": generation.usage.completion_tokens,
    }
    return {name: value for name, value in known.items() if value is not None}


async def _within(deadline: float, result: Awaitable[T]) -> T:
    """Returns the result; raises GeneratorTimeout after the deadline, a time of the event loop's clock."""
    with failures_translated():
        async with asyncio.timeout_at(deadline):
            return await result
