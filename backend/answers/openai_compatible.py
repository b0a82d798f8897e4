"""Answers with any server that speaks OpenAI's chat completions protocol, as nearly all do, each a little differently.

A model may be wrong, or may obey an instruction hidden in a document, so only grounded sentences are let
through: a streamed answer leaves sentence by sentence, each after its check, and not token by token.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from typing import Any, TypeVar

from openai import APIStatusError, AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import SecretStr

from backend.answers.bounded_http import bounded_client
from backend.answers.generator import Claim, Generation, Prompt
from backend.answers.grounding.support import Grounding
from backend.answers.model_answer import ModelAnswer, failures_translated
from backend.answers.model_parameters import Parameters

T = TypeVar("T")


class OpenAICompatibleGenerator:
    """Asks one model of one server, and checks each sentence of its answer against the passages it cites."""

    def __init__(
        self,
        url: str,
        model: str,
        api_key: SecretStr | None,
        *,
        grounding: Grounding,
        timeout: float,
        max_tokens: int = 1024,
        max_retries: int = 1,
        api_version: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        """Connects to `url` (it ends in /v1, or with `api_version` in Azure's /openai/deployments/NAME).

        `timeout`, in seconds, covers the answer and its retries; `extra_body` is sent with every request.
        """
        self._model = model
        self._grounding = grounding
        self._timeout = timeout
        self._extra_body = dict(extra_body or {})
        self._parameters = Parameters(max_tokens)
        # A key is always given: without one the client would take it from the environment.
        key = api_key.get_secret_value() if api_key else "none"
        self._client = AsyncOpenAI(
            base_url=url, api_key=key, timeout=timeout, max_retries=max_retries, http_client=bounded_client(timeout),
            default_headers={"api-key": key} if api_version else None,
            default_query={"api-version": api_version} if api_version else None,
        )  # fmt: skip

    @property
    def name(self) -> str:
        """The model asked for; the server may name the one it used more precisely."""
        return self._model

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """The parameters that are sent, as far as the server is known to take them."""
        return self._parameters.recorded

    async def generate(self, prompt: Prompt) -> Generation:
        """Returns the supported sentences of the model's answer, or a refusal."""
        answer = ModelAnswer(self._model, prompt, self._grounding)
        if prompt.passages:
            completion = await _within(self._deadline(), self._send(prompt, stream=False))
            with failures_translated():
                await answer.read(completion, "message")
                await answer.finish()
        return answer.generation(self.parameters)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Claim | Generation]:
        """Yields each sentence once it has passed its check, then the generation."""
        answer = ModelAnswer(self._model, prompt, self._grounding)
        if prompt.passages:
            deadline = self._deadline()
            chunks = await _within(deadline, self._send(prompt, stream=True))
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

    async def _send(self, prompt: Prompt, *, stream: bool) -> Any:  # noqa: ANN401 - the client validates nothing
        """Asks the server; again when it refuses a parameter that can be left out."""
        while True:
            sent = self._parameters.of_request(stream=stream)
            try:
                return await self._client.chat.completions.create(
                    model=self._model,
                    messages=_messages(prompt),
                    stream=stream,
                    extra_body={**sent, **self._extra_body},
                )
            except APIStatusError as error:
                if not self._parameters.learn(error, sent):
                    raise

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout


def _messages(prompt: Prompt) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]


async def _within(deadline: float, result: Awaitable[T]) -> T:
    """Returns the result; raises GeneratorTimeout after the deadline, a time of the event loop's clock."""
    with failures_translated():
        async with asyncio.timeout_at(deadline):
            return await result
