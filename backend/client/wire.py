"""Spells what a program asks for as JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID


def as_json(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a body; what is None is left out."""
    return {name: _spelled(value) for name, value in asked.items() if value is not None}


def _spelled(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, datetime):
        return value.astimezone().isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return as_json(value)
    return list(value) if isinstance(value, tuple) else value
