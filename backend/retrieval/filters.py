"""Metadata filters as SQL conditions: fixed text, bound values."""

from collections.abc import Mapping
from typing import Any


def conditions(filters: Mapping[str, Any], source_type: str | None, first_parameter: int) -> tuple[str, list[Any]]:
    """Returns `and …` conditions on a chunk and the values of their parameters, numbered from `first_parameter`.

    A list matches when one of its items equals the metadata value.
    """
    clauses: list[str] = []
    values: list[Any] = []

    def bind(value: object) -> str:
        values.append(value)
        return f"${first_parameter + len(values) - 1}"

    if source_type is not None:
        clauses.append(f"source_type = {bind(source_type)}")
    for name, wanted in filters.items():
        accepted = wanted if isinstance(wanted, list) else [wanted]
        clauses.append(f"metadata -> {bind(name)}::text = any ({bind(accepted)}::jsonb[])")
    return "".join(f" and {clause}" for clause in clauses), values
