"""What every request and response body has in common."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field


def _storable(text: str) -> str:
    if "\0" in text:
        message = "must not contain NUL characters"
        raise ValueError(message)
    if not text.isprintable():  # quick: most text with a surrogate is not printable
        try:
            text.encode()
        except UnicodeEncodeError:
            message = "must be complete Unicode, without lone surrogates"
            raise ValueError(message) from None
    return text


# Text that PostgreSQL can store: neither NUL nor lone surrogates. A pattern is for `str` alone: behind a validator, it would not
# be in the schema.
Text = Annotated[str, AfterValidator(_storable)]


def _whole(number: object) -> object:
    return int(number) if isinstance(number, float) and number.is_integer() else number


# Makes of a strict integer one as JSON Schema has it: 5.0 is one, while neither "5" nor true is. Stands behind its bounds, which
# would not be in the schema otherwise.
WHOLE = BeforeValidator(_whole)

MAX_JSON_DEPTH = 8
MAX_JSON_BYTES = 16 * 1024
_INTEGERS = range(-(2**63), 2**63)


def bounded_object(value: dict[str, Any]) -> dict[str, Any]:
    """Returns the value; raises ValueError when it is too large, too deep or not storable."""
    _refuse_unstorable(value, MAX_JSON_DEPTH)
    if len(orjson.dumps(value)) > MAX_JSON_BYTES:
        message = f"must be at most {MAX_JSON_BYTES} bytes"
        raise ValueError(message)
    return value


def _refuse_unstorable(value: object, depth: int) -> None:
    """Raises ValueError for what a JSON document cannot hold, or PostgreSQL's jsonb would not return unchanged."""
    if isinstance(value, str):
        _storable(value)
    elif isinstance(value, dict | list):
        if depth == 0:
            message = f"must not be nested deeper than {MAX_JSON_DEPTH}"
            raise ValueError(message)
        for item in value:
            _refuse_unstorable(item, depth - 1)
        for item in value.values() if isinstance(value, dict) else ():
            _refuse_unstorable(item, depth - 1)
    elif isinstance(value, float) and not math.isfinite(value):
        message = "must hold only finite numbers"  # Python's reader takes NaN, Infinity and 1e999
        raise ValueError(message)
    elif isinstance(value, int) and value not in _INTEGERS:
        message = "must hold only integers of 64 bits"
        raise ValueError(message)


# A JSON object of the client's own: at most 8 levels and 16 KiB.
JsonObject = Annotated[dict[str, Any], AfterValidator(bounded_object)]

_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def representable(moment: datetime) -> datetime:
    """Returns the moment; raises ValueError when it lies outside the range that everything can represent."""
    if not _EARLIEST <= moment < _LATEST:
        message = f"must lie between the years {_EARLIEST.year} and {_LATEST.year}"
        raise ValueError(message)
    return moment


REPRESENTABLE_YEAR = "^(19|[2-8][0-9])[0-9]{2}-"
_DATE_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")


def _no_timestamp(moment: object) -> object:
    """Refuses seconds since 1970, of which nobody can see in which unit they are."""
    if not isinstance(moment, datetime) and not (isinstance(moment, str) and _DATE_AND_TIME.match(moment)):
        message = "must be a date and a time with its zone in ISO 8601, such as 2026-04-01T00:00:00Z"
        raise ValueError(message)
    return moment


# A time with its zone, in a range that no conversion between zones, and no database, leaves.
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_no_timestamp),
    AfterValidator(representable),
    Field(json_schema_extra={"pattern": REPRESENTABLE_YEAR}),
]


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _begun(moment: object) -> object:
    return f"{moment}T00:00:00Z" if isinstance(moment, str) and _DATE.fullmatch(moment) else moment


# The same, or a date alone, which means its first moment in UTC, as in filters.
MomentOrDate = Annotated[
    AwareDatetime,
    BeforeValidator(_no_timestamp),
    BeforeValidator(_begun),
    AfterValidator(representable),
    Field(json_schema_extra={"anyOf": [{"format": "date"}, {"format": "date-time"}], "pattern": REPRESENTABLE_YEAR}),
]


# Soft hyphens, joiners, directions, fillers of Hangul, the blank pattern of Braille, selectors of variants, marks of bytes.
_SEEN = (
    r"[^\s\u0000-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]"
)


def _asks(text: str) -> str:
    if not re.search(_SEEN, text):
        message = "must ask something: it has no character that can be seen"
        raise ValueError(message)
    return text


# A question of at least one character that can be seen.
AskedText = Annotated[Text, AfterValidator(_asks), Field(json_schema_extra={"pattern": _SEEN})]


class ApiModel(BaseModel):
    """A request or response body; unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WrongField(ApiModel):
    """A field of the input that is wrong."""

    field: str = Field(description="Its dotted name.", examples=["body.question"])
    problem: str = Field(description="What is wrong with it.", examples=["Field required"])


class ErrorBody(ApiModel):
    """The one shape of every error."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "error": "not_found",
                "detail": "There is nothing here that you may see.",
                "request_id": "01a2…",
            }
        },
    )
    error: str = Field(description="A stable code.", examples=["not_found"])
    detail: str = Field(description="A sentence.", examples=["There is nothing here that you may see."])
    request_id: str
    fields: list[WrongField] | None = Field(default=None, description="The fields that are wrong, where some are.")
