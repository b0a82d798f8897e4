"""Canonical JSON (RFC 8785) for the subset of JSON that audit envelopes use.

The subset leaves no room for two spellings of one value: objects with ASCII keys, arrays, strings, booleans
and integers that every JSON reader keeps exactly. In it, orjson's sorted output is byte for byte RFC 8785.
"""

from typing import TypeAlias, Union

import orjson

Json: TypeAlias = Union[str, int, bool, "list[Json]", "tuple[Json, ...]", "dict[str, Json]"]

MAX_ENVELOPE_BYTES = 16 * 1024
MAX_DEPTH = 32


class CanonicalJSONError(ValueError):
    """The value has no canonical form."""


class EnvelopeTooLarge(CanonicalJSONError):
    """The canonical form is longer than allowed."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the envelope is {size} bytes long, the limit is {limit}")
        self.size = size
        self.limit = limit


def canonical_json(value: Json, limit: int = MAX_ENVELOPE_BYTES) -> str:
    """Returns the RFC 8785 text of `value`, at most `limit` UTF-8 bytes long.

    Raises CanonicalJSONError for nulls, floats, integers beyond ±(2⁵³ - 1), keys that are not ASCII, strings that are
    not valid Unicode or contain U+0000, and nesting beyond MAX_DEPTH; EnvelopeTooLarge for length. Readers that use doubles
    would lose digits of a greater integer (RFC 7493, section 2.2).
    """
    _refuse_outside_subset(value, "the value", MAX_DEPTH)
    try:
        encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError as error:
        raise CanonicalJSONError(str(error)) from error
    if len(encoded) > limit:
        raise EnvelopeTooLarge(len(encoded), limit)
    return encoded.decode()


def _refuse_outside_subset(item: Json, name: str, depth: int) -> None:
    """Refuses what orjson would write; integer range and lone surrogates it refuses itself."""
    if isinstance(item, str):
        # U+0000 is valid JSON, but PostgreSQL's jsonb cannot hold it and would refuse the whole event.
        if "\x00" in item:
            raise CanonicalJSONError(f"{name} contains U+0000")
    elif isinstance(item, dict | list | tuple):
        if not depth:
            raise CanonicalJSONError(f"{name} is nested deeper than {MAX_DEPTH}")
        if isinstance(item, dict):
            for key, child in item.items():
                # A subclass of str could sort differently from what is written.
                if type(key) is not str or not key.isascii() or "\x00" in key:
                    raise CanonicalJSONError(f"{name} has the key {key!r}, keys are ASCII strings")
                _refuse_outside_subset(child, key, depth - 1)
        else:
            for child in item:
                _refuse_outside_subset(child, name, depth - 1)
    elif not isinstance(item, int):
        raise CanonicalJSONError(f"{name} is {'null' if item is None else type(item).__name__}")
