"""The console: pages over the services that the API calls, with the same caller and no right of its own."""

from pathlib import Path

from fastapi import Request
from fastapi.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from backend.console.page import PREFIX
from backend.console.pages import (
    analysis,
    approvals,
    ask,
    authorize,
    collections,
    components,
    conversations,
    documents,
    evaluations,
    events,
    exports,
    keys,
    operator,
    origins,
    people,
    provider,
    provisioning,
    retention,
    search,
    sign_in,
    sources,
    turns,
    uploads,
    usage,
    webhooks,
)
from backend.console.visit import error_page
from backend.errors import ServiceError
from backend.gateways.front_door import FrontDoor, WrongFields
from backend.identity.callers.admission import LaneName

_PAGES = (
    sign_in, provider, authorize, ask, conversations, search, uploads, documents, sources, evaluations, approvals, events,
    analysis, turns, exports, retention, people, keys, collections, provisioning, origins, webhooks, usage, operator,
    components,
)  # fmt: skip


def front_door() -> FrontDoor:
    """Returns the description of the door."""
    return FrontDoor(
        prefix=PREFIX,
        routers=[page.router for page in _PAGES],
        routes=(Mount(f"{PREFIX}/static", StaticFiles(directory=Path(__file__).parent / "static")),),
        error_response=_error_response,
        lanes={f"{PREFIX}{uploads.PATH}": LaneName.TRANSFER},
        for_other_origins=False,
    )


def _error_response(request: Request, error: ServiceError, _fields: WrongFields) -> Response:
    return error_page(request, error)
