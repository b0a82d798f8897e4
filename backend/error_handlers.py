"""Errors as responses: recorded where they are denials, in one shape, or in that of the front door that the request came by."""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

from backend import metrics, provided
from backend.audit.recorder import Recorder
from backend.errors import InvalidInput, MethodNotAllowed, Misdirected, NotFound, ServiceError, Unavailable
from backend.gateways.front_door import FrontDoor, WrongFields
from backend.hand_over import handed_over
from backend.identity.callers.denials import record_denial
from backend.identity.callers.guard import origin_of
from backend.request_scope import route_of
from backend.tenancy import Tenancy

_NAMED_FIELDS, _LONGEST_NAME = 20, 100
_OF_QUERIES = "!$&'()*+,;=:@/?%"  # what a query holds as it is (RFC 3986, section 3.4)


class ErrorHandlers:
    """What the application does with an error, whoever raises it."""

    def __init__(self, doors: Sequence[FrontDoor]) -> None:
        """Each of `doors` may have a shape of its own for errors."""
        self._doors = [(door, door.error_response) for door in doors if door.error_response is not None]

    def install(self, app: FastAPI) -> None:
        """Lets the application answer errors so."""
        app.add_exception_handler(ServiceError, self._service_error)
        app.add_exception_handler(RequestValidationError, self._validation_error)
        app.add_exception_handler(HTTPException, self._http_error)

    async def refused(self, request: Request, error: ServiceError) -> Response:
        """Returns the response to a request that is refused before it reaches a route."""
        _note(error)
        return self._answer(request, error)

    async def _service_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, ServiceError)
        if (handing_over := handed_over(request, error)) is not None:
            return handing_over
        try:
            await record_denial(
                provided.of(request, Tenancy), provided.of(request, Recorder), error, request.state.caller,
                origin_of(request), route_of(request.scope),
            )  # fmt: skip
        except (Unavailable, Misdirected) as unrecorded:
            error = unrecorded
        _note(error)
        return self._answer(request, error)

    async def _validation_error(self, request: Request, error: Exception) -> Response:
        """Names every bad field and never repeats its value, which can be anything."""
        assert isinstance(error, RequestValidationError)
        problems = error.errors()[:_NAMED_FIELDS]
        fields = [{"field": _field(problem["loc"]), "problem": _printable(problem["msg"])} for problem in problems]
        sentence = "; ".join(f"{field['field']}: {field['problem']}" for field in fields)
        return self._answer(request, InvalidInput(sentence or None), fields)

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, ServiceError):  # raised while the framework read the body
            return self._answer(request, error.__cause__)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return self._answer(request, MethodNotAllowed(headers={"Allow": ", ".join(_methods_of_path(request))}))
        known = {
            HTTPStatus.BAD_REQUEST: InvalidInput("The request body is malformed."),
            HTTPStatus.NOT_FOUND: NotFound("There is no such route."),
        }
        return self._answer(request, known.get(HTTPStatus(error.status_code), ServiceError()))

    def _answer(self, request: Request, error: ServiceError, fields: WrongFields = ()) -> Response:
        if (handing_over := handed_over(request, error)) is not None:
            return handing_over
        if isinstance(error, Misdirected):
            error.headers["Location"] = _place_at(error.address, request)
        for door, error_response in self._doors:
            if door.leads_to(request.scope["path"]):
                return error_response(request, error, fields)
        more = {"fields": fields} if fields else {}
        body = {"error": error.code, "detail": error.detail, "request_id": request.state.request_id, **more}
        return JSONResponse(body, status_code=error.status, headers=error.headers)


def _place_at(address: str, request: Request) -> str:
    """Returns where at another address the same request goes: whatever its path is, to no other host than that."""
    path = quote(request.scope["path"].lstrip("/"))
    query = quote(request.scope["query_string"], safe=_OF_QUERIES)
    return f"{address.rstrip('/')}/{path}" + (f"?{query}" if query else "")


def _note(error: ServiceError) -> None:
    """Counts a refusal, and has the request's one line in the log say why: a second line would cost as much as refusing."""
    structlog.contextvars.bind_contextvars(code=error.code, reason=error.reason)
    metrics.refused(error.code, error.reason)


def _field(location: Sequence[object]) -> str:
    """Returns the dotted name of a field; parts of it can be names that a client made up."""
    return _printable(".".join(str(part)[:_LONGEST_NAME] for part in location))


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _methods_of_path(request: Request) -> list[str]:
    """Returns the methods of all routes that match the path; the framework's own Allow names those of one."""
    routes = [
        route for route in iter_route_contexts(request.app.routes) if route.matches(request.scope)[0] is not Match.NONE
    ]
    methods = {method for route in routes for method in route.methods or ()}
    return sorted(methods or {"GET", "HEAD"})  # static files are mounted and say no methods
