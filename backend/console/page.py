"""How a page is made: templates in the viewer's language, and headers that let nothing else run."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from backend.audit.events import DoorKind
from backend.console import shown
from backend.console.viewer import LANGUAGES, viewer_of
from backend.console.wording import N_, Phrases, words
from backend.gateways.front_door import DoorRouter
from backend.identity.callers.guard import GuardedRoute
from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.browsers import Visitor
from backend.provided import of
from backend.self_check import SealerWatch

PREFIX = "/console"
_FOLDER = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()", "Cross-Origin-Opener-Policy": "same-origin",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Task:
    """What somebody does here: the address, the name, the permission that it needs, and where else it takes place."""

    address: str
    name: str
    needs: Permission
    elsewhere: tuple[str, ...] = ()


JOBS = (
    Task("/console/ask", N_("Ask"), Permission.ANSWERS_CREATE, ("/console/conversations", "/console/turns")),
    Task("/console/search", N_("Search"), Permission.RETRIEVAL_QUERY),
    Task("/console/documents", N_("Documents"), Permission.DOCUMENTS_READ),
    Task("/console/approvals", N_("Approvals"), Permission.DOCUMENTS_REVIEW),
    Task("/console/review", N_("Review"), Permission.AUDIT_READ),
    Task("/console/administration", N_("Administration"), Permission.USERS_MANAGE),
)  # fmt: skip


class ConsoleRoute(GuardedRoute):
    """A page."""

    door = DoorKind.CONSOLE


def router() -> DoorRouter:
    """Returns a router of pages, which the API's description does not list."""
    return DoorRouter(prefix=PREFIX, route_class=ConsoleRoute, include_in_schema=False)


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"), autoescape=select_autoescape(default=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    environment.globals.update(Phrases(words(language)).functions())
    shown.install(environment)
    return environment


def rendered(request: Request, name: str, **context: Any) -> str:  # noqa: ANN401 - whatever a template shows
    """Returns a template's text; every value is escaped."""
    viewer = viewer_of(request)
    return _environment(viewer.language).get_template(name).render(viewer=viewer, **context)


def page(request: Request, name: str, visitor: Visitor | None, *, status: int = 200, **context: Any) -> HTMLResponse:  # noqa: ANN401
    """Returns a whole page."""
    jobs = [job for job in JOBS if visitor is not None and job.needs in visitor.caller.permissions]
    here = next((job for job in jobs if request.url.path.startswith((job.address, *job.elsewhere))), None)
    reviews = (
        here is not None and here.needs is Permission.AUDIT_READ
    )  # and must see that what it reads has no proof yet
    around = {
        "jobs": jobs, "here": here, "path": request.url.path, "languages": LANGUAGES,
        "sealer": of(request, SealerWatch).last if reviews else None,
    }  # fmt: skip
    return HTMLResponse(rendered(request, name, visitor=visitor, **around, **context), status, HEADERS)


def to(path: str) -> RedirectResponse:
    """Returns a redirect that makes a GET of whatever came before."""
    return RedirectResponse(path, 303, HEADERS)
