"""Signing in, the caller itself, and the public keys of access tokens."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request, status

from backend.audit.recorder import Recorder
from backend.errors import InvalidInput
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires, origin_of
from backend.identity.sign_in import accounts, institutions, service
from backend.identity.sign_in.accounts import Accounts
from backend.identity.sign_in.federation import Federation
from backend.identity.sign_in.models import Me, PasswordChange, PasswordReset, SessionList, TokenPair
from backend.identity.sign_in.service import SignIn
from backend.provided import Provided
from backend.schema import ErrorBody, Text
from backend.tenancy import Tenancy

router = APIRouter(tags=["identity"], route_class=GuardedRoute)

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@router.post(
    "/auth/token",
    summary="Sign in, or refresh",
    responses={401: {"model": ErrorBody, "description": "Something was wrong; what, is not said."}},
)
async def issue_token(  # noqa: PLR0913 - the fields of RFC 6749
    request: Request,
    sign_in: Provided[SignIn],
    federation: Provided[Federation],
    grant_type: Annotated[
        Literal["password", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"], Form()
    ] = "password",
    username: Annotated[Text | None, Form(max_length=128, examples=["analyst"])] = None,
    password: Annotated[str | None, Form(max_length=1024)] = None,
    otp: Annotated[
        Text | None, Form(max_length=40, description="A code of the second factor, or a recovery code.")
    ] = None,
    client_id: Annotated[
        Text | None,
        Form(
            max_length=institutions.MAX_CHARACTERS,
            description="The tenant: its slug, a domain of its e-mail addresses, or one of these.",
            examples=["meridian-bank"],
        ),
    ] = None,
    refresh_token: Annotated[str | None, Form(max_length=256)] = None,
    assertion: Annotated[
        str | None, Form(max_length=16_384, description="An ID token of the tenant's identity provider (RFC 7523).")
    ] = None,
) -> TokenPair:
    """Exchanges a password, a refresh token or an ID token for an access token of 15 minutes and the next refresh token.

    Whoever has a second factor is answered `second_factor_required` to the right password alone, and sends both again with `otp`.
    Each refresh token works once. If one comes again after a few seconds, or after the next was used, its whole session ends.
    """
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
    return await sign_in.with_password(client_id, username, password, origin_of(request), code=otp or None)


_KEYS = {
    "keys": [
        {
            "kty": "EC",
            "crv": "P-256",
            "kid": "4c7b",
            "use": "sig",
            "alg": "ES256",
            "x": "f83OJ3D2xF4…",
            "y": "x_FEzRu9m36H…",
        }
    ]
}


@router.get(
    "/.well-known/jwks.json",
    summary="Public keys of access tokens",
    responses={200: {"content": {"application/json": {"example": _KEYS}}}},
)
async def jwks(sign_in: Provided[SignIn]) -> dict[str, Any]:
    """Returns the keys that verify access tokens, as a JSON Web Key Set (RFC 7517)."""
    return sign_in.tokens.keys.jwks()


@router.get("/auth/me", summary="Who am I")
async def me(tenancy: Provided[Tenancy], caller: Annotated[Caller, Requires()]) -> Me:
    """Returns the caller's roles, permissions and collections."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.describe(connection, caller)


Anyone = Annotated[Caller, Requires()]


@router.post("/auth/password", status_code=status.HTTP_204_NO_CONTENT, summary="Change one's password")
async def change_password(own: Provided[Accounts], body: PasswordChange, caller: Anyone) -> None:
    """Replaces the caller's password, of which the old one is needed; all its other sessions end."""
    await own.change_password(caller, body.old_password.get_secret_value(), body.new_password.get_secret_value())


@router.post(
    "/auth/reset",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Choose a password by a one-time link",
    responses={401: {"model": ErrorBody, "description": "The link is none, was used, or has expired."}},
)
async def reset_password(request: Request, own: Provided[Accounts], body: PasswordReset) -> None:
    """Sets the password that the holder of a link chooses; all sessions of its user end. A link works once, for a day."""
    await own.reset_password(body.token, body.password.get_secret_value(), origin_of(request))


@router.post("/auth/logout", status_code=status.HTTP_204_NO_CONTENT, summary="Sign out")
async def logout(tenancy: Provided[Tenancy], recorder: Provided[Recorder], caller: Anyone) -> None:
    """Ends the session of this request: its access and refresh tokens work no more."""
    async with tenancy.transaction(caller.claims()) as connection:
        await accounts.end_session(connection, caller, recorder, caller.session_id)


@router.get("/auth/sessions", summary="One's sign-ins")
async def list_sessions(tenancy: Provided[Tenancy], caller: Anyone) -> SessionList:
    """Returns the caller's sign-ins whose tokens still work."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await accounts.list_sessions(connection, caller)


@router.delete("/auth/sessions/{session_id}", status_code=status.HTTP_204_NO_CONTENT, summary="End a sign-in")
async def end_session(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], session_id: UUID, caller: Anyone
) -> None:
    """Signs one of the caller's own sessions out."""
    async with tenancy.transaction(caller.claims()) as connection:
        await accounts.end_session(connection, caller, recorder, session_id)
