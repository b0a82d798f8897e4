"""The JSON Schema (draft 2020-12) that a collection may require of metadata, cut down to what cannot be used to attack.

References are refused, since they fetch addresses, recurse and multiply; regular expressions run in an engine whose time
is linear in the text.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any

from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import SchemaError, ValidationError
from pydantic import StringConstraints, TypeAdapter
from pydantic import ValidationError as Mismatch
from pydantic_core import SchemaError as UnusablePattern

from backend.errors import InvalidInput

_REFUSED_KEYWORDS = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "patternProperties"})
_LONGEST_VALUE_SHOWN = 80


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> TypeAdapter[str]:
    return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])


def _pattern(_: object, pattern: str, instance: object, __: object) -> Iterator[ValidationError]:
    if isinstance(instance, str):
        try:
            _matcher(pattern).validate_python(instance)
        except Mismatch:
            yield ValidationError(f"{instance[:_LONGEST_VALUE_SHOWN]!r} does not match {pattern!r}")


_Validator = validators.extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
_FORMATS = FormatChecker(formats=("date", "email", "uuid"))


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises InvalidInput for what is no JSON Schema, or uses a keyword or a regular expression that is not supported."""
    for keyword, value in _members(schema):
        if keyword in _REFUSED_KEYWORDS:
            raise InvalidInput(f"metadata_schema: {keyword} is not supported")
        if keyword == "pattern" and isinstance(value, str):
            try:
                _matcher(value)
            except UnusablePattern:
                raise InvalidInput("metadata_schema: pattern is not a regular expression that is supported") from None
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        raise InvalidInput(f"metadata_schema: {error.message[:200]}") from None


def check_metadata(metadata: Mapping[str, Any], schema: Mapping[str, Any] | None) -> None:
    """Raises InvalidInput, naming the key, for metadata that the schema does not allow; None allows everything."""
    if schema is None:
        return
    problem = next(_Validator(dict(schema), format_checker=_FORMATS).iter_errors(dict(metadata)), None)
    if problem is not None:
        path = ".".join(["metadata", *map(str, problem.absolute_path)])
        raise InvalidInput(f"{path}: {problem.message[:300]}")


def _members(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield name, member
            yield from _members(member)
    elif isinstance(value, list):
        for item in value:
            yield from _members(item)
