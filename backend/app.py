"""The service: routes, the life of what they share, and the one error shape."""

import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus

import httpx
import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

from backend import health, logging, openapi
from backend.answers import generators
from backend.answers import routes as answers
from backend.answers.openai_compatible import OpenAICompatibleGenerator
from backend.answers.service import Answering
from backend.audit import key_encryption
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.database import open_pool
from backend.documents.chunks import routes as documents
from backend.documents.collections import routes as collections
from backend.documents.files import routes as files
from backend.documents.files.routes import FORM_BYTES
from backend.documents.files.service import INGEST
from backend.documents.files.withdrawal import Withdrawal
from backend.documents.versions import routes as versions
from backend.errors import InvalidInput, MethodNotAllowed, NotFound, ServiceError, Unavailable
from backend.identity.callers.caller import Resolver
from backend.identity.callers.denials import record_denial
from backend.identity.callers.guard import origin_of
from backend.identity.keys import routes as keys_routes
from backend.identity.sign_in import oidc_routes as oidc
from backend.identity.sign_in import routes as identity
from backend.identity.sign_in.federation import Federation, Seal, client_secret_seal
from backend.identity.sign_in.providers import Providers
from backend.identity.sign_in.service import SignIn
from backend.identity.sign_in.tokens import AccessTokens, SigningKeys
from backend.identity.users import routes as users
from backend.jobs import routes as jobs
from backend.operation import routes as operation
from backend.provenance import VERSION, provenance
from backend.request_scope import RequestScope, route_of, supported_body
from backend.retrieval import routes as retrieval
from backend.retrieval.embedding import from_settings as embedders
from backend.retrieval.embedding.vectorizer import ChunkVectorizer
from backend.retrieval.ranking import reranker
from backend.review.analysis import routes as review
from backend.review.archives import routes as archives
from backend.review.erasure import routes as erasure
from backend.review.events import routes as audit
from backend.review.exports import routes as exports
from backend.review.exports.jobs import EXPORT, ExportHandler
from backend.review.replay import routes as replays
from backend.settings import Settings, required
from backend.storage.service import FileVault, archives_from_settings, store_from_settings
from backend.tenancy import ContextSigner, Tenancy

log = structlog.get_logger()

_NAMED_FIELDS, _LONGEST_NAME = 20, 100


def create_app(settings: Settings | None = None) -> FastAPI:
    """Builds the service; it connects when it starts, and serves whether or not the database is there yet."""
    settings = settings or Settings()
    logging.configure(settings.log_level)
    app = FastAPI(
        title="Affidavit", version=VERSION, description=openapi.DESCRIPTION, lifespan=_lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False, responses=openapi.ERROR_RESPONSES,
        dependencies=[Depends(supported_body)],
    )  # fmt: skip
    app.state.settings = settings
    app.state.trusted_proxies = [ipaddress.ip_network(network) for network in settings.trusted_proxies]
    for routes in (  # matched in this order: first what is asked most
        retrieval, answers, health, identity, keys_routes, oidc, users, documents, files, versions, collections, jobs, audit,
        review, replays, erasure, exports, archives, operation,
    ):  # fmt: skip
        app.include_router(routes.router)
    openapi.install(app)
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(
        RequestScope, body_limit=settings.max_body_bytes, larger={("POST", "/documents"): settings.max_file_bytes + FORM_BYTES}
    )  # fmt: skip
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        pool = await open_pool(
            required(settings.runtime_database_url, "RUNTIME_DATABASE_URL"),
            size=settings.database_pool_size, timeout=settings.database_timeout,
        )  # fmt: skip
        stack.push_async_callback(pool.close)
        app.state.operator_pool = None
        if settings.operator_database_url is not None:
            operator_url = settings.operator_database_url.get_secret_value()
            app.state.operator_pool = await open_pool(operator_url, size=2, timeout=settings.database_timeout)
            stack.push_async_callback(app.state.operator_pool.close)
        signer = ContextSigner(required(settings.context_key, "CONTEXT_KEY"))
        tenancy = Tenancy(pool, signer, timeout=settings.database_timeout)
        secret = required(settings.payload_key, "PAYLOAD_KEY")
        vault = PayloadVault(
            await stack.enter_async_context(key_encryption.opened(settings, secret)), settings.data_key_seconds
        )
        words = SearchWords(secret)
        recorder = Recorder(vault, words, provenance(settings))
        keys = SigningKeys(required(settings.jwt_private_key, "JWT_PRIVATE_KEY"), settings.jwt_previous_public_keys)
        tokens = AccessTokens(keys, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
        embedder = embedders.from_settings(settings)
        state = app.state
        state.pool, state.tenancy, state.vault, state.recorder = pool, tenancy, vault, recorder
        state.search_words = words
        state.resolver = Resolver(tenancy, tokens)
        state.sign_in = SignIn(tenancy, tokens, recorder, settings.refresh_token_days)
        state.federation = Federation(
            tenancy, recorder, state.sign_in,
            Providers(await stack.enter_async_context(httpx.AsyncClient()), loopback_http=settings.oidc_loopback_http),
            f"{settings.public_url}/auth/oidc/callback",
            cookie=Seal(secret, "login cookie"),
            client_secrets=client_secret_seal(secret),
        )  # fmt: skip
        state.embedder, state.vectorizer = embedder, ChunkVectorizer(embedder)
        state.reranker = reranker.from_settings(settings)
        if state.reranker is not None:
            stack.push_async_callback(state.reranker.aclose)
        state.files = FileVault(store_from_settings(settings), secret)
        state.job_endings = {
            INGEST: Withdrawal(tenancy, state.files, recorder), EXPORT: ExportHandler(state.files, vault, recorder)
        }  # fmt: skip
        state.archives = archives_from_settings(settings)
        generator = generators.from_settings(settings, embedder)
        if isinstance(generator, OpenAICompatibleGenerator):
            stack.push_async_callback(generator.aclose)
        state.answering = Answering(tenancy, recorder, embedder, generator, state.reranker)
        yield


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    try:
        await record_denial(
            request.app.state.tenancy, request.app.state.recorder, error, request.state.caller, origin_of(request),
            route_of(request.scope),
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
    return _answer(request, InvalidInput(sentence or None), fields=fields)


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


def _answer(request: Request, error: ServiceError, **more: object) -> Response:
    body = {"error": error.code, "detail": error.detail, "request_id": request.state.request_id, **more}
    return JSONResponse(body, status_code=error.status, headers=error.headers)
