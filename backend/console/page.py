"""How a page is made: templates, headers that let nothing else run, and forms that only this console can send."""

import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from backend.errors import Forbidden, ServiceError, Unauthenticated
from backend.identity.callers.guard import GuardedRoute, origin_of
from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.browsers import Browsers, Visitor
from backend.provided import of
from backend.settings import Settings

PREFIX = "/console"
_FOLDER = Path(__file__).parent
_COOKIE, _PLAIN_COOKIE = "__Host-affidavit", "affidavit"  # browsers take the first over HTTPS alone
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}  # fmt: skip

# What a visitor may do, in the words of its job: the address, the name, and the permission that it needs.
JOBS = (
    ("/console/ask", "Ask", Permission.ANSWERS_CREATE),
    ("/console/search", "Search", Permission.RETRIEVAL_QUERY),
    ("/console/documents", "Documents", Permission.DOCUMENTS_READ),
    ("/console/approvals", "Approvals", Permission.DOCUMENTS_REVIEW),
    ("/console/review", "Review", Permission.AUDIT_READ),
    ("/console/administration", "Administration", Permission.USERS_MANAGE),
)


class ConsoleRoute(GuardedRoute):
    """A page."""

    door = "console"


def router() -> APIRouter:
    """Returns a router of pages, which the API's description does not list."""
    return APIRouter(prefix=PREFIX, route_class=ConsoleRoute, include_in_schema=False)


def _exact(moment: datetime | str) -> str:
    when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return when.astimezone(UTC).strftime("%-d %B %Y, %H:%M:%S UTC")


def _day(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%-d %B %Y") if moment else "no end"


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


_STATES = {
    "approved": "good", "succeeded": "good", "active": "good", "in_review": "wait", "draft": "wait", "refused": "wait",
    "rejected": "bad", "failed": "bad", "denied": "bad", "aborted": "bad", "disabled": "bad",
}  # fmt: skip
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"), autoescape=select_autoescape(default=True), undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_TEMPLATES.filters.update(exact=_exact, day=_day, pretty=_pretty, address=lambda text: quote(str(text), safe=""))
_TEMPLATES.globals.update(
    state_of=lambda name: _STATES.get(name, ""), query=lambda **given: urlencode({k: v for k, v in given.items() if v})
)


def rendered(name: str, **context: Any) -> str:  # noqa: ANN401 - whatever a template shows
    """Returns a template's text; every value is escaped."""
    return _TEMPLATES.get_template(name).render(**context)


def page(request: Request, name: str, visitor: Visitor | None, *, status: int = 200, **context: Any) -> HTMLResponse:  # noqa: ANN401
    """Returns a whole page."""
    jobs = [job for job in JOBS if visitor is not None and job[2] in visitor.caller.permissions]
    text = rendered(name, visitor=visitor, jobs=jobs, path=request.url.path, **context)
    return HTMLResponse(text, status, HEADERS)


def to(path: str) -> RedirectResponse:
    """Returns a redirect that makes a GET of whatever came before."""
    return RedirectResponse(path, 303, HEADERS)


def cookie_name(request: Request) -> tuple[str, bool]:
    """Returns the name of the cookie, and whether it is sent over HTTPS only."""
    secure = of(request, Settings).public_url.startswith("https:")
    return (_COOKIE, True) if secure else (_PLAIN_COOKIE, False)


async def signed_in(request: Request) -> Visitor:
    """Returns who looks at a page; raises Unauthenticated, which leads to signing in."""
    cookie = request.cookies.get(cookie_name(request)[0])
    if not cookie:
        raise Unauthenticated(reason="credentials:missing")
    visitor = await of(request, Browsers).visitor(cookie, origin_of(request))
    request.state.caller = visitor.caller
    return visitor


Signed = Annotated[Visitor, Depends(signed_in)]


async def sent_by_us(
    request: Request, visitor: Signed, form_token: Annotated[str, Form(max_length=128)] = ""
) -> Visitor:
    """Returns who sends a form of this console; raises Forbidden for what another site sends in the visitor's name."""
    refuse_other_sites(request)
    if not hmac.compare_digest(form_token, visitor.form_token):
        raise Forbidden("This form is out of date; load the page again.", reason="console:form_token")
    return visitor


Sender = Annotated[Visitor, Depends(sent_by_us)]


def refuse_other_sites(request: Request) -> None:
    """Raises Forbidden when the browser says that another site sends this."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Forbidden("This form was sent by another site.", reason="console:site")


def requires(visitor: Visitor, permission: Permission) -> None:
    """Raises Forbidden unless the visitor has the permission."""
    visitor.caller.require(permission)


def requires_fresh(request: Request, visitor: Visitor) -> RedirectResponse | None:
    """Returns a redirect to signing in again, for what asks for a sign-in of the last five minutes; None when that was."""
    if visitor.fresh:
        return None
    back = request.headers.get("referer", "")
    path = back.removeprefix(of(request, Settings).public_url) if back else PREFIX
    return to(f"{PREFIX}/sign-in?{urlencode({'next': safe_next(path), 'why': 'fresh'})}")


def safe_next(path: str | None) -> str:
    """Returns a path of this console to go on to; anything else would lead elsewhere."""
    if path and path.startswith(f"{PREFIX}/") and "//" not in path and "\\" not in path and path.isprintable():
        return path
    return PREFIX


def error_page(request: Request, error: ServiceError) -> Response:
    """Returns an error as a page; a visitor who is not signed in is led there, and back afterwards."""
    if isinstance(error, Unauthenticated) and not request.url.path.endswith("/sign-in"):
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return to(f"{PREFIX}/sign-in?{urlencode({'next': safe_next(here)})}")
    return page(request, "error.html", None, status=error.status, error=error, request_id=request.state.request_id)
