"""Errors in the shape of OpenAI's API, which its clients turn into exceptions that say something."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

from backend.errors import InvalidInput, ServiceError

PREFIX = "/v1/"
_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
# Failures after the question is on record: another try would be another turn.
_RECORDED = ("generator", "commit:", "audit:")


class UnsupportedParameter(InvalidInput):
    """A parameter that would change the answer in a way that this service does not offer."""

    code = "unsupported_parameter"

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail, reason=f"openai:{parameter}")
        self.parameter = parameter


class ModelNotFound(ServiceError):
    """There is no model of that name for the caller."""

    status = HTTPStatus.NOT_FOUND
    code = "model_not_found"

    def __init__(self, model: str) -> None:
        super().__init__(f"There is no model {model[:80]!r} that you may use; GET /v1/models lists them.")
        self.parameter = "model"


def error_object(error: ServiceError, request_id: str, fields: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Returns the `error` member of a response, or of an event in a stream that has begun."""
    parameter = getattr(error, "parameter", None) or (fields[0]["field"].removeprefix("body.") if fields else None)
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    return {"message": error.detail, "type": kind, "param": parameter, "code": error.code, "request_id": request_id}


def error_response(error: ServiceError, request_id: str, fields: Sequence[Mapping[str, str]] = ()) -> JSONResponse:
    """Returns an error as OpenAI's clients read it: 400 where this service says 422."""
    status = HTTPStatus.BAD_REQUEST if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else error.status
    headers = dict(error.headers)
    if status == HTTPStatus.CONFLICT or error.reason.startswith(_RECORDED):
        headers["x-should-retry"] = "false"
    return JSONResponse({"error": error_object(error, request_id, fields)}, status_code=status, headers=headers)
