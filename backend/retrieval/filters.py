"""What a search is narrowed to, as SQL conditions on a chunk: fixed text, bound values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Self

import orjson
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictFloat,
    StrictInt,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from backend.schema import REPRESENTABLE_YEAR, ApiModel, Text, bounded_object, representable

MAX_FILTERS = 32
MAX_VALUES = 100
MAX_ALTERNATIVES = 8
_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _bounded(value: object) -> object:
    """Bounds what a client sent; a question that is asked on its behalf brings conditions that are bounded already."""
    if not isinstance(value, dict) or any(isinstance(item, Condition) for item in value.values()):
        return value
    return bounded_object(value)


def _date(text: str) -> str:
    instant(text)
    return text


_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,6})?")

Number = StrictInt | StrictFloat
Scalar = Text | StrictBool | Number | None
Values = Annotated[list[Scalar], Field(min_length=1, max_length=MAX_VALUES)]
_ISO_8601 = {"type": "string", "pattern": REPRESENTABLE_YEAR, "anyOf": [{"format": "date"}, {"format": "date-time"}]}
Date = Annotated[Text, AfterValidator(_date), WithJsonSchema(_ISO_8601)]
Bound = Number | Date


def _all_of_kind(kind: str) -> dict[str, Any]:
    return {"properties": {name: {"type": [kind, "null"]} for name in _OPERATORS}}


class Period(ApiModel):
    """ISO 8601 dates and times that a moment lies within (UTC where no offset is given)."""

    gt: Date | None = None
    gte: Date | None = None
    lt: Date | None = None
    lte: Date | None = None

    def bounds(self) -> dict[str, datetime]:
        """Returns the bounds that are given, by SQL operator."""
        given = {_OPERATORS[name]: getattr(self, name) for name in _OPERATORS}
        return {operator: instant(bound) for operator, bound in given.items() if bound is not None}


class Condition(ApiModel):
    """What the value of a metadata key must satisfy, all of it. A metadata list satisfies `in` with any of its items.

    `ne` and `nin` are the opposites of a value and of `in`: a chunk without the key satisfies them.

    Bounds are all numbers, or all ISO 8601 dates and times (UTC where no offset is given).
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"gte": "2024-01-01", "lt": "2025-01-01"}, {"exists": True}],
            "minProperties": 1,
            # A condition and not alternatives, of which generators would make classes of their own.
            "if": _all_of_kind("number"),
            "then": {},
            "else": _all_of_kind("string"),
        }
    )

    gt: Bound | None = None
    gte: Bound | None = None
    lt: Bound | None = None
    lte: Bound | None = None
    in_: Values | None = Field(default=None, alias="in")
    ne: Scalar = None
    nin: Values | None = None
    exists: StrictBool | None = None

    def excluded(self) -> list[Scalar]:
        """Returns the values that the key must not have."""
        return [*([self.ne] if "ne" in self.model_fields_set else []), *(self.nin or [])]

    def bounds(self) -> dict[str, Decimal | datetime]:
        """Returns the bounds that are given, by SQL operator."""
        given = {_OPERATORS[name]: getattr(self, name) for name in _OPERATORS}
        return {
            operator: instant(bound) if isinstance(bound, str) else Decimal(str(bound))
            for operator, bound in given.items()
            if bound is not None
        }

    @model_validator(mode="after")
    def _bounds_are_of_one_kind(self) -> Self:
        if len({type(bound) for bound in self.bounds().values()}) > 1:
            message = "bounds must be all numbers or all dates"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            message = "needs at least one of gt, gte, lt, lte, in, ne, nin, exists"
            raise ValueError(message)
        return self


Key = Annotated[Text, Field(min_length=1, max_length=256)]
_Accepted = Condition | Values | Scalar
Alternatives = Annotated[
    list[Annotated[dict[Key, _Accepted], Field(min_length=1, max_length=MAX_FILTERS)]],
    Field(min_length=1, max_length=MAX_ALTERNATIVES),
]
ALTERNATIVES = "or"


def _few_enough(filters: dict[str, Any]) -> dict[str, Any]:
    """Returns filters; raises ValueError for more conditions than one search should weigh, and for lists that are misplaced."""
    for key, wanted in filters.items():
        if isinstance(wanted, list) and (key == ALTERNATIVES) != bool(alternatives_of({ALTERNATIVES: wanted})):
            message = "a list under `or`, and under no other key, holds alternatives: objects of filters"
            raise ValueError(message)
    if len(filters) + sum(map(len, alternatives_of(filters))) > MAX_FILTERS:
        message = f"must have at most {MAX_FILTERS} conditions, those under `or` included"
        raise ValueError(message)
    return filters


