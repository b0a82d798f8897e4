"""The service: routes, the life of what they share, and the one error shape."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from backend import health, logging, openapi
from backend.answers import generators
from backend.answers import routes as answers
from backend.answers.service import Answering
from backend.audit import routes as audit
from backend.audit.denials import record_denial
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.database import open_pool
from backend.documents import routes as documents
from backend.errors import InvalidInput, NotFound, ServiceError, TooLarge, Unavailable
from backend.identity import routes as identity
from backend.identity.caller import Resolver
from backend.identity.guard import origin_of
from backend.identity.service import SignIn
from backend.identity.tokens import AccessTokens, SigningKeys
from backend.request_scope import RequestScope, route_of
from backend.retrieval import embedders
from backend.retrieval import routes as retrieval
from backend.retrieval.vectorizer import ChunkVectorizer
from backend.settings import Settings
from backend.tenancy import ContextSigner, Tenancy

log = structlog.get_logger()


class MissingSettingError(RuntimeError):
    """A secret or address that serving needs is not configured."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Builds the service; it connects when it starts, and serves whether or not the database is there yet."""
    settings = settings or Settings()
    logging.configure(settings.log_level)
    app = FastAPI(
        title="Affidavit", version=openapi.VERSION, description=openapi.DESCRIPTION, lifespan=_lifespan,
        docs_url=None, redoc_url=None, responses=openapi.ERROR_RESPONSES,
    )  # fmt: skip
    app.state.settings = settings
    app.state.trusted_proxies = [ipaddress.ip_network(network) for network in settings.trusted_proxies]
    for routes in (health, identity, documents, retrieval, answers, audit):
        app.include_router(routes.router)
    openapi.install(app)
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(RequestScope, body_limit=settings.max_body_bytes)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        pool = await open_pool(
            _required(settings.runtime_database_url, "RUNTIME_DATABASE_URL"),
            size=settings.database_pool_size, timeout=settings.database_timeout,
        )  # fmt: skip
        stack.push_async_callback(pool.close)
        signer = ContextSigner(_required(settings.context_key, "CONTEXT_KEY"))
        tenancy = Tenancy(pool, signer, timeout=settings.database_timeout)
        vault = PayloadVault(_required(settings.payload_key, "PAYLOAD_KEY"))
        recorder = Recorder(vault)
        keys = SigningKeys(_required(settings.jwt_private_key, "JWT_PRIVATE_KEY"), settings.jwt_previous_public_keys)
        tokens = AccessTokens(keys, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
        embedder = embedders.from_settings(settings)
        state = app.state
        state.pool, state.tenancy, state.vault, state.recorder = pool, tenancy, vault, recorder
        state.resolver = Resolver(tenancy, tokens)
        state.sign_in = SignIn(tenancy, tokens, recorder, settings.refresh_token_days)
        state.embedder, state.vectorizer = embedder, ChunkVectorizer(embedder)
        generator = generators.from_settings(settings, embedder)
        state.answering = Answering(tenancy, recorder, embedder, generator)
        yield


def _required(secret: SecretStr | None, name: str) -> str:
    if secret is None:
        message = f"AFFIDAVIT_{name} is not set; `affidavit demo` makes its own, a deployment must choose one"
        raise MissingSettingError(message)
    return secret.get_secret_value()


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
    fields = [
        {
            "field": ".".join(str(part) for part in problem["loc"]).encode("utf-8", "replace").decode(),
            "problem": problem["msg"],
        }
        for problem in error.errors()[:20]
    ]
    sentence = "; ".join(f"{field['field']}: {field['problem']}" for field in fields) or InvalidInput.detail
    return _answer(request, InvalidInput(sentence.encode("utf-8", "replace").decode()[:2000]), fields=fields)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == NotFound.status:
        return _answer(request, NotFound("There is no such route."))
    if error.status_code == TooLarge.status:
        return _answer(request, TooLarge())
    known = (
        InvalidInput("The request body is not valid JSON.")
        if error.status_code == 400
        else ServiceError(str(error.detail))
    )
    return _answer(
        request, known, status=None if error.status_code == 400 else error.status_code, headers=error.headers
    )


def _answer(
    request: Request, error: ServiceError, *, status: int | None = None, headers: object = None, **more: object
) -> Response:
    body = {"error": error.code, "detail": error.detail, "request_id": request.state.request_id, **more}
    if status is not None:
        body["error"] = {405: "method_not_allowed"}.get(status, "http_error")
    return JSONResponse(body, status_code=status or error.status, headers={**error.headers, **dict(headers or {})})  # type: ignore[call-overload]
