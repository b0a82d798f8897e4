"""Errors in the shape of RFC 6749, section 5.2."""

from collections.abc import Mapping, Sequence

from fastapi.responses import JSONResponse
from pydantic import Field

from backend.errors import ServiceError
from backend.schema import ApiModel

_CODES = {
    "invalid_input": "invalid_request", "unsupported_type": "invalid_request", "too_many_requests": "temporarily_unavailable",
    "unavailable": "temporarily_unavailable", "audit_unavailable": "temporarily_unavailable", "not_found": "invalid_client",
}  # fmt: skip


class OAuthError(ApiModel):
    """Why a request for tokens was refused."""

    error: str = Field(description="A code of RFC 6749 or 8707.", examples=["invalid_grant"])
    error_description: str = Field(description="A sentence.")
    request_id: str = Field(description="Names the request in the log.")


def error_response(error: ServiceError, request_id: str, fields: Sequence[Mapping[str, str]] = ()) -> JSONResponse:
    """Returns an error as OAuth's clients read it: 400 where this service says 422 or 404."""
    status = 400 if error.status in {404, 422} else error.status
    code = _CODES.get(error.code, error.code)
    if [field["field"] for field in fields] == ["body.grant_type"] and "required" not in fields[0]["problem"]:
        code = "unsupported_grant_type"
    body = OAuthError(error=code, error_description=error.detail, request_id=request_id).model_dump()
    return JSONResponse(body, status, error.headers)
