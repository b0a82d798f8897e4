"""A judge that is a chat model: asked for a yes or a no, twice."""

import json
import re
import secrets
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from openai import AsyncOpenAI, OpenAIError
from pydantic import SecretStr

from backend.answers.grounding.judge import JudgeUnavailable, shortened

PROMPT_VERSION = "v1"
_SOURCE = files("backend.answers.grounding").joinpath(f"judge_{PROMPT_VERSION}.txt").read_text(encoding="utf-8")

_SECTION = re.compile(r"^=== (\w+) ===\n", re.MULTILINE)
_ANSWER = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


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
        data = json.dumps({"passages": shortened(passages), "sentence": sentence}, ensure_ascii=False)
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


def _sections(source: str) -> dict[str, Template]:
    _, *parts = _SECTION.split(source)
    return {name: Template(body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)}


_PROMPTS = _sections(_SOURCE)
