"""What the check of a sentence finds: a level of support with its evidence, or the reason why there is none."""

from dataclasses import dataclass
from enum import StrEnum

VERSION = "10"
"""Version of the rules and weights that decide; recorded with every answer."""


class Support(StrEnum):
    """How a sentence is supported, the surest way first."""

    VERBATIM = "verbatim"
    CLOSE = "close"
    JUDGED = "judged"


class Reason(StrEnum):
    """Why a sentence is not supported: the first rule that it breaks against the evidence that is most like it."""

    UNCITED = "uncited"
    UNKNOWN_PASSAGE = "unknown_passage"
    EMPTY = "empty"
    LANGUAGE = "language"
    NOT_FOUND = "not_found"
    NUMBER = "number"
    UNIT = "unit"
    DATE = "date"
    COMPARISON = "comparison"
    ASSOCIATION = "association"
    NAME = "name"
    NEGATION = "negation"
    MODALITY = "modality"
    CONDITION = "condition"
    SCOPE = "scope"
    DIRECTION = "direction"
    ROLE = "role"
    SPLICED = "spliced"
    WORDING = "wording"
    LEVEL = "level"
    JUDGED_FALSE = "judged_false"
    JUDGE_UNAVAILABLE = "judge_unavailable"


@dataclass(frozen=True, slots=True)
class EvidencePlace:
    """Characters `start` to `end` of the passage with that number."""

    passage: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The level at which a sentence is supported, with its evidence; without a level, the reason.

    `likeness` is the classifier's probability that the evidence says the same, for what was decided by it.
    `judge` names the model that decided, where one did.
    """

    level: Support | None
    spans: tuple[EvidencePlace, ...] = ()
    reason: Reason | None = None
    likeness: float | None = None
    judge: str | None = None
    version: str = VERSION
