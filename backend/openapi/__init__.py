"""The description of the API, and the page that shows it without any internet."""

from collections.abc import Sequence
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

from backend.gateways.front_door import FrontDoor
from backend.identity.callers.guard import RequiredPermission, current_caller, needs
from backend.openapi.examples import example
from backend.openapi.vocabulary import WORDS
from backend.operation.guard import current_operator
from backend.schema import ErrorBody

DESCRIPTION = """\
Answers from a tenant's own approved documents, each with a record of what was read, said and shown to whom.

Sign in with `POST /auth/token` (the tenant's slug is `client_id`) and send `Authorization: Bearer <token or API key>`.
Every error has one shape: `{"error", "detail", "request_id"}`, and `fields` where fields of the input are wrong. DOORS

## Connect what you have

"""
_CONNECTING = (Path(__file__).parent / "connecting.md").read_text(encoding="utf-8")
_ADDRESS_THERE = "http://127.0.0.1:8000"


def description(public_url: str, doors: Sequence[FrontDoor]) -> str:
    """Returns what stands above all routes, with the address at which this service is reached."""
    shapes = "\n".join(f"Under `{door.prefix}` it is the shape of {door.protocol}." for door in doors if door.protocol)
    return DESCRIPTION.replace("DOORS", shapes) + _CONNECTING.replace(_ADDRESS_THERE, public_url)


TAGS = {
    "retrieval": "Finds the chunks that are approved and in force.",
    "answers": "Answers from them, with citations, and goes on with conversations.",
    "evaluation": "Sets of questions, their runs, and changes that wait until a run is approved.",
    "documents": "Documents, their versions and files.",
    "collections": "Collections of documents, and who may read or write them.",
    "jobs": "What takes longer than a request.",
    "identity": "Sign-in, sessions, second factors, API keys and what they used.",
    "users": "The people of a tenant.",
    "sources": "From where documents come by themselves, and what each run brought.",
    "webhooks": "Who is told of what happens, and what was sent.",
    "audit": "The log: events, proofs, exports, holds, erasures.",
    "operator": "What the operator of the service does to tenants.",
    "operation": "Whether the service works.",
}

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
_ERROR_CONTENT = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}}}

OWN_ERRORS: dict[int | str, dict[str, Any]] = {422: {}}  # else the framework describes one of its own

Operation = dict[str, Any]
_MAY_BE_ARCHIVED = ("{event_id}", "{turn}", "{response_id}", "{export_id}", "{month}")


def install(app: FastAPI, doors: Sequence[FrontDoor]) -> None:
    """Serves /openapi.json with required permissions, and /docs from assets of an installed package."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _schema(app, doors)
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


def operation_id(route: APIRoute) -> str:
    """Returns the name of an operation, from which generators name functions: its tag and what it is called in the code."""
    return "_".join([*map(str, route.tags[:1]), route.name])


def _schema(app: FastAPI, doors: Sequence[FrontDoor]) -> dict[str, Any]:
    tags = TAGS | {tag: means for door in doors for tag, means in door.tags.items()}
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, servers=app.servers,
        contact=app.contact, tags=[{"name": name, "description": means} for name, means in tags.items()],
    )  # fmt: skip
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
            _add_errors(operation)
            _say_who_may(operation, route)
            _leave_out_errors(operation, route, method)
            _describe_parameters(operation)
            _show_examples(operation, schema["components"]["schemas"])
    for known in schema["components"]["schemas"].values():
        for name, field in known.get("properties", {}).items():
            if "description" not in field and name in WORDS:
                field["description"] = WORDS[name].means
    return schema


def _add_errors(operation: Operation) -> None:
    """Adds the errors of every route. Told to the framework, it would make models of each for every route at each start."""
    for status, description in _ERRORS.items():
        told = operation["responses"].setdefault(str(status), {})
        if "content" not in told:
            told |= {"description": description, "content": _ERROR_CONTENT}


def _say_who_may(operation: Operation, route: APIRoute) -> None:
    if needs(route, current_operator):
        operation["security"] = [{"operator": []}]
        return
    if not needs(route, current_caller):
        for status in {401, 403} - route.responses.keys():
            operation["responses"].pop(str(status), None)
        return
    operation["security"] = [{"bearer": []}]
    required = required_permission(route)
    permission = required.permission if required else None
    operation["x-required-permission"] = permission
    operation["description"] += f"\n\nRequired permission: `{permission or 'none, any caller'}`."


def _leave_out_errors(operation: Operation, route: APIRoute, method: str) -> None:
    """Leaves out the errors that a route cannot give: those of a body without one, those of changes for what only reads."""
    has_body, takes = "requestBody" in operation, operation.get("parameters", ())
    impossible: set[int] = set()
    if not has_body:
        impossible |= {408, 413, 415}
    if method == "GET":
        impossible |= {409}
    if not any(part in route.path_format for part in _MAY_BE_ARCHIVED):
        impossible |= {410}
    if not has_body and not takes:
        impossible |= {400, 422}
    if 400 in route.responses:
        impossible |= {422}  # some protocols call bad input so
    if route.path_format == "/health":
        impossible |= {401, 403, 404, 422, 429, 503}
    for status in impossible:
        operation["responses"].pop(str(status), None)


def _describe_parameters(operation: Operation) -> None:
    for parameter in operation.get("parameters", ()):
        if "description" not in parameter and parameter["name"] in WORDS:
            parameter["description"] = WORDS[parameter["name"]].means


def _show_examples(operation: Operation, schemas: dict[str, Any]) -> None:
    """Gives every response of success an example, unless its route has one of its own."""
    for status, response in operation["responses"].items():
        if not status.startswith("2"):
            continue
        for kind, content in response.get("content", {}).items():
            if kind == "application/json" and "example" not in content and content.get("schema"):
                content["example"] = example(content["schema"], schemas)
