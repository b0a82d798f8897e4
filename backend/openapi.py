"""The description of the API, and the page that shows it without any internet."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.staticfiles import StaticFiles

from backend.identity.callers.guard import RequiredPermission, current_caller, needs
from backend.operation.guard import current_operator
from backend.schema import ErrorBody

DESCRIPTION = """\
Answers from a tenant's own approved documents, each with a record of what was read, said and shown to whom.

Sign in with `POST /auth/token` (the tenant's slug is `client_id`) and send `Authorization: Bearer <token or API key>`.
Every error has one shape: `{"error", "detail", "request_id"}`.
"""

_ERRORS = {
    401: "No credentials, or none that hold.",
    403: "You see it, but may not do this.",
    404: "It does not exist, or is not yours to see.",
    409: "It contradicts what is stored.",
    410: "It left the log for an archive; `detail` says which.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is of a type that the route does not take.",
    422: "The input is bad; `detail` names the field.",
    429: "Too many requests; see Retry-After.",
    503: "The database is away or the audit record cannot be written; nothing was returned or changed.",
}
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description} for status, description in _ERRORS.items()
}


def install(app: FastAPI) -> None:
    """Serves /openapi.json with required permissions, and /docs from assets of an installed package."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _schema(app)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]
    spec = find_spec("fastapi_offline")
    assert spec is not None
    assert spec.origin is not None
    app.mount("/docs/assets", StaticFiles(directory=Path(spec.origin).parent / "static"))

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Affidavit",
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="data:,",
        )


def required_permission(route: APIRoute) -> RequiredPermission | None:
    """Returns what a route demands of its caller; None when it takes anyone."""
    for dependant in _all(route.dependant):
        if isinstance(dependant.call, RequiredPermission):
            return dependant.call
    return None


def _all(dependant: Dependant) -> list[Dependant]:
    return [dependant, *(inner for outer in dependant.dependencies for inner in _all(outer))]


def _schema(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schema["components"].setdefault("securitySchemes", {}).update(
        bearer={"type": "http", "scheme": "bearer", "description": "An access token or an API key."},
        operator={
            "type": "http",
            "scheme": "bearer",
            "description": "A key of the operator, which belongs to no tenant.",
        },
    )
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = schema["paths"][context.path_format][method.lower()]
            if needs(route, current_operator):
                operation["security"] = [{"operator": []}]
                continue
            if not needs(route, current_caller):
                for status in {401, 403} - route.responses.keys():
                    operation["responses"].pop(str(status), None)
                continue
            operation["security"] = [{"bearer": []}]
            required = required_permission(route)
            permission = required.permission if required else None
            operation["x-required-permission"] = permission
            operation["description"] += f"\n\nRequired permission: `{permission or 'none, any caller'}`."
    return schema
