"""Filters that providers ask with: attributes that equal something, all of them. Others would have to read every user."""

from collections.abc import Callable, Mapping
from typing import Any

from scim2_models import InvalidFilterException, Resource, ScimFilter
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

Readers = Mapping[str, tuple[str, Callable[[str], object]]]


def conditions(text: str | None, kind: type[Resource[Any]], readers: Readers) -> dict[str, Any]:
    """Returns what a filter asks for, by the names of a query's fields; raises InvalidFilterException.

    `readers` has the attributes that may be asked for, in small letters: the field, and what reads the value.
    """
    if text is None:
        return {}
    asked: dict[str, Any] = {}
    for comparison in _comparisons(ScimFilter[kind](text).ast):  # type: ignore[valid-type]
        path = comparison.attr_path
        named = f"{path.attr}.{path.sub_attr}" if path.sub_attr else path.attr
        reader = readers.get(named.lower())
        if reader is None or not isinstance(comparison.value, str):
            raise InvalidFilterException(detail=f"it can ask for {', '.join(sorted(readers))}, each with a text")
        field, read = reader
        if asked.setdefault(field, read(comparison.value)) != read(comparison.value):
            raise InvalidFilterException(detail="an attribute has one value")
    return asked


def _comparisons(node: FilterNode) -> list[Comparison]:
    if isinstance(node, Comparison) and node.op is CompareOperator.eq:
        return [node]
    if isinstance(node, LogicalExpr) and node.op is LogicalOperator.and_:
        return [comparison for term in node.terms for comparison in _comparisons(term)]
    raise InvalidFilterException(detail="it can ask whether attributes equal something (eq), joined by and")
