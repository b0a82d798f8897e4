"""Answers with any server that speaks OpenAI's chat completions protocol.

A model may be wrong, or may obey an instruction hidden in a document, so only grounded sentences are let
through: a streamed answer leaves sentence by sentence, each after its check, and not token by token.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from openai import APITimeoutError, AsyncOpenAI, OpenAIError
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam
from pydantic import SecretStr

from backend.answers.generator import (
    NOT_SUPPORTED,
    UNSUPPORTED,
    Claim,
    Generation,
    GeneratorTimeout,
    GeneratorUnavailable,
    Prompt,
)
from backend.answers.grounding import SentenceGate
from backend.answers.prompt import REFUSAL

LONGEST_COMPLETION = 16_384
"""Characters; a server that sends more ignores `max_tokens` and is not listened to any longer."""

_TEMPERATURE = 0

T = TypeVar("T")


class OpenAICompatibleGenerator:
    """Asks one model of one server, and checks each sentence of its answer against the passages it cites."""

    def __init__(
        self,
        url: str,
        model: str,
        api_key: SecretStr | None,
        *,
        timeout: float,
        max_tokens: int = 1024,
        max_retries: int = 1,
    ) -> None:
        """Connects to `url` (it ends in /v1); `timeout`, in seconds, covers the answer and its retries."""
        self._model = model
        self._timeout = timeout
        self._max_tokens = max_tokens
        # A key is always given: without one the client would take it from the environment.
        key = api_key.get_secret_value() if api_key else "none"
        self._client = AsyncOpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=max_retries)

    @property
    def name(self) -> str:
        """The model asked for; the server may name the one it used more precisely."""
        return self._model

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """The sampling parameters that are sent."""
        return {"temperature": _TEMPERATURE, "max_tokens": self._max_tokens}

    async def generate(self, prompt: Prompt) -> Generation:
        """Returns the supported sentences of the model's answer, or a refusal."""
        answer = _Answer(self._model, prompt)
        if prompt.passages:
            completion = await _within(
                self._deadline(),
                self._client.chat.completions.create(
                    model=self._model,
                    messages=_messages(prompt),
                    temperature=_TEMPERATURE,
                    max_tokens=self._max_tokens,
                ),
            )
            with _failures_translated():
                (choice,) = completion.choices
                answer.read(choice.message.content, choice.finish_reason, completion.model, completion.usage)
                answer.finish()
        return answer.generation()

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Generation]:
        """Yields each sentence once it has passed its check, then the generation."""
        answer = _Answer(self._model, prompt)
        if prompt.passages:
            deadline = self._deadline()
            chunks = await _within(
                deadline,
                self._client.chat.completions.create(
                    model=self._model,
                    messages=_messages(prompt),
                    temperature=_TEMPERATURE,
                    max_tokens=self._max_tokens,
                    stream=True,
                    stream_options={"include_usage": True},
                ),
            )
            async with chunks:
                # Each wait has its own time-out: one around the loop would also cover the `yield`.
                while (chunk := await _within(deadline, anext(chunks, None))) is not None:
                    with _failures_translated():
                        choice = chunk.choices[0] if chunk.choices else None  # the last chunk has only the usage
                        content = choice.delta.content if choice else None
                        finish_reason = choice.finish_reason if choice else None
                        sentences = answer.read(content, finish_reason, chunk.model, chunk.usage)
                    for sentence in sentences:
                        yield sentence
            for sentence in answer.finish():
                yield sentence
        yield answer.generation()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.close()

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout


class _Answer:
    """One answer as it arrives; the client does not validate what a server sends, so nothing is trusted."""

    def __init__(self, model: str, prompt: Prompt) -> None:
        self._gate = SentenceGate(prompt.passages)
        self._requested = self._served = model
        self._completion = ""
        self._finish_reason: str | None = None if prompt.passages else "stop"  # nothing to ask about
        self._usage: CompletionUsage | None = None

    def read(
        self, content: str | None, finish_reason: str | None, model: str | None, usage: CompletionUsage | None
    ) -> list[str]:
        """Returns the sentences that the content completes."""
        text = "" if content is None else content
        self._completion += text
        self._finish_reason = finish_reason or self._finish_reason
        self._served = model or self._served
        self._usage = usage or self._usage
        if len(self._completion) > LONGEST_COMPLETION:
            message = "The model server sent more than it was asked for."
            raise GeneratorUnavailable(message)
        return self._released(self._gate.feed(text))

    def finish(self) -> list[str]:
        """Returns the last sentences; raises GeneratorUnavailable when the server gave no reason to stop."""
        if self._finish_reason is None:
            message = "The model server ended its answer early."
            raise GeneratorUnavailable(message)
        return self._released(self._gate.close())

    def generation(self) -> Generation:
        """Returns what was let through, and what was not."""
        claims = tuple(self._gate.claims)
        return Generation(
            text=" ".join(claim.text for claim in claims),
            claims=claims,
            refusal=None if claims else self._refusal(),
            completion=self._completion,
            dropped=tuple(self._gate.dropped),
            model_requested=self._requested,
            model_served=str(self._served),
            finish_reason=str(self._finish_reason),
            prompt_tokens=_count(self._usage and self._usage.prompt_tokens),
            completion_tokens=_count(self._usage and self._usage.completion_tokens),
        )

    def _refusal(self) -> str:
        refused = self._completion.strip() in {"", REFUSAL, f"{REFUSAL}."}
        return NOT_SUPPORTED if refused else UNSUPPORTED

    def _released(self, claims: list[Claim]) -> list[str]:
        earlier = len(self._gate.claims) - len(claims)
        return [claim.text if earlier + number == 0 else f" {claim.text}" for number, claim in enumerate(claims)]


def _messages(prompt: Prompt) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]


def _count(tokens: object) -> int | None:
    return tokens if isinstance(tokens, int) else None


async def _within(deadline: float, result: Awaitable[T]) -> T:
    """Returns the result; raises GeneratorTimeout after the deadline, a time of the event loop's clock."""
    with _failures_translated():
        async with asyncio.timeout_at(deadline):
            return await result


@contextmanager
def _failures_translated() -> Iterator[None]:
    """Raises whatever the client or a malformed answer raises as a GeneratorError, without the server's words.

    They may quote the prompt, and the error is logged.
    """
    try:
        yield
    except (TimeoutError, APITimeoutError) as error:
        message = "The model server did not answer in time."
        raise GeneratorTimeout(message) from error
    except OpenAIError as error:
        message = f"The model server failed: {type(error).__name__}."
        raise GeneratorUnavailable(message) from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        message = "The model server does not speak the chat completions protocol."
        raise GeneratorUnavailable(message) from error
