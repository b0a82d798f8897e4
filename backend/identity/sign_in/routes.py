"""Signing in, the caller itself, and the public keys of access tokens."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response

from backend.errors import InvalidInput
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires, origin_of
from backend.identity.sign_in import service
from backend.identity.sign_in.federation import Federation
from backend.identity.sign_in.models import Me, TokenPair
from backend.identity.sign_in.service import SignIn
from backend.provided import Provided
from backend.schema import ErrorBody, Text
from backend.tenancy import Tenancy

router = APIRouter(tags=["identity"], route_class=GuardedRoute)

GrantType = Literal["password", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@router.post(
    "/auth/token",
    summary="Sign in, or refresh",
    responses={401: {"model": ErrorBody, "description": "Something was wrong; what, is not said."}},
)
async def issue_token(  # noqa: PLR0913 - the form has seven fields
    request: Request,
    sign_in: Provided[SignIn],
    federation: Provided[Federation],
    response: Response,
    grant_type: Annotated[
        Literal["password", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"], Form()
    ] = "password",
    username: Annotated[Text | None, Form(max_length=128, examples=["analyst"])] = None,
    password: Annotated[str | None, Form(max_length=1024)] = None,
    client_id: Annotated[
        Text | None, Form(max_length=64, description="The tenant's slug.", examples=["meridian-bank"])
    ] = None,
    refresh_token: Annotated[str | None, Form(max_length=256)] = None,
    assertion: Annotated[
        str | None, Form(max_length=16_384, description="An ID token of the tenant's identity provider (RFC 7523).")
    ] = None,
) -> TokenPair:
    """Exchanges a password, a refresh token or an ID token for an access token of 15 minutes and the next refresh token.

    Each refresh token works once; if one comes a second time, its whole session ends.
    """
    response.headers["Cache-Control"] = "no-store"
    if grant_type == "refresh_token":
        if refresh_token is None:
            raise InvalidInput("refresh_token: is needed for grant_type=refresh_token")
        return await sign_in.with_refresh_token(refresh_token, origin_of(request))
    if grant_type == JWT_BEARER:
        if assertion is None or client_id is None:
            raise InvalidInput(f"assertion and client_id (the tenant) are needed for grant_type={JWT_BEARER}")
        return await federation.with_id_token(client_id, assertion, origin_of(request))
    if username is None or password is None or client_id is None:
        raise InvalidInput("username, password and client_id (the tenant) are needed for grant_type=password")
    return await sign_in.with_password(client_id, username, password, origin_of(request))


@router.get("/.well-known/jwks.json", summary="Public keys of access tokens")
async def jwks(sign_in: Provided[SignIn]) -> dict[str, Any]:
    """Returns the keys that verify access tokens, as a JSON Web Key Set (RFC 7517)."""
    return sign_in.tokens.keys.jwks()


@router.get("/auth/me", summary="Who am I")
async def me(tenancy: Provided[Tenancy], caller: Annotated[Caller, Requires()]) -> Me:
    """Returns the caller's roles, permissions and collections."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.describe(connection, caller)
