"""The service: routes, the life of what they share, and the one error shape."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from backend import health, logging, openapi, provided
from backend.answers import routes as answers
from backend.audit.recorder import Recorder
from backend.console import page as console_page
from backend.console import routes as console
from backend.documents.chunks import routes as documents
from backend.documents.collections import routes as collections
from backend.documents.files import routes as files
from backend.documents.files.routes import FORM_BYTES
from backend.documents.versions import routes as versions
from backend.errors import InvalidInput, MethodNotAllowed, NotFound, ServiceError, Unavailable
from backend.gateways.mcp.door import PATH as MCP_PATH
from backend.gateways.mcp.door import McpDoor
from backend.gateways.openai import errors as openai_errors
from backend.gateways.openai import routes as openai
from backend.gateways.openai import vector_stores
from backend.identity.callers.denials import record_denial
from backend.identity.callers.gate import Gate
from backend.identity.callers.guard import origin_of
from backend.identity.joint_acts import routes as joint_acts
from backend.identity.keys import routes as keys_routes
from backend.identity.sign_in import oidc_routes as oidc
from backend.identity.sign_in import routes as identity
from backend.identity.users import routes as users
from backend.jobs import routes as jobs
from backend.operation import routes as operation
from backend.provenance import VERSION
from backend.request_scope import RequestScope, route_of, supported_body
from backend.retrieval import routes as retrieval
from backend.review.analysis import routes as review
from backend.review.archives import routes as archives
from backend.review.erasure import routes as erasure
from backend.review.events import routes as audit
from backend.review.exports import routes as exports
from backend.review.impact import routes as impact
from backend.review.replay import routes as replays
from backend.review.turns import routes as turns
from backend.services import open_services
from backend.settings import Settings
from backend.tenancy import Tenancy

log = structlog.get_logger()

_NAMED_FIELDS, _LONGEST_NAME = 20, 100


def create_app(settings: Settings | None = None) -> FastAPI:
    """Builds the service; it connects when it starts, and serves whether or not the database is there yet."""
    settings = settings or Settings()
    logging.configure(settings.log_level)
    mcp = McpDoor()
    app = FastAPI(
        title="Affidavit", version=VERSION, description=openapi.DESCRIPTION, lifespan=_lifespan(settings, mcp),
        docs_url=None, redoc_url=None, redirect_slashes=False, responses=openapi.ERROR_RESPONSES,
        dependencies=[Depends(supported_body)],
    )  # fmt: skip
    for routes in (  # matched in this order: first what is asked most
        retrieval, answers, health, identity, keys_routes, joint_acts, oidc, users, documents, files, versions, collections, jobs,
        audit, review, impact, replays, erasure, turns, exports, archives, operation, openai,
        vector_stores,
    ):  # fmt: skip
        app.include_router(routes.router)
    app.include_router(users.roles_router)
    app.include_router(versions.across)
    app.router.routes.append(Route(MCP_PATH, mcp, methods=["GET", "POST", "DELETE"]))
    console.install(app)
    openapi.install(app)
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(Gate, refuse=_refused, with_model=settings.model_url is not None)
    app.add_middleware(
        RequestScope, body_limit=settings.max_body_bytes, larger={("POST", "/documents"): settings.max_file_bytes + FORM_BYTES}
    )  # fmt: skip
    return app


def _lifespan(settings: Settings, mcp: McpDoor) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            for kind in provided.asked_for():
                services.collaborator(kind)  # a route that asks for what is not there fails the start, and no request
            provided.provide(app, services)
            async with mcp.running():
                yield

    return lifespan


async def _refused(request: Request, error: ServiceError) -> Response:
    log.info("refused", code=error.code, reason=error.reason)
    return _answer(request, error)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    try:
        await record_denial(
            provided.of(request, Tenancy), provided.of(request, Recorder), error, request.state.caller,
            origin_of(request), route_of(request.scope),
        )  # fmt: skip
    except Unavailable as unrecorded:
        error = unrecorded
    log.info("refused", code=error.code, reason=error.reason)
    return _answer(request, error)


async def _validation_error(request: Request, error: Exception) -> Response:
    """Names every bad field and never repeats its value, which can be anything."""
    assert isinstance(error, RequestValidationError)
    problems = error.errors()[:_NAMED_FIELDS]
    fields = [{"field": _field(problem["loc"]), "problem": _printable(problem["msg"])} for problem in problems]
    sentence = "; ".join(f"{field['field']}: {field['problem']}" for field in fields)
    return _answer(request, InvalidInput(sentence or None), fields)


def _field(location: Sequence[object]) -> str:
    """Returns the dotted name of a field; parts of it can be names that a client made up."""
    return _printable(".".join(str(part)[:_LONGEST_NAME] for part in location))


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ServiceError):  # raised while the framework read the body
        return _answer(request, error.__cause__)
    known = {
        HTTPStatus.BAD_REQUEST: InvalidInput("The request body is malformed."),
        HTTPStatus.NOT_FOUND: NotFound("There is no such route."),
        HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed(headers={"Allow": ", ".join(_methods_of_path(request))}),
    }
    return _answer(request, known.get(HTTPStatus(error.status_code), ServiceError()))


def _methods_of_path(request: Request) -> list[str]:
    """Returns the methods of all routes that match the path; the framework's own Allow names those of one."""
    routes = [
        route for route in iter_route_contexts(request.app.routes) if route.matches(request.scope)[0] is not Match.NONE
    ]
    methods = {method for route in routes for method in route.methods or ()}
    return sorted(methods or {"GET", "HEAD"})  # static files are mounted and say no methods


def _answer(request: Request, error: ServiceError, fields: Sequence[Mapping[str, str]] = ()) -> Response:
    if request.url.path.startswith(f"{console_page.PREFIX}/") or request.url.path == console_page.PREFIX:
        return console_page.error_page(request, error)
    if request.url.path.startswith(openai_errors.PREFIX):
        return openai_errors.error_response(error, request.state.request_id, fields)
    more = {"fields": fields} if fields else {}
    body = {"error": error.code, "detail": error.detail, "request_id": request.state.request_id, **more}
    return JSONResponse(body, status_code=error.status, headers=error.headers)
