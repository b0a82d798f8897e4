"""Errors in the shape of OpenAI's API, which its clients turn into exceptions that say something."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import Field

from backend.errors import BudgetExhausted, InvalidInput, ServiceError
from backend.schema import ApiModel

_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
_BEGINS = re.compile(r"([A-Za-z_][\w.-]{0,80}): ")
_UNKNOWN = ("commit:", "audit:")  # reasons of failures of which nobody knows whether the question is on record


class UnsupportedParameter(InvalidInput):
    """A parameter that would change the answer in a way that this service does not offer."""

    code = "unsupported_parameter"

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail, reason=f"openai:{parameter}")
        self.parameter = parameter


class WrongParameter(InvalidInput):
    """A parameter that is offered, with a value that cannot be taken."""

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(f"{parameter}: {problem}", reason=f"openai:{parameter}")
        self.parameter = parameter


class ModelNotFound(ServiceError):
    """There is no model of that name for the caller."""

    status = HTTPStatus.NOT_FOUND
    code = "model_not_found"

    def __init__(self, model: str) -> None:
        super().__init__(f"There is no model {model[:80]!r} that you may use; GET /v1/models lists them.")
        self.parameter = "model"


class ErrorObject(ApiModel):
    """What went wrong, as OpenAI's clients read it."""

    message: str = Field(description="A sentence.")
    type: str = Field(description="The kind of error.", examples=["invalid_request_error"])
    param: str | None = Field(description="The parameter that is wrong.")
    code: str = Field(description="A stable code.", examples=["unsupported_parameter"])
    request_id: str = Field(description="Names the request in the log.")


class OpenAIError(ApiModel):
    """The shape of every error under /v1."""

    error: ErrorObject


RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": OpenAIError, "description": "The input is bad; `param` names the parameter."},
    **{
        status: {"model": OpenAIError, "description": description}
        for status, description in {
            401: "No credentials, or none that hold.",
            403: "You see it, but may not do this.",
            404: "It does not exist, or is not yours to see.",
            408: "The body did not arrive.",
            409: "It contradicts what is stored.",
            410: "It left the log for an archive.",
            413: "The body is too large.",
            415: "The body is of a type that the route does not take.",
            422: "Never: what is wrong with the input is a 400 here.",
            429: "Too many requests; see Retry-After.",
            503: "The service, the database or the model server is away.",
        }.items()
    },
}


# What a route says of itself that only ever refuses. Every operation must describe a success, and this one never comes.
REFUSING: dict[str, Any] = {
    "status_code": HTTPStatus.FORBIDDEN, "response_model": OpenAIError, "responses": {204: {"description": "Never."}},
}  # fmt: skip


def error_object(error: ServiceError, request_id: str, fields: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Returns the `error` member of a response, or of an event in a stream that has begun."""
    parameter = getattr(error, "parameter", None) or (_parameter(fields[0]["field"]) if fields else _named_by(error))
    kind = "insufficient_quota" if isinstance(error, BudgetExhausted) else _TYPES.get(error.status)
    kind = kind or ("invalid_request_error" if error.status < 500 else "server_error")
    return {"message": error.detail, "type": kind, "param": parameter, "code": error.code, "request_id": request_id}


def error_response(error: ServiceError, request_id: str, fields: Sequence[Mapping[str, str]] = ()) -> JSONResponse:
    """Returns an error as OpenAI's clients read it: 400 where this service says 422."""
    status = HTTPStatus.BAD_REQUEST if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else error.status
    headers = dict(error.headers)
    if not _may_be_tried_again(error):
        headers["x-should-retry"] = "false"
    return JSONResponse({"error": error_object(error, request_id, fields)}, status_code=status, headers=headers)


def _may_be_tried_again(error: ServiceError) -> bool:
    """Tells whether clients may send a request again by themselves: never what may be on record, or will fail again.

    A budget is not renewed within seconds, and of a fault of ours nobody knows how far the question came.
    """
    is_lasting = isinstance(error, BudgetExhausted) or error.status in {
        HTTPStatus.CONFLICT,
        HTTPStatus.INTERNAL_SERVER_ERROR,
    }
    return not (is_lasting or error.in_turn or error.reason.startswith(_UNKNOWN))


def _parameter(field: str) -> str | None:
    """Returns what the client calls a field: not where it stands, and not which kinds of value were tried for it.

    Of a body that is no JSON, it is only known at which character.
    """
    _, *names = [part for part in field.split(".") if not set("[]()") & set(part)] or [""]
    return ".".join(names) if names and not names[0].isdigit() else None


def _named_by(error: ServiceError) -> str | None:
    """Returns the parameter with which the sentence about bad input begins."""
    named = _BEGINS.match(error.detail) if isinstance(error, InvalidInput) else None
    return named and named[1]