def alternatives_of(filters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Returns the alternatives under `or`; none when a metadata key of that name is filtered by."""
    given = filters.get(ALTERNATIVES)
    return given if isinstance(given, list) and given and all(isinstance(one, dict) for one in given) else []


class _AlternativesUnderTheirKey:
    """Names the one key that takes alternatives in the schema, since generators cannot tell two kinds of lists apart."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        accepted = schema["additionalProperties"]["anyOf"]
        elsewhere = [kind for kind in accepted if kind.get("items", {}).get("type") != "object"]
        under_or = [kind for kind in accepted if "anyOf" not in kind.get("items", {})]
        return {
            **schema,
            "properties": {ALTERNATIVES: {"anyOf": under_or}},
            "additionalProperties": {"anyOf": elsewhere},
        }


Filters = Annotated[
    dict[Key, Condition | Alternatives | Values | Scalar],
    Field(max_length=MAX_FILTERS),
    _AlternativesUnderTheirKey(),
    BeforeValidator(_bounded),
    AfterValidator(_few_enough),
]


def instant(text: str) -> datetime:
    """Returns the moment that an ISO 8601 date or time names; raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = "must be a number, or a date or time in ISO 8601 such as 2024-12-31"
        raise ValueError(message) from None
    return representable(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _spellings(value: Scalar) -> list[Scalar]:
    """Returns a value and, of a number, its other kind in JSON: systems disagree whether a year is 2026 or "2026"."""
    if isinstance(value, str) and _PLAIN_NUMBER.fullmatch(value):
        return [value, float(value) if "." in value else int(value)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value, str(value)]
    return [value]


class Conditions:
    """Collects ` and …` conditions with their parameters, numbered from `first_parameter`."""

    def __init__(self, first_parameter: int) -> None:
        self.values: list[Any] = []
        self._first = first_parameter
        self._clauses: list[str] = []

    def __str__(self) -> str:
        """Returns the conditions as SQL that follows other conditions."""
        return "".join(f" and {clause}" for clause in self._clauses)

    def source_types(self, accepted: Sequence[str]) -> None:
        """Narrows to chunks of one of these source types."""
        self._clauses.append(f"source_type = any ({self._bind(list(accepted))}::text[])")

    def in_force_since(self, span: Period) -> None:
        """Narrows to versions that came into force within a range of time."""
        for operator, bound in span.bounds().items():
            self._clauses.append(f"effective_from {operator} {self._bind(bound)}::timestamptz")

    def metadata(self, filters: Mapping[str, Any]) -> None:
        """Narrows to chunks whose metadata satisfies every filter, and all filters of one of the alternatives under `or`."""
        alternatives = alternatives_of(filters)
        given = {key: wanted for key, wanted in filters.items() if not (alternatives and key == ALTERNATIVES)}
        self._clauses.extend(self._each(given))
        if alternatives:
            either = [f"({' and '.join(self._each(alternative))})" for alternative in alternatives]
            self._clauses.append(f"({' or '.join(either)})")

    def _each(self, filters: Mapping[str, Any]) -> Iterator[str]:
        for key, wanted in filters.items():
            value = f"(metadata -> {self._bind(key)}::text)"
            if isinstance(wanted, Condition):
                yield from self._condition(value, wanted)
            else:
                yield self._any_of(value, wanted if isinstance(wanted, list) else [wanted])

    def _condition(self, value: str, condition: Condition) -> Iterator[str]:
        if condition.exists is not None:
            yield f"{value} is {'not ' if condition.exists else ''}null"
        if condition.in_ is not None:
            yield self._any_of(value, condition.in_)
        if excluded := condition.excluded():
            yield f"coalesce(not {self._any_of(value, excluded)}, true)"
        for operator, bound in condition.bounds().items():
            yield self._compared(value, operator, bound)

    def _any_of(self, value: str, accepted: Sequence[Scalar]) -> str:
        # For a scalar, @> is equality, and with a list on the left it asks whether the list has it.
        # Bound as text, since the driver would make SQL's null of JSON's.
        spelled = [spelling for item in accepted for spelling in _spellings(item)]
        encoded = [orjson.dumps(item).decode() for item in spelled]
        return f"{value} @> any ({self._bind(encoded)}::text[]::jsonb[])"

    def _compared(self, value: str, operator: str, bound: Decimal | datetime) -> str:
        # CASE, since AND promises no order: a value of another kind must never reach the cast.
        if isinstance(bound, Decimal):
            return (
                f"case when jsonb_typeof({value}) = 'number'"
                f" then {value}::numeric {operator} {self._bind(bound)}::numeric else false end"
            )
        text = f"({value} #>> '{{}}')"
        return (
            f"case when jsonb_typeof({value}) = 'string' and {text} ~ '^\\d{{4}}-\\d\\d-\\d\\d'"
            f" and pg_input_is_valid({text}, 'timestamptz')"
            f" then {text}::timestamptz {operator} {self._bind(bound)}::timestamptz else false end"
        )

    def _bind(self, value: object) -> str:
        self.values.append(value)
        return f"${self._first + len(self.values) - 1}"
