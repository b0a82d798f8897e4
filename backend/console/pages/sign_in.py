"""Signing in and out."""

from typing import Annotated

from fastapi import Form, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.console.page import JOBS, PREFIX, Sender, Signed, cookie_name, page, refuse_other_sites, safe_next, to
from backend.console.page import router as pages
from backend.errors import TooManyRequests, Unauthenticated
from backend.identity.callers.guard import origin_of
from backend.identity.sign_in.accounts import Accounts
from backend.identity.sign_in.browsers import Browsers
from backend.identity.sign_in.models import PasswordReset
from backend.identity.sign_in.passwords import MIN_CHARACTERS
from backend.provided import Provided

router = pages()

_WRONG = "Institution, name and password do not belong together. Check them and try again."


@router.get("")
async def begin(visitor: Signed) -> Response:
    """Leads to the first thing that the visitor may do."""
    return to(next((path for path, _, needed in JOBS if needed in visitor.caller.permissions), f"{PREFIX}/nothing"))


@router.get("/sign-in")
async def show(
    request: Request,
    next: Annotated[str, Query(max_length=2000)] = PREFIX,  # noqa: A002 - the parameter's name in the address
    why: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Shows the form."""
    return page(request, "sign_in.html", None, next=safe_next(next), why=why, said=None, tenant="", username="")


@router.post("/sign-in")
async def sign_in(
    request: Request,
    browsers: Provided[Browsers],
    tenant: Annotated[str, Form(max_length=64)],
    username: Annotated[str, Form(max_length=128)],
    password: Annotated[str, Form(max_length=1024)],
    next: Annotated[str, Form(max_length=2000)] = PREFIX,  # noqa: A002
) -> Response:
    """Opens a session and goes on to where the visitor was."""
    refuse_other_sites(request)
    try:
        cookie = await browsers.open(tenant.strip(), username.strip(), password, origin_of(request))
    except Unauthenticated:
        return page(
            request,
            "sign_in.html",
            None,
            status=401,
            next=safe_next(next),
            why="",
            said=_WRONG,
            tenant=tenant,
            username=username,
        )
    except TooManyRequests as error:
        said = f"Too many attempts. Try again in {error.headers['Retry-After']} seconds."
        return page(
            request,
            "sign_in.html",
            None,
            status=429,
            next=safe_next(next),
            why="",
            said=said,
            tenant=tenant,
            username=username,
        )
    response = to(safe_next(next))
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


@router.get("/reset")
async def show_reset(request: Request) -> Response:
    """Shows the form that a one-time link opens."""
    return page(request, "reset.html", None, said=None, shortest=MIN_CHARACTERS)


@router.post("/reset")
async def reset(
    request: Request,
    accounts: Provided[Accounts],
    token: Annotated[str, Form(max_length=256)],
    password: Annotated[str, Form(max_length=1024)],
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
