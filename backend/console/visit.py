"""Finds out who opens a page, and refuses forms that another site has sent."""

import hmac
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import iter_route_contexts
from starlette.routing import Match

from backend.console.page import PREFIX, page, to
from backend.console.wording import N_
from backend.errors import Forbidden, Misdirected, ServiceError, Unauthenticated
from backend.identity.callers.guard import origin_of
from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.browsers import Browsers, Visitor
from backend.provided import of
from backend.schema import Text
from backend.settings import Settings

OPERATOR = f"{PREFIX}/operator"
PROVIDER_CALLBACK = f"{PREFIX}/sign-in/callback"
_NOT_VOUCHED_FOR = N_("Your institution's page did not sign you in here. Begin again, or ask your administrator.")
_SERVED_ELSEWHERE = N_("Your institution is served there. Sign in again at that address.")
LONGEST_NEXT = 4_000  # characters of where to go on to, such as a program's request; a browser keeps 4,096 in a cookie
_COOKIE, _PLAIN_COOKIE = "__Host-affidavit", "affidavit"  # browsers take the first over HTTPS alone


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
    request.state.visitor = visitor
    return visitor


Signed = Annotated[Visitor, Depends(signed_in)]


async def sent_by_us(
    request: Request, visitor: Signed, form_token: Annotated[Text, Form(max_length=128)] = ""
) -> Visitor:
    """Returns who sends a form of this console; raises Forbidden for what another site sends in the visitor's name."""
    check_form(request, visitor, form_token)
    return visitor


Sender = Annotated[Visitor, Depends(sent_by_us)]


def check_form(request: Request, visitor: Visitor, form_token: str) -> None:
    """Raises Forbidden unless a form of this console carries the token of this session."""
    refuse_other_sites(request)
    if not hmac.compare_digest(form_token.encode(), visitor.form_token.encode()):
        raise Forbidden("This form is out of date; load the page again.", reason="console:form_token")


def refuse_other_sites(request: Request) -> None:
    """Raises Forbidden when the browser says that another site sends this."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Forbidden("This form was sent by another site.", reason="console:site")


def requires(visitor: Visitor, permission: Permission) -> None:
    """Raises Forbidden unless the visitor has the permission."""
    visitor.caller.require(permission)


def may(visitor: Visitor, permission: Permission) -> bool:
    """Tells whether the visitor has a permission."""
    return permission in visitor.caller.permissions


def requires_fresh(visitor: Visitor, back: str) -> RedirectResponse | None:
    """Returns a redirect to signing in again and then `back`, unless the sign-in was at most five minutes ago."""
    if visitor.fresh:
        return None
    return to(f"{PREFIX}/sign-in?{urlencode({'next': safe_next(back), 'why': 'fresh'})}")


def safe_next(path: str | None) -> str:
    """Returns a path of this console to go on to; anything else would lead elsewhere."""
    if path and path.startswith(f"{PREFIX}/") and "//" not in path and "\\" not in path and path.isprintable():
        return path
    return PREFIX


def sign_in_form(
    request: Request, said: str | None, status: int, *, tenant: str = "", after: str | None = None, why: str = ""
) -> Response:
    """Returns the page to sign in on, with what went wrong."""
    return page(
        request, "sign_in.html", None, status=status, said=said, tenant=tenant, username="", asks_for_code=False,
        next=safe_next(after), why=why,
    )  # fmt: skip


def elsewhere(request: Request, address: str, why: str, *, status: int = 200) -> HTMLResponse:
    """Returns a page that says where the browser goes on to, and leads there."""
    return page(
        request, "elsewhere.html", None, status=status, address=address, host=urlsplit(address).hostname, why=why
    )


def error_page(request: Request, error: ServiceError) -> Response:
    """Returns an error as a page; a visitor who is not signed in is led there, and back afterwards."""
    if isinstance(error, Unauthenticated) and request.url.path == PROVIDER_CALLBACK:
        return sign_in_form(request, _NOT_VOUCHED_FOR, error.status)
    if isinstance(error, Unauthenticated) and not request.url.path.endswith("/sign-in"):
        if request.url.path.startswith(OPERATOR):
            return to(f"{OPERATOR}/sign-in")
        return to(f"{PREFIX}/sign-in?{urlencode({'next': safe_next(_page_of(request))})}")
    if isinstance(
        error, Misdirected
    ):  # no redirect: a form may lead nowhere else (`form-action`), least of all a password
        there = f"{error.address.rstrip('/')}{PREFIX}/sign-in"
        return elsewhere(request, there, _SERVED_ELSEWHERE, status=Misdirected.status)
    visitor = getattr(request.state, "visitor", None)
    return page(request, "error.html", visitor, status=error.status, error=error, request_id=request.state.request_id)


def _page_of(request: Request) -> str:
    """Returns the address of a page: for what a form sends, the page above it, since browsers tell no referrer."""
    path = request.url.path
    if request.method == "GET":
        return path + (f"?{request.url.query}" if request.url.query else "")
    while path and not _is_page(request, path):
        path = path.rpartition("/")[0]
    return path


def _is_page(request: Request, path: str) -> bool:
    scope = {**request.scope, "method": "GET", "path": path, "raw_path": path.encode()}
    return any(route.matches(scope)[0] is Match.FULL for route in iter_route_contexts(request.app.routes))
