"""Signing in and out."""

from typing import Annotated, Any

from fastapi import Form, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.console.page import JOBS, PREFIX, page, to
from backend.console.page import router as pages
from backend.console.viewer import LANGUAGE_COOKIE, LANGUAGES
from backend.console.visit import LONGEST_NEXT, Sender, Signed, cookie_name, refuse_other_sites, safe_next
from backend.console.wording import N_
from backend.errors import TooManyRequests, Unauthenticated
from backend.identity.callers.guard import origin_of
from backend.identity.second_factor.service import SecondFactorRequired
from backend.identity.sign_in import institutions
from backend.identity.sign_in.accounts import Accounts
from backend.identity.sign_in.browsers import Browsers
from backend.identity.sign_in.models import PasswordReset
from backend.identity.sign_in.passwords import MIN_CHARACTERS
from backend.provided import Provided
from backend.schema import Text

router = pages()

_WRONG = N_("Institution, name and password do not belong together. Check them and try again.")


@router.get("")
async def begin(visitor: Signed) -> Response:
    """Leads to the first thing that the visitor may do."""
    return to(next((job.address for job in JOBS if job.needs in visitor.caller.permissions), f"{PREFIX}/nothing"))


@router.get("/sign-in")
async def show(
    request: Request,
    next: Annotated[Text, Query(max_length=LONGEST_NEXT)] = PREFIX,  # noqa: A002 - the parameter's name in the address
    why: Annotated[Text, Query(max_length=20)] = "",
) -> Response:
    """Shows the form."""
    empty: dict[str, Any] = {"said": None, "tenant": "", "username": "", "asks_for_code": False}
    return page(request, "sign_in.html", None, next=safe_next(next), why=why, **empty)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    browsers: Provided[Browsers],
    tenant: Annotated[Text, Form(max_length=institutions.MAX_CHARACTERS)],
    password: Annotated[Text, Form(max_length=1024)],
    username: Annotated[Text, Form(max_length=institutions.MAX_CHARACTERS)] = "",
    code: Annotated[Text, Form(max_length=64)] = "",
    next: Annotated[Text, Form(max_length=LONGEST_NEXT)] = PREFIX,  # noqa: A002
) -> Response:
    """Opens a session and goes on to where the visitor was.

    Whoever gives an e-mail address and no name is called by that address, as identity providers call people.
    """
    refuse_other_sites(request)
    named = username.strip() or (tenant if "@" in tenant else "")
    again: dict[str, Any] = {
        "next": safe_next(next),
        "why": "",
        "tenant": tenant,
        "username": username,
        "asks_for_code": False,
    }
    try:
        cookie = await browsers.open(tenant, named, password, origin_of(request), code=code.strip() or None)
    except SecondFactorRequired as error:
        said = error.detail if code.strip() else None
        return page(
            request, "sign_in.html", None, status=401, said=said, **again | {"asks_for_code": True, "why": "code"}
        )
    except Unauthenticated:
        return page(request, "sign_in.html", None, status=401, said=_WRONG, **again)
    except TooManyRequests as error:
        said = f"Too many attempts. Try again in {error.headers['Retry-After']} seconds."
        return page(request, "sign_in.html", None, status=429, said=said, **again)
    return entered(request, cookie, next)


def entered(request: Request, cookie: str, path: str) -> Response:
    """Returns a redirect to a path of this console, with the cookie of a session."""
    response = to(safe_next(path))
    name, secure = cookie_name(request)
    response.set_cookie(name, cookie, httponly=True, secure=secure, samesite="lax", path="/")
    return response


@router.post("/sign-out")
async def sign_out(request: Request, browsers: Provided[Browsers], visitor: Sender) -> Response:
    """Ends the session."""
    await browsers.end(visitor.caller)
    response = to(f"{PREFIX}/sign-in")
    response.delete_cookie(cookie_name(request)[0], path="/")
    return response


@router.get("/language")
async def choose_language(
    request: Request,
    wanted: Annotated[Text, Query(alias="to", max_length=5)],
    next: Annotated[Text, Query(max_length=LONGEST_NEXT)] = PREFIX,  # noqa: A002
) -> Response:
    """Keeps the language that somebody chose, for a year."""
    response = to(safe_next(next))
    if wanted in LANGUAGES:
        secure = cookie_name(request)[1]
        response.set_cookie(LANGUAGE_COOKIE, wanted, 365 * 86_400, path=PREFIX, secure=secure, samesite="lax")
    return response


@router.get("/reset")
async def show_reset(request: Request) -> Response:
    """Shows the form that a one-time link opens."""
    return page(request, "reset.html", None, said=None, shortest=MIN_CHARACTERS)


@router.post("/reset")
async def reset(
    request: Request,
    accounts: Provided[Accounts],
    token: Annotated[Text, Form(max_length=256)],
    password: Annotated[Text, Form(max_length=1024)],
) -> Response:
    """Sets the password that the holder of a link chooses, and leads to signing in with it."""
    refuse_other_sites(request)
    try:
        wanted = PasswordReset.model_validate({"token": token, "password": password})
        await accounts.reset_password(wanted.token, wanted.password.get_secret_value(), origin_of(request))
    except ValidationError as error:
        said = error.errors()[0]["msg"]
    except Unauthenticated:
        said = "This link does not work: it was used, or a day has gone by. Ask your administrator for another."
    else:
        return to(f"{PREFIX}/sign-in")
    return page(request, "reset.html", None, status=401, said=said, shortest=MIN_CHARACTERS)
