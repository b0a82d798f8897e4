"""Errors as SCIM has them (RFC 7644, 3.12), for everything under /scim/v2."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import ValidationError
from scim2_models import Context, Error, SCIMException

from backend.errors import Conflict, InvalidInput, ServiceError

PREFIX = "/scim/v2"
MEDIA_TYPE = "application/scim+json"

_DETAILS = {
    400: "The input is wrong; `scimType` says in what way.",
    401: "No bearer, or none that holds.",
    403: "The credential is good for other things.",
    404: "There is none such, or none that the provider keeps here.",
    408: "The body did not arrive.",
    409: "Another user of the tenant has this name.",
    413: "The body is too large.",
    415: "The body is of a type that the route does not take.",
    429: "Too many requests; see Retry-After.",
    503: "The database is away or the audit record cannot be written; nothing was returned or changed.",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": detail,
        "content": {
            MEDIA_TYPE: {
                "schema": {"type": "object", "additionalProperties": True},
                "example": Error(status=status, detail=detail).model_dump(),
            }
        },
    }
    for status, detail in _DETAILS.items()
}


class ScimError(InvalidInput):
    """The input is wrong in a way that SCIM has a word for."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, detail: str, scim_type: str | None) -> None:
        super().__init__(detail, reason=f"scim:{scim_type}")
        self.scim_type = scim_type


class NotOffered(ServiceError):
    """A part of SCIM that no provider needs here."""

    status = HTTPStatus.NOT_IMPLEMENTED
    code = "not_implemented"
    detail = "This part of SCIM is not served; GET /scim/v2/ServiceProviderConfig says which are."


def of_protocol(error: SCIMException | ValidationError) -> ScimError:
    """Returns what the protocol's library found wrong; without the value, which can be anything."""
    cause = error if isinstance(error, ValidationError) else error.__cause__
    found = Error.from_validation_error(cause.errors()[0]) if isinstance(cause, ValidationError) else None
    scim_type = error.scim_type if isinstance(error, SCIMException) else found and found.scim_type
    detail = (found and found.detail) or str(error)
    return ScimError(_printable(detail.partition("\n")[0]), scim_type or None)


def invalid(problems: list[Mapping[str, Any]]) -> ScimError:
    """Returns what is wrong with a body that is no JSON, or with a parameter."""
    first = problems[0]
    place = ".".join(str(part)[:100] for part in first["loc"])
    return ScimError(
        _printable(f"{place}: {first['msg']}"), "invalidSyntax" if first["loc"][0] == "body" else "invalidValue"
    )


def error_response(error: ServiceError) -> JSONResponse:
    """Returns any error of the service in SCIM's shape: 400 where this service says 422."""
    status = HTTPStatus.BAD_REQUEST if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else error.status
    scim_type = getattr(error, "scim_type", None)
    if isinstance(error, Conflict):
        scim_type = "uniqueness"
    elif isinstance(error, InvalidInput) and not isinstance(error, ScimError):
        scim_type = "invalidValue"
    body = Error(status=int(status), scim_type=scim_type, detail=error.detail)
    return JSONResponse(
        body.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE), status_code=status, headers=error.headers,
        media_type=MEDIA_TYPE,
    )  # fmt: skip


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
