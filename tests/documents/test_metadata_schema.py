"""The JSON Schema that a collection may require of metadata."""

from typing import Any

import pytest

from backend.documents.collections.metadata_schema import check_metadata, check_schema
from backend.errors import InvalidInput

SCHEMA = {
    "type": "object",
    "required": ["jurisdiction"],
    "properties": {
        "jurisdiction": {"enum": ["US", "CA"]},
        "owner": {"pattern": "^[a-z]+$"},
        "reviewed": {"format": "date"},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({}, "jurisdiction"),
        ({"jurisdiction": "FR"}, "metadata.jurisdiction"),
        ({"jurisdiction": "US", "owner": "A1"}, "metadata.owner"),
        ({"jurisdiction": "US", "reviewed": "soon"}, "metadata.reviewed"),
        ({"jurisdiction": "US", "more": 1}, "more"),
    ],
)
def test_metadata_that_the_schema_does_not_allow_is_refused_by_key(metadata: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        check_metadata(metadata, SCHEMA)


def test_metadata_that_meets_the_schema_is_taken() -> None:
    check_schema(SCHEMA)
    check_metadata({"jurisdiction": "US", "owner": "deposits", "reviewed": "2026-01-31"}, SCHEMA)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1/schema.json"},
        {"properties": {"a": {"$ref": "#"}}},
        {"properties": {"a": {"allOf": [{"$dynamicRef": "#x"}]}}},
        {"patternProperties": {"a": {}}},
        {"properties": {"a": {"pattern": "(?=a)"}}},
        {"properties": {"a": {"pattern": "("}}},
    ],
)
def test_a_schema_that_is_none_or_reaches_outside_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="metadata_schema"):
        check_schema(schema)


def test_a_hostile_pattern_costs_no_time() -> None:
    """An engine that tries one way after the other would not live to see the end of this."""
    with pytest.raises(InvalidInput):
        check_metadata({"a": "a" * 10_000 + "!"}, {"properties": {"a": {"pattern": "^(a+)+$"}}})
