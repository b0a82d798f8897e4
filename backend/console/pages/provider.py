"""Signing in at the page of the institution's own provider."""

from typing import Annotated

from fastapi import Cookie, Query, Request
from fastapi.responses import Response

from backend.console.page import PREFIX
from backend.console.page import router as pages
from backend.console.pages.sign_in import entered
from backend.console.visit import LONGEST_NEXT, PROVIDER_CALLBACK, cookie_name, elsewhere, safe_next, sign_in_form
from backend.console.wording import N_
from backend.errors import NotFound, TooManyRequests, Unauthenticated, Unavailable
from backend.identity.callers.guard import origin_of
from backend.identity.sign_in import institutions
from backend.identity.sign_in.browsers import Browsers
from backend.identity.sign_in.federation import LOGIN_SECONDS, Federation
from backend.provided import Provided
from backend.schema import Text

router = pages()

COOKIE, NEXT_COOKIE = "affidavit-login", "affidavit-next"
_NO_PROVIDER = N_("This institution has no page of its own to sign in with. Sign in with name and password.")
_LEADS_BACK = N_("Your institution signs you in there, and leads you back.")
_AWAY = N_("The institution's own page does not answer. Try again in a minute.")


@router.get("/sign-in/provider")
async def begin(
    request: Request,
    federation: Provided[Federation],
    tenant: Annotated[Text, Query(max_length=institutions.MAX_CHARACTERS)],
    next: Annotated[Text, Query(max_length=LONGEST_NEXT)] = PREFIX,  # noqa: A002 - the parameter's name in the address
    why: Annotated[Text, Query(max_length=20)] = "",
) -> Response:
    """Shows where the browser goes on to, and has it go there.

    A redirect would be an answer to a form, which may lead nowhere else (`form-action`).
    """
    try:
        address, cookie = await federation.begin(
            tenant, origin_of(request), back_to=PROVIDER_CALLBACK, anew=why == "fresh"
        )
    except (NotFound, TooManyRequests, Unavailable) as error:
        said = (
            error.detail
            if isinstance(error, TooManyRequests)
            else _NO_PROVIDER
            if isinstance(error, NotFound)
            else _AWAY
        )
        return sign_in_form(request, said, error.status, tenant=tenant, after=next, why=why)
    response = elsewhere(request, address, _LEADS_BACK)
    response.headers["Refresh"] = f"0; url={address}"
    for name, value in ((COOKIE, cookie), (NEXT_COOKIE, safe_next(next))):
        response.set_cookie(
            name, value, LOGIN_SECONDS, path=f"{PREFIX}/sign-in", secure=cookie_name(request)[1], httponly=True, samesite="lax"
        )  # fmt: skip
    return response


@router.get("/sign-in/callback")
async def finish(
    request: Request,
    federation: Provided[Federation],
    browsers: Provided[Browsers],
    state: Annotated[Text | None, Query(max_length=200)] = None,
    code: Annotated[Text | None, Query(max_length=4096)] = None,
    iss: Annotated[Text | None, Query(max_length=500)] = None,
    kept: Annotated[Text | None, Cookie(alias=COOKIE, max_length=4096)] = None,
    to_next: Annotated[Text | None, Cookie(alias=NEXT_COOKIE, max_length=LONGEST_NEXT)] = None,
) -> Response:
    """Opens a session for what the provider sent the browser back with, and goes on to where the visitor was."""
    answer = {name: value for name, value in (("state", state), ("code", code), ("iss", iss)) if value is not None}
    origin = origin_of(request)
    try:
        if kept is None or state is None:
            raise Unauthenticated(reason="credentials:missing")
        vouched = await federation.finish(kept, answer, origin, back_to=PROVIDER_CALLBACK)
        response = entered(request, await browsers.open_vouched(vouched, origin), to_next or PREFIX)
    except Unavailable as error:
        response = sign_in_form(request, _AWAY, error.status, after=to_next)
    for name in (COOKIE, NEXT_COOKIE):
        response.delete_cookie(name, path=f"{PREFIX}/sign-in")
    return response
