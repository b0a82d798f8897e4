import enum
import math

import orjson
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from backend.audit.canonical import (
    MAX_DEPTH,
    CanonicalJSONError,
    EnvelopeTooLarge,
    Json,
    canonical_json,
)

MAX_SAFE_INTEGER = 2**53 - 1  # RFC 7493, section 2.2

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
keys = st.text(st.characters(min_codepoint=1, max_codepoint=127))
values = st.recursive(
    st.booleans() | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | texts,
    lambda children: st.lists(children, max_size=5) | st.dictionaries(keys, children, max_size=5),
    max_leaves=20,
)


@given(values)
@example("".join(map(chr, range(1, 0x3000))))
@example({"b": 1, "a\n": 2, "a": 3, "A": 4, "": 5, '"\\': 6, "\x7f": 7})
@example([MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER, 0, "\U0001f600", "\u2028", "/"])
def test_every_allowed_value_is_written_as_the_reference_writes_it(value: Json) -> None:
    assert canonical_json(value, limit=10**6) == rfc8785.dumps(value).decode()


@given(values)
def test_reading_the_text_back_and_writing_it_again_changes_nothing(value: Json) -> None:
    text = canonical_json(value, limit=10**6)
    assert canonical_json(orjson.loads(text), limit=10**6) == text


def test_the_order_in_which_keys_were_set_does_not_show() -> None:
    assert canonical_json({"b": {"d": 1, "c": 2}, "a": 3}) == '{"a":3,"b":{"c":2,"d":1}}'


def test_an_enumeration_member_is_written_as_its_string() -> None:
    class Action(enum.StrEnum):
        READ = "audit:read"

    assert canonical_json({"action": Action.READ}) == '{"action":"audit:read"}'


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.0,
        math.nan,
        b"bytes",
        {1, 2},
        MAX_SAFE_INTEGER + 1,
        -MAX_SAFE_INTEGER - 1,
        10**400,
        "\ud800",
        "a\x00b",
        {"\ud800": 1},
        {"é": 1},
        {"a\x00": 1},
    ],
    ids=ascii,
)
@pytest.mark.parametrize("place", [lambda v: v, lambda v: [v], lambda v: {"key": [{"inner": v}]}])
def test_what_has_no_single_spelling_is_refused_at_any_depth(value: object, place: object) -> None:
    with pytest.raises(CanonicalJSONError):
        canonical_json(place(value))  # type: ignore[operator]


@pytest.mark.parametrize("key", [1, True, None, ("a",)])
def test_keys_that_are_not_strings_are_refused(key: object) -> None:
    with pytest.raises(CanonicalJSONError):
        canonical_json({key: 1})  # type: ignore[dict-item]


def test_nesting_is_allowed_up_to_the_limit_and_refused_beyond_it() -> None:
    value: Json = "leaf"
    for _ in range(MAX_DEPTH):
        value = [value]
    assert canonical_json(value) == "[" * MAX_DEPTH + '"leaf"' + "]" * MAX_DEPTH
    with pytest.raises(CanonicalJSONError, match="nested"):
        canonical_json([value])


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Json] = []
    value.append(value)
    with pytest.raises(CanonicalJSONError, match="nested"):
        canonical_json(value)


def test_length_is_counted_in_bytes_and_may_reach_the_limit_exactly() -> None:
    assert canonical_json("é" * 8190) == '"' + "é" * 8190 + '"'
    assert len(canonical_json("a" * 16382)) == 16384
    with pytest.raises(EnvelopeTooLarge) as refusal:
        canonical_json("é" * 8192)
    assert (refusal.value.size, refusal.value.limit) == (16386, 16384)
    assert canonical_json("abc", limit=5) == '"abc"'
    with pytest.raises(EnvelopeTooLarge):
        canonical_json("abcd", limit=5)
