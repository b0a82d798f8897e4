"""What every request and response body has in common."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict


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


# Text that PostgreSQL can store: neither NUL nor lone surrogates.
Text = Annotated[str, AfterValidator(_storable)]

MAX_JSON_DEPTH = 8
MAX_JSON_BYTES = 16 * 1024


def _bounded_object(value: dict[str, Any]) -> dict[str, Any]:
    size = _measure(value, MAX_JSON_DEPTH)
    if size > MAX_JSON_BYTES:
        message = f"must be at most {MAX_JSON_BYTES} bytes"
        raise ValueError(message)
    return value


def _measure(value: object, depth: int) -> int:
    """Returns roughly the size of a JSON value in bytes; raises ValueError when it is nested too deeply."""
    if isinstance(value, str):
        return len(_storable(value).encode()) + 2
    if isinstance(value, dict | list):
        if depth == 0:
            message = f"must not be nested deeper than {MAX_JSON_DEPTH}"
            raise ValueError(message)
        if isinstance(value, dict):
            return 2 + sum(_measure(name, depth) + _measure(item, depth - 1) + 2 for name, item in value.items())
        return 2 + sum(_measure(item, depth - 1) + 1 for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        message = "must hold finite numbers"
        raise ValueError(message)
    return len(str(value))


# A JSON object of the client's own: at most 8 levels and 16 KiB.
JsonObject = Annotated[dict[str, Any], AfterValidator(_bounded_object)]


class ApiModel(BaseModel):
    """A request or response body; unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    error: str
    detail: str
    request_id: str
