"""Signing in at the page of a tenant's own OpenID provider."""

from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from backend.errors import Unauthenticated
from backend.identity.callers.guard import origin_of
from backend.identity.sign_in import institutions
from backend.identity.sign_in.federation import LOGIN_SECONDS, Federation
from backend.identity.sign_in.models import TokenPair
from backend.provided import Provided
from backend.schema import ErrorBody, Text
from backend.settings import Settings

router = APIRouter(prefix="/auth/oidc", tags=["identity"])

COOKIE = "affidavit-login"
_PATH = "/auth/oidc"
_UNPROVEN: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorBody, "description": "The provider does not vouch for a user of the tenant."}
}


@router.get(
    "/{tenant}/login",
    status_code=302,
    summary="Go to the tenant's identity provider",
    response_class=RedirectResponse,
    responses={302: {"description": "To the provider's page."}},
)
async def login(
    request: Request,
    federation: Provided[Federation],
    settings: Provided[Settings],
    tenant: Annotated[
        Text,
        Path(
            max_length=institutions.MAX_CHARACTERS,
            description="Its slug, a domain of its e-mail addresses, or one of these.",
            examples=["meridian-bank"],
        ),
    ],
) -> RedirectResponse:
    """Sends a browser to the provider that the tenant trusts; the provider sends it back to `/auth/oidc/callback`.

    State, nonce and PKCE verifier of the attempt stay in an encrypted cookie of ten minutes.
    """
    address, cookie = await federation.begin(tenant, origin_of(request))
    answer = RedirectResponse(address, 302, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        COOKIE, cookie, max_age=LOGIN_SECONDS, path=_PATH, httponly=True, samesite="lax",
        secure=settings.public_url.startswith("https:"),
    )  # fmt: skip
    return answer


@router.get("/callback", summary="Come back from the identity provider", responses=_UNPROVEN)
async def callback(
    request: Request,
    federation: Provided[Federation],
    response: Response,
    state: Annotated[Text | None, Query(max_length=200)] = None,
    code: Annotated[Text | None, Query(max_length=4096)] = None,
    iss: Annotated[Text | None, Query(max_length=500, description="The provider, if it says so (RFC 9207).")] = None,
    kept: Annotated[Text | None, Cookie(alias=COOKIE, max_length=4096)] = None,
) -> TokenPair:
    """Exchanges the provider's code for its ID token, and that for a pair of our tokens; each attempt works once."""
    if kept is None or state is None:
        raise Unauthenticated(reason="credentials:missing")
    known = {"state": state, "code": code, "iss": iss}
    answer = {name: value for name, value in known.items() if value is not None}
    vouched = await federation.finish(kept, answer, origin_of(request))
    response.headers["Cache-Control"] = "no-store"
    response.delete_cookie(COOKIE, path=_PATH)
    return vouched.pair
