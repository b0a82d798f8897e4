"""Every error a client can see: one tree, one shape `{"error", "detail", "request_id"}`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class ServiceError(Exception):
    """An error with a stable code and a sentence for the client, and a reason that only the log sees."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "internal"
    detail = "Something went wrong on our side."
    recorded = False  # whether the audit log has it already
    in_turn = False  # whether it came behind the record of a question, which asked again would be another turn
    actor: Any = None  # who it is about, where that is known although the request got no caller

    def __init__(
        self, detail: str | None = None, *, reason: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail or self.detail)
        self.detail = detail or self.detail
        self.reason = reason or self.code
        self.headers = dict(headers or {})


class Unauthenticated(ServiceError):
    """No credentials, or none that hold; the client never learns which. Only who has proved itself is told what else lacks."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthenticated"
    detail = "Valid credentials are needed."

    def __init__(self, detail: str | None = None, *, reason: str, recorded: bool = False) -> None:
        super().__init__(detail, reason=reason, headers={"WWW-Authenticate": "Bearer"})
        self.recorded = recorded


class Forbidden(ServiceError):
    """The caller sees the thing but may not do this to it."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"
    detail = "You may not do this."


class NotFound(ServiceError):
    """It does not exist, or it is not the caller's to see: indistinguishable."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"
    detail = "There is nothing here that you may see."


class Gone(ServiceError):
    """It was here and left; `detail` says where to."""

    status = HTTPStatus.GONE
    code = "gone"
    detail = "This is not here any more."


class MethodNotAllowed(ServiceError):
    """The route exists and does not take this method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"
    detail = "This route does not take this method."


class Conflict(ServiceError):
    """The request contradicts what is stored."""

    status = HTTPStatus.CONFLICT
    code = "conflict"
    detail = "This contradicts what is already stored."


class TooLarge(ServiceError):
    """The request body exceeds the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"
    detail = "The request body is too large."


class TooSlow(ServiceError):
    """The request body did not arrive."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "too_slow"
    detail = "The request body did not arrive in time; nothing was changed."

    def __init__(self) -> None:
        super().__init__(headers={"Connection": "close"})


class UnsupportedType(ServiceError):
    """The request body is of a type that the route does not take."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_type"
    detail = "The request body must be JSON, or a form where the route takes one."


class InvalidInput(ServiceError):
    """The request is understood and wrong; `detail` names the field."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid_input"
    detail = "The request is not valid."


class TooManyRequests(ServiceError):
    """The caller exceeds a limit; Retry-After says when to come back."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests"
    detail = "Too many requests; try again later."

    def __init__(self, *, retry_after: int, reason: str | None = None) -> None:
        super().__init__(reason=reason, headers={"Retry-After": str(max(1, retry_after))})


class BudgetExhausted(TooManyRequests):
    """A key's budget has no room for what is asked; Retry-After says when the budget is renewed."""

    code = "budget_exhausted"
    detail = "A budget of this key has no room for the request."

    def __init__(self, detail: str, *, retry_after: int, reason: str) -> None:
        super().__init__(retry_after=retry_after, reason=reason)
        self.detail = detail


class Unavailable(ServiceError):
    """The database, the model or another server is away; nothing was returned or changed."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"
    detail = "The service is temporarily unavailable; nothing was changed."

    def __init__(self, detail: str | None = None, *, reason: str | None = None) -> None:
        super().__init__(detail, reason=reason, headers={"Retry-After": "5"})


class NotAtHome(Unavailable):
    """The cell's database refuses the tenant: it is moving, or has moved. In moments it is known where to."""

    code = "tenant_moving"
    detail = "The institution is being moved; nothing was changed. Try again in a moment."

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)
        self.headers["Retry-After"] = "1"


class CellLost(Unavailable):
    """The servers of the tenant's cell are gone for good, as the operator has signed."""

    code = "cell_lost"
    detail = "The servers of this institution were lost. Its operator says when it is served again."

    def __init__(self, *, cell: str) -> None:
        super().__init__(reason=f"cell:{cell}:lost")
        self.headers["Retry-After"] = "3600"


class Misdirected(ServiceError):
    """The tenant is at home in another cell; nothing of it was read here."""

    status = HTTPStatus.MISDIRECTED_REQUEST
    code = "misdirected"
    detail = "This institution is served elsewhere."

    def __init__(self, address: str, *, cell: str, redirect: bool) -> None:
        """`redirect` has the client sent on to the cell's address, in place of being told it."""
        super().__init__(f"This institution is served at {address}.", reason=f"cell:{cell}")
        self.address = address
        self.cell = cell
        if redirect:
            self.status = HTTPStatus.TEMPORARY_REDIRECT


class Abandoned(Unavailable):
    """The client closed its connection before there was an answer; nobody reads this error."""

    code = "abandoned"
    detail = "The client went away."


class AuditUnavailable(Unavailable):
    """The audit record cannot be written, so nothing may be answered."""

    code = "audit_unavailable"
    detail = "The audit record cannot be written; nothing was returned or changed."
