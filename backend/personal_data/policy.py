"""The rule of a collection about personal data in its documents, and in questions that search it."""

from collections.abc import Iterable
from enum import StrEnum


class Policy(StrEnum):
    """Each is stricter than those before it."""

    TELL = "tell"  # it is counted
    MASK = "mask"  # it is also under pseudonyms in what is found and in what a model is given
    REFUSE = "refuse"  # nothing is taken that has any


def strictest(policies: Iterable[Policy]) -> Policy:
    """Returns the strictest of several policies; of none, the least strict."""
    ordered = list(Policy)
    return max(policies, key=ordered.index, default=Policy.TELL)
