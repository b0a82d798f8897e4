"""Filters of vector stores, as this service's own filters say them."""

from typing import Any

from backend.gateways.openai.errors import UnsupportedParameter
from backend.gateways.openai.models import JsonValue

_BOUNDS = {"gt", "gte", "lt", "lte"}
_JOINING = ("and", "or")
_MAX_DEPTH = 4


def own_filters(given: JsonValue) -> dict[str, Any]:
    """Returns the filters of a retrieval; raises UnsupportedParameter for what it cannot say.

    OpenAI's comparisons are `{"type", "key", "value"}`, joined by `{"type": "and" | "or", "filters": […]}`.
    """
    return _translated(given, _MAX_DEPTH) if given else {}


def as_read(given: JsonValue) -> JsonValue:
    """Returns filters that `own_filters` took, with no member that it did not look at: those can hold anything."""
    members = {name: given[name] for name in ("type", "key", "value") if name in given}
    parts = {"filters": [as_read(part) for part in given["filters"]]} if members.get("type") in _JOINING else {}
    return members | parts


def _translated(given: JsonValue, depth: int) -> dict[str, Any]:
    kind = given.get("type")
    if kind in _JOINING:
        parts = given.get("filters")
        if depth == 0 or not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
            raise UnsupportedParameter(
                "filters", "filters: `and` and `or` take a list of filters, nested at most four deep"
            )
        translated = [_translated(part, depth - 1) for part in parts]
        return {"or": translated} if kind == "or" else _joined(translated)
    key, value = given.get("key"), given.get("value")
    if not isinstance(key, str) or "value" not in given:
        raise UnsupportedParameter("filters", "filters: a comparison needs `type`, `key` and `value`")
    return {key: _condition(str(kind), value)}


def _condition(kind: str, value: object) -> object:
    """Returns what a key must satisfy. A value is never an object, which would be conditions of this service's own."""
    if kind in {"in", "nin"} and isinstance(value, list):
        return {kind: value}
    if not isinstance(value, dict | list):
        if kind == "eq":
            return value
        if kind in _BOUNDS or kind == "ne":
            return {kind: value}
    raise UnsupportedParameter(
        "filters", "filters: a comparison is one of eq, ne, gt, gte, lt, lte with one value, or in, nin with a list"
    )


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns one set of filters that says all; conditions on the same key are merged where they can be."""
    joined: dict[str, Any] = {}
    for part in parts:
        for key, condition in part.items():
            if key not in joined:
                joined[key] = condition
            elif (
                isinstance(joined[key], dict)
                and isinstance(condition, dict)
                and not joined[key].keys() & condition.keys()
            ):
                joined[key] = {**joined[key], **condition}
            else:
                raise UnsupportedParameter("filters", f"filters: {key[:80]!r} is compared twice in the same way")
    return joined
