"""Asks a model of one's own choice whether passages entail a sentence. It gets nothing else, and as data."""

import json
import re
import secrets
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import Protocol

import httpx
from openai import AsyncOpenAI, OpenAIError
from pydantic import SecretStr

from backend.settings import JudgeKind

PROMPT_VERSION = "v1"
_SOURCE = files("backend.answers.grounding").joinpath(f"judge_{PROMPT_VERSION}.txt").read_text(encoding="utf-8")
PROMPT_SHA256 = sha256(_SOURCE.encode()).hexdigest()

_SECTION = re.compile(r"^=== (\w+) ===\n", re.MULTILINE)
_ANSWER = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_ENTAILED = frozenset({"entailment", "entailed", "supported", "consistent", "label_1", "1", "true", "yes"})
_LEAST_SCORE = 0.5
_MOST_CHARACTERS = 24_000  # of passages; what is cut off cannot support anything
_LONGEST_REPLY = 64 * 1024  # bytes


class JudgeUnavailable(Exception):
    """The judge did not answer, or not with a yes or a no."""


class Judge(Protocol):
    """Says whether passages entail a sentence."""

    @property
    def name(self) -> str:
        """The model and the version of what it is asked, as recorded."""
        ...

    async def entails(self, sentence: str, passages: Sequence[str]) -> bool:
        """Returns whether the passages entail the sentence; raises JudgeUnavailable."""
        ...

    async def aclose(self) -> None:
        """Closes the connections."""
        ...


class ChatJudge:
    """A chat model that is asked in two forms, of which the right answers are opposite; both must agree."""

    def __init__(self, url: str, model: str, api_key: SecretStr | None, *, timeout: float = 20.0) -> None:
        """Connects to an OpenAI-compatible server at `url`, which ends in /v1; `timeout` is in seconds."""
        self.name = f"{model} ({PROMPT_VERSION})"
        self._model = model
        key = api_key.get_secret_value() if api_key else "none"
        self._client = AsyncOpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=1)

    async def entails(self, sentence: str, passages: Sequence[str]) -> bool:
        """Returns whether the model says that the passages state it, and denies that they leave anything of it out."""
        return await self._says_yes("supported", sentence, passages) and not await self._says_yes(
            "unsupported", sentence, passages
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def _says_yes(self, form: str, sentence: str, passages: Sequence[str]) -> bool:
        nonce = secrets.token_hex(16)  # who wrote the document cannot know what ends its passage
        data = json.dumps({"passages": _cut(passages), "sentence": sentence}, ensure_ascii=False)
        try:
            completion = await self._client.chat.completions.create(
                model=self._model,
                messages=[
                    {"role": "system", "content": _PROMPTS["system"].substitute(nonce=nonce)},
                    {"role": "user", "content": _PROMPTS[form].substitute(nonce=nonce, data=data)},
                ],
                temperature=0,
                max_tokens=8,
            )
            answer = _ANSWER.match(completion.choices[0].message.content or "")
        except (OpenAIError, AttributeError, LookupError, TypeError, ValueError) as error:
            message = f"The judge failed: {type(error).__name__}."
            raise JudgeUnavailable(message) from error
        if answer is None:
            message = "The judge said neither yes nor no."
            raise JudgeUnavailable(message)
        return answer[1].casefold() == "yes"


class ClassifierJudge:
    """A sequence classifier over pairs of texts: Text Embeddings Inference's `/predict`, HHEM, MiniCheck and the like."""

    def __init__(self, url: str, model: str, api_key: SecretStr | None, *, timeout: float = 20.0) -> None:
        """Posts pairs to `url`, the whole address of the endpoint; `timeout` is in seconds."""
        self.name = model
        self._url = url
        headers = {"Authorization": f"Bearer {api_key.get_secret_value()}"} if api_key else {}
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout)

    async def entails(self, sentence: str, passages: Sequence[str]) -> bool:
        """Returns whether the label of entailment has the highest score, and at least one half."""
        body = {"inputs": [["\n\n".join(_cut(passages)), sentence]], "truncate": True}
        try:
            async with self._client.stream("POST", self._url, json=body) as response:
                response.raise_for_status()
                content = b""
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > _LONGEST_REPLY:
                        message = "The judge sent more than it was asked for."
                        raise JudgeUnavailable(message)
            return _entailed(json.loads(content))
        except (httpx.HTTPError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            message = f"The judge failed: {type(error).__name__}."
            raise JudgeUnavailable(message) from error

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


def judge_of(kind: JudgeKind, url: str, model: str, api_key: SecretStr | None) -> Judge:
    """Returns the judge of a kind."""
    return ChatJudge(url, model, api_key) if kind == "chat" else ClassifierJudge(url, model, api_key)


def _entailed(answer: object) -> bool:
    """Reads [[{"label": …, "score": …}, …]], as TEI answers a batch of one."""
    rows = answer if isinstance(answer, list) else []
    while rows and isinstance(rows[0], list):
        rows = rows[0]
    scores = {str(row["label"]).casefold(): float(row["score"]) for row in rows}
    if not scores:
        message = "no labels"
        raise ValueError(message)
    best = max(scores, key=lambda label: scores[label])
    return best in _ENTAILED and scores[best] >= _LEAST_SCORE


def _cut(passages: Sequence[str]) -> list[str]:
    left, kept = _MOST_CHARACTERS, []
    for passage in passages:
        kept.append(passage[:left])
        left -= len(kept[-1])
    return [passage for passage in kept if passage]


def _sections(source: str) -> dict[str, Template]:
    _, *parts = _SECTION.split(source)
    return {name: Template(body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)}


_PROMPTS = _sections(_SOURCE)
