"""What a generator of answers is given, what it returns, and how it fails."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from backend.answers.grounding.verdict import Reason, Support, Verdict
from backend.documents.tables import ChunkSpan
from backend.personal_data.pseudonyms import Pseudonymous

NOT_SUPPORTED = "not_supported"
"""Refusal: the retrieved passages hold no answer."""

UNSUPPORTED = "unsupported"
"""Refusal: a model answered, and no sentence of its answer was supported by the passages it cited."""

MODEL_SILENT = "model_silent"
"""Refusal: the model ended without an answer, for which the documents are not to blame; as when it was cut while it thought."""

MODEL_REFUSED = "model_refused"
"""Refusal: the model, or its provider's filter, declined to answer."""


class GeneratorError(Exception):
    """No answer can be had from the generator; nothing it sent may be shown."""


class GeneratorUnavailable(GeneratorError):
    """The generator is unreachable, refuses the request or speaks another protocol."""


class GeneratorTimeout(GeneratorError):
    """The generator did not finish within its time limit."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One retrieved chunk under the number, counted from 1, by which an answer cites it."""

    number: int
    chunk_id: UUID
    document_id: UUID
    doc_id: str
    document_version: int
    span: ChunkSpan
    title: str | None
    text: str
    score: float
    cosine: float | None
    bm25: float | None
    masked: Pseudonymous | None = None  # where personal data stood in what is now `text`


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question with its passages, and the exact text in which a model reads them."""

    version: str
    nonce: str
    system: str
    user: str
    question: str
    passages: tuple[Passage, ...]
    vector: NDArray[np.float32] | None = field(default=None, compare=False)  # the question's, as its retrieval made it
    levels: frozenset[Support] | None = field(default=None, compare=False)  # of support that are shown; None for all


@dataclass(frozen=True, slots=True)
class Quote:
    """Characters of one passage, verbatim: `text` is a substring of `passage.text`."""

    passage: Passage
    text: str

    @property
    def start(self) -> int:
        """Where it begins in the passage, in code points."""
        return self.passage.text.index(self.text)


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of an answer, without citation markers, the quotes that support it, and what its check found."""

    sentence: str
    quotes: tuple[Quote, ...]
    support: Support = Support.CLOSE
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a model counted, as far as it said; those it spent thinking are among the completion's."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class FailedModel:
    """A model that was asked before, and did not answer; one that timed out may have used tokens all the same."""

    name: str
    timed_out: bool


@dataclass(frozen=True, slots=True)
class Generation:
    """A finished answer; with a `refusal` reason it has no claims.

    `completion` is what the model wrote before the check and `dropped` the sentences that failed it, for `reasons`: both
    belong in the audit record and never in a response. `cut` says why the model was stopped before its end.
    """

    claims: tuple[Claim, ...]
    refusal: str | None
    completion: str
    dropped: tuple[str, ...]
    reasons: tuple[Reason, ...] = field(default=(), kw_only=True)
    model_requested: str
    model_served: str
    finish_reason: str
    cut: str | None = None
    usage: Usage = Usage()
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    failed: tuple[FailedModel, ...] = ()


class Generator(Protocol):
    """Answers a prompt from its passages alone.

    Both methods raise `GeneratorUnavailable` or `GeneratorTimeout`.
    """

    @property
    def name(self) -> str:
        """The model asked for, as the audit record names it."""
        ...

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """What else decides the answer; decimals are text, since the audit record has no floats."""
        ...

    @property
    def longest_answer(self) -> int:
        """The most tokens that it writes."""
        ...

    async def generate(self, prompt: Prompt) -> Generation:
        """Returns the whole answer."""
        ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[Claim | Generation]:
        """Yields supported sentences while others are not there yet, then the `Generation` that has them all."""
        ...
