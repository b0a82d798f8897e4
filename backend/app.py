"""The service: its routes and front doors, what surrounds them, and the life of what they share."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import product

import structlog
from fastapi import Depends, FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.telemetry import TelemetryConfig

from backend import health, logging, metrics, openapi, provided, tracing
from backend.answers import routes as answers
from backend.answers.policy import routes as answer_policy
from backend.console.front_door import front_door as console
from backend.documents.chunks import routes as documents
from backend.documents.collections import routes as collections
from backend.documents.files import routes as files
from backend.documents.files.routes import FORM_BYTES
from backend.documents.versions import routes as versions
from backend.error_handlers import ErrorHandlers
from backend.evaluation import routes as evaluation
from backend.front.opening import open_cells
from backend.front.several import CellFront, ServedCells, SoundCells
from backend.gateways.front_door import DoorRouter, FrontDoor, front_doors
from backend.identity.callers.cross_origin import CrossOrigin
from backend.identity.callers.gate import Gate
from backend.identity.joint_acts import routes as joint_acts
from backend.identity.keys import routes as keys_routes
from backend.identity.oauth import routes as client_hosts
from backend.identity.provisioning import routes as provisioning
from backend.identity.second_factor import routes as second_factor
from backend.identity.sign_in import oidc_routes as oidc
from backend.identity.sign_in import routes as identity
from backend.identity.usage import routes as usage
from backend.identity.users import routes as users
from backend.jobs import routes as jobs
from backend.operation import routes as operation
from backend.provenance import VERSION, code
from backend.request_scope import RequestScope, supported_body
from backend.retrieval import routes as retrieval
from backend.review.analysis import routes as review
from backend.review.archives import routes as archives
from backend.review.erasure import routes as erasure
from backend.review.events import routes as audit
from backend.review.exports import routes as exports
from backend.review.impact import routes as impact
from backend.review.quality import routes as quality
from backend.review.replay import routes as replays
from backend.review.turns import routes as turns
from backend.review.verification import routes as verifications
from backend.services import open_services
from backend.settings import Settings
from backend.sources import routes as sources
from backend.webhooks import routes as webhooks

log = structlog.get_logger()

# The framework's own telemetry holds paths, bodies and messages; `tracing` sends what may be sent.
_UNTOLD: TelemetryConfig = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False
}  # fmt: skip


def create_app(settings: Settings | None = None) -> FastAPI:
    """Builds the service; it connects when it starts, and serves whether or not the database is there yet."""
    settings = settings or Settings()
    logging.configure(settings.log_level, settings.log_format)
    metrics.BUILD.labels(VERSION, code()).set(1)
    cells = ServedCells() if settings.served_cells or (settings.cell and settings.cell_pass_on) else None
    doors = [*front_doors(), console()]
    app = FastAPI(
        title="Affidavit", version=VERSION, description=openapi.description(settings.public_url, doors),
        lifespan=_lifespan(settings, doors, cells),
        servers=[{"url": settings.public_url, "description": "This deployment."}],
        contact={"name": "The operator of this deployment", "url": settings.public_url},
        generate_unique_id_function=openapi.operation_id, responses=openapi.OWN_ERRORS,
        docs_url=None, redoc_url=None, redirect_slashes=False, dependencies=[Depends(supported_body)], telemetry=_UNTOLD,
    )  # fmt: skip
    # Matched in this order: first what is asked most.
    for routes in (retrieval, answers):
        app.include_router(routes.router)
    for door in doors:
        _include(app, door)
    for routes in (
        answer_policy,
        evaluation,
        health,
        identity,
        second_factor,
        keys_routes,
        usage,
        joint_acts,
        oidc,
        client_hosts,
        users,
        provisioning,
        documents,
        files,
        versions,
        collections,
        jobs,
        audit,
        review,
        impact,
        replays,
        erasure,
        turns,
        quality,
        exports,
        verifications,
        archives,
        webhooks,
        sources,
        operation,
    ):
        app.include_router(routes.router)
    app.include_router(users.roles_router)
    app.include_router(versions.across)
    openapi.install(app, doors)
    errors = ErrorHandlers(doors)
    errors.install(app)
    _surround(app, settings, doors, errors, cells)
    return app


def _include(app: FastAPI, door: FrontDoor) -> None:
    app.router.routes.extend(door.routes)
    below = DoorRouter()
    for router in door.routers:
        below.include_router(router)
    app.include_router(below)


def _surround(
    app: FastAPI, settings: Settings, doors: Sequence[FrontDoor], errors: ErrorHandlers, cells: ServedCells | None
) -> None:
    """Adds what stands in front of every route, the innermost first."""
    lanes = {path: lane for door in doors for path, lane in door.lanes.items()}
    app.add_middleware(Gate, refuse=errors.refused, with_model=settings.model_url is not None, lanes=lanes)
    if settings.cors_origins:
        closed = [door.prefix for door in doors if not door.for_other_origins]
        app.add_middleware(CrossOrigin, origins=settings.cors_origins, closed=closed)
    if cells is not None:
        app.add_middleware(SoundCells, refuse=errors.refused)
    uploads = ["/documents", *(path for door in doors for path in door.uploads)]
    larger = {("POST", path): settings.max_file_bytes + FORM_BYTES for path in uploads}
    app.add_middleware(RequestScope, refuse=errors.refused, body_limit=settings.max_body_bytes, larger=larger)
    if cells is not None:
        app.add_middleware(CellFront, cells=cells, passed_on=settings.cell_pass_on)


def create_prepared_app(settings: Settings | None = None) -> FastAPI:
    """Builds the service with all that the framework otherwise builds at the first request of a route, while others wait."""
    app = create_app(settings)
    for _ in iter_route_contexts(app.routes):
        pass
    return app


def _lifespan(
    settings: Settings, doors: Sequence[FrontDoor], cells: ServedCells | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with tracing.exported(settings, "api"), AsyncExitStack() as stack:
            if cells is None:
                opened = [await stack.enter_async_context(open_services(settings))]
                provided.provide(app, opened[0])
            else:
                opened = await open_cells(settings, cells, stack)
            for services, kind in product(opened, provided.asked_for()):
                services.collaborator(kind)  # a route that asks for what is not there fails the start, and no request
            for door in doors:
                await stack.enter_async_context(door.running())
            for services in opened:
                await stack.enter_async_context(services.probe.watching())
            yield

    return lifespan
