"""Every action that events record, by subject. The names are sealed in envelopes for years: never rename one."""

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from backend.audit.actions import (
    answers,
    documents,
    evaluation,
    keys,
    operation,
    people,
    provisioning,
    retrieval,
    review,
    sign_in,
    sources,
    webhooks,
)
from backend.audit.details import ACTIONS

__all__ = [
    "ACTIONS",
    "ActionName",
    "answers",
    "documents",
    "evaluation",
    "keys",
    "operation",
    "people",
    "provisioning",
    "retrieval",
    "review",
    "sign_in",
    "sources",
    "webhooks",
]


def _known(action: str) -> str:
    if action not in ACTIONS:
        raise ValueError("is not an action that this service records")
    return action


ActionName = Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": sorted(ACTIONS)})]
