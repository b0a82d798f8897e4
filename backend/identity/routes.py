"""Signing in, the caller itself, API keys, and the public keys of access tokens."""

from typing import Annotated, Any, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response, status

from backend.audit.recorder import Recorder
from backend.errors import InvalidInput
from backend.identity import keys, service
from backend.identity.caller import Caller
from backend.identity.federation import Federation
from backend.identity.guard import GuardedRoute, Requires, origin_of
from backend.identity.models import CreatedKey, KeyList, Me, NewKeyRequest, RotatedKey, RotateKeyRequest, TokenPair
from backend.identity.permissions import Permission
from backend.identity.service import SignIn
from backend.schema import ErrorBody, Text
from backend.tenancy import Tenancy

router = APIRouter(tags=["identity"], route_class=GuardedRoute)

GrantType = Literal["password", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
KeyManager = Annotated[Caller, Requires(Permission.KEYS_MANAGE)]


def _tenancy(request: Request) -> Tenancy:
    return cast("Tenancy", request.app.state.tenancy)


def _recorder(request: Request) -> Recorder:
    return cast("Recorder", request.app.state.recorder)


@router.post(
    "/auth/token",
    summary="Sign in, or refresh",
    responses={401: {"model": ErrorBody, "description": "Something was wrong; what, is not said."}},
)
async def issue_token(
    request: Request,
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
    sign_in = cast("SignIn", request.app.state.sign_in)
    response.headers["Cache-Control"] = "no-store"
    if grant_type == "refresh_token":
        if refresh_token is None:
            raise InvalidInput("refresh_token: is needed for grant_type=refresh_token")
        return await sign_in.with_refresh_token(refresh_token, origin_of(request))
    if grant_type == JWT_BEARER:
        if assertion is None or client_id is None:
            raise InvalidInput(f"assertion and client_id (the tenant) are needed for grant_type={JWT_BEARER}")
        federation = cast("Federation", request.app.state.federation)
        return await federation.with_id_token(client_id, assertion, origin_of(request))
    if username is None or password is None or client_id is None:
        raise InvalidInput("username, password and client_id (the tenant) are needed for grant_type=password")
    return await sign_in.with_password(client_id, username, password, origin_of(request))


@router.get("/.well-known/jwks.json", summary="Public keys of access tokens")
async def jwks(request: Request) -> dict[str, Any]:
    """Returns the keys that verify access tokens, as a JSON Web Key Set (RFC 7517)."""
    return cast("SignIn", request.app.state.sign_in).tokens.keys.jwks()


@router.get("/auth/me", summary="Who am I")
async def me(request: Request, caller: Annotated[Caller, Requires()]) -> Me:
    """Returns the caller's roles, permissions and collections."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await service.describe(connection, caller)


@router.post("/auth/keys", status_code=status.HTTP_201_CREATED, summary="Create an API key")
async def create_key(request: Request, body: NewKeyRequest, caller: KeyManager) -> CreatedKey:
    """Creates a key and returns it once. It can do no more than its creator, or than partners may."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await keys.create_key(connection, caller, _recorder(request), body)


@router.get("/auth/keys", summary="List API keys")
async def list_keys(request: Request, caller: KeyManager) -> KeyList:
    """Returns the tenant's keys, without their secrets, newest first."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await keys.list_keys(connection, caller)


@router.delete("/auth/keys/{key_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Revoke an API key")
async def revoke_key(request: Request, key_id: UUID, caller: KeyManager) -> None:
    """Ends a key; its next request is refused."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        await keys.revoke_key(connection, caller, _recorder(request), key_id)


@router.post("/auth/keys/{key_id}/rotate", summary="Give an API key another secret")
async def rotate_key(request: Request, key_id: UUID, body: RotateKeyRequest, caller: KeyManager) -> RotatedKey:
    """Returns a new secret once; the present one works on for the overlap. Only the key's creator can do this."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await keys.rotate_key(connection, caller, _recorder(request), key_id, body.overlap_seconds)
