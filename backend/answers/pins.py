"""What decides how a question is answered, by name and version, and how that differs from what was approved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from backend.answers import prompt as prompts
from backend.answers.generators import Generators
from backend.answers.grounding.verdict import VERSION as GROUNDING_VERSION
from backend.answers.grounding.verdict import Support
from backend.audit.actions.answers import RecordedEvaluation
from backend.audit.details import Member
from backend.provenance import code
from backend.retrieval.ask import Retrieval
from backend.retrieval.ranking.reranker import MICROS


class Pins(Member):
    """What a question is answered by. All but `code` is approved, and its names are stored with every run.

    `models` are asked in this order. `chunking` is that of files which are uploaded from now on.
    """

    code: str
    models: Sequence[str]
    prompt: str
    prompt_sha256: str
    embedder: str
    lexical_micros: int
    page_micros: int
    reranker: str | None = None
    support_levels: Sequence[str]
    grounding: str
    judge: str | None = None
    chunking: str

    @classmethod
    def of(cls, retrieval: Retrieval, generators: Generators, chunking: str, chosen: "Choice", tenant: str) -> Self:
        """Returns what answers a tenant that chose this."""
        levels = generators.levels if chosen.support_levels is None else chosen.support_levels & generators.levels
        reranker = retrieval.reranker
        return cls(
            code=code(), models=generators.asked_in_turn(tenant, chosen.models), prompt=prompts.VERSION,
            prompt_sha256=prompts.TEMPLATE_SHA256, embedder=retrieval.embedder.model,
            lexical_micros=round(retrieval.weights.lexical * MICROS), page_micros=round(retrieval.weights.page * MICROS),
            reranker=None if reranker is None else reranker.model, support_levels=sorted(levels), grounding=GROUNDING_VERSION,
            judge=generators.judge, chunking=chunking,
        )  # fmt: skip


# What is approved, and the members of pins that say what it is.
_APPROVED: Mapping[str, Sequence[str]] = {
    "model": ("models",),
    "prompt": ("prompt", "prompt_sha256"),
    "embedder": ("embedder",),
    "weights": ("lexical_micros", "page_micros"),
    "reranker": ("reranker",),
    "support": ("support_levels", "grounding", "judge"),
    "chunking": ("chunking",),
}


def differing(approved: Mapping[str, Any], running: Mapping[str, Any]) -> list[str]:
    """Returns which of what is approved differs, such as `prompt`."""
    return [
        name
        for name, members in _APPROVED.items()
        if any(approved.get(member) != running.get(member) for member in members)
    ]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a tenant chose; None is what the operator has."""

    models: Sequence[str] | None = None
    support_levels: frozenset[Support] | None = None


@dataclass(frozen=True, slots=True)
class ApprovedRun:
    """The run that was approved last, under what it was made, and whether nothing else may answer."""

    run: UUID | None = None
    pins: Mapping[str, Any] | None = None
    refuses: bool = False

    def against(self, running: Pins) -> RecordedEvaluation | None:
        """Returns what the record of an answer says of it; None where no run was approved."""
        if self.run is None or self.pins is None:
            return None
        return RecordedEvaluation(run=self.run, differs=differing(self.pins, running.members()) or None)


@dataclass(frozen=True, slots=True)
class Trial:
    """A question of a run, which is answered under the values that the run tries, whatever is approved."""

    run: UUID
    choice: Choice
