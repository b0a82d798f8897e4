"""Asks a model that the deployment chooses whether passages entail a sentence.

The model is sent the passages and the sentence, marked as data, and nothing else.
"""

from collections.abc import Sequence
from typing import Protocol

from pydantic import SecretStr

from backend.settings.answers import JudgeKind

_MOST_CHARACTERS = 24_000  # of passages; what is cut off cannot support anything


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


def judge_of(kind: JudgeKind, url: str, model: str, api_key: SecretStr | None) -> Judge:
    """Returns the judge of a kind."""
    if kind == "chat":
        from backend.answers.grounding.chat_judge import ChatJudge  # noqa: PLC0415 - half a second

        return ChatJudge(url, model, api_key)
    from backend.answers.grounding.classifier_judge import ClassifierJudge  # noqa: PLC0415

    return ClassifierJudge(url, model, api_key)


def shortened(passages: Sequence[str]) -> list[str]:
    """Returns as much of the passages as a judge is sent."""
    left, kept = _MOST_CHARACTERS, []
    for passage in passages:
        kept.append(passage[:left])
        left -= len(kept[-1])
    return [passage for passage in kept if passage]
