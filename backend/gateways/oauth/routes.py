"""The authorization server's endpoints. `/oauth/authorize` leads to a page of the console, where a person agrees."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request, status
from fastapi.responses import RedirectResponse

from backend.errors import InvalidInput
from backend.gateways.oauth.errors import OAuthError
from backend.gateways.oauth.models import ProtectedResource, RegisteredClient, ServerMetadata, TokenResponse
from backend.identity.callers.guard import origin_of
from backend.identity.oauth import scopes
from backend.identity.oauth.clients import ClientMetadata
from backend.identity.oauth.service import AuthorizationServer, parsed
from backend.provided import Provided
from backend.schema import Text
from backend.settings import Settings

router = APIRouter(tags=["oauth"])

CONSENT = "/console/authorize"
_MOST_QUERY = (
    3_900  # characters of a request for authorization, which a browser keeps in a cookie while its person signs in
)
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": OAuthError, "description": "The grant or the request is not valid."}
}


@router.get("/.well-known/oauth-protected-resource", summary="Where tokens for the agents' door come from")
async def protected_resource(server: Provided[AuthorizationServer]) -> ProtectedResource:
    """Returns the metadata of the resource `/mcp` (RFC 9728)."""
    return ProtectedResource(
        resource=server.resource, authorization_servers=[server.issuer], scopes_supported=sorted(scopes.OFFERED)
    )


@router.get(
    "/.well-known/oauth-protected-resource/mcp", summary="The same, at the address that the resource's path makes"
)
async def protected_resource_of_mcp(server: Provided[AuthorizationServer]) -> ProtectedResource:
    """Returns the metadata of the resource `/mcp` (RFC 9728, section 3.1)."""
    return await protected_resource(server)


@router.get(
    "/.well-known/oauth-authorization-server",
    summary="What the authorization server offers",
    response_model_exclude_none=True,
)
async def server_metadata(server: Provided[AuthorizationServer], settings: Provided[Settings]) -> ServerMetadata:
    """Returns the metadata of the authorization server (RFC 8414)."""
    issuer = server.issuer
    return ServerMetadata(
        issuer=issuer, authorization_endpoint=f"{issuer}/oauth/authorize", token_endpoint=f"{issuer}/oauth/token",
        revocation_endpoint=f"{issuer}/oauth/revoke", jwks_uri=f"{issuer}/.well-known/jwks.json",
        registration_endpoint=f"{issuer}/oauth/register" if settings.oauth_registration else None,
        scopes_supported=[*sorted(scopes.OFFERED), scopes.OFFLINE_ACCESS],
    )  # fmt: skip


@router.get(
    "/oauth/authorize",
    status_code=status.HTTP_302_FOUND,
    summary="Ask a person to let a program act for them",
    response_class=RedirectResponse,
    responses={302: {"description": "To the page on which the person signs in and agrees."}},
)
async def authorize(request: Request) -> RedirectResponse:
    """Leads a browser to the page on which its person sees who asks for what, and agrees or does not."""
    asked = urlencode(
        parsed(request.url.query)
    )  # as it is carried through signing in, which can be longer than it came
    if len(asked) > _MOST_QUERY:
        raise InvalidInput(f"The request has more than {_MOST_QUERY} characters.", reason="oauth:too_long")
    return RedirectResponse(f"{CONSENT}?{asked}", status.HTTP_302_FOUND)


async def _each_once(request: Request) -> None:
    """Refuses a form in which a parameter comes twice (RFC 6749, section 3.2); raises InvalidInput."""
    given = (await request.form()).multi_items()
    if len(dict(given)) != len(given):
        raise InvalidInput("A parameter comes twice.", reason="oauth:twice")


@router.post(
    "/oauth/token",
    summary="Exchange a code or a refresh token",
    responses=_REFUSED,
    dependencies=[Depends(_each_once)],
)
async def exchange(
    request: Request,
    server: Provided[AuthorizationServer],
    grant_type: Annotated[Literal["authorization_code", "refresh_token"], Form()],
    client_id: Annotated[
        Text,
        Form(
            min_length=1,
            max_length=4096,
            description="The program's id.",
            examples=["https://agent.example/client.json"],
        ),
    ],
    code: Annotated[
        Text | None, Form(max_length=8192, description="The code that came to the redirect address.")
    ] = None,
    redirect_uri: Annotated[Text | None, Form(max_length=500, description="As in the request for the code.")] = None,
    code_verifier: Annotated[Text | None, Form(max_length=128, description="Of the challenge (RFC 7636).")] = None,
    refresh_token: Annotated[Text | None, Form(max_length=256, description="The newest one.")] = None,
    resource: Annotated[Text | None, Form(max_length=500, description="The resource, if named (RFC 8707).")] = None,
) -> TokenResponse:
    """Returns an access token of 15 minutes for the resource, and the next refresh token. A code works once, for a minute."""
    given = {
        "client_id": client_id, "code": code, "redirect_uri": redirect_uri, "code_verifier": code_verifier,
        "refresh_token": refresh_token, "resource": resource,
    }  # fmt: skip
    form = {name: value for name, value in given.items() if value is not None}
    if grant_type == "refresh_token":
        pair, scope = await server.refresh(form, origin_of(request)), None
    else:
        pair, scope = await server.exchange(form, origin_of(request))
    return TokenResponse(
        access_token=pair.access_token, expires_in=pair.expires_in, refresh_token=pair.refresh_token, scope=scope
    )


@router.post("/oauth/revoke", summary="Give a token back", responses=_REFUSED, dependencies=[Depends(_each_once)])
async def revoke(
    request: Request,
    server: Provided[AuthorizationServer],
    token: Annotated[Text, Form(min_length=1, max_length=8192, description="An access or refresh token.")],
    client_id: Annotated[Text, Form(min_length=1, max_length=4096, description="The program's id.")],
) -> dict[str, str]:
    """Ends the session that a token belongs to (RFC 7009). What is no token of this client changes nothing, and is no error."""
    await server.revoke({"token": token, "client_id": client_id}, origin_of(request))
    return {}


@router.post("/oauth/register", status_code=status.HTTP_201_CREATED, summary="Register a program", responses=_REFUSED)
async def register(server: Provided[AuthorizationServer], body: ClientMetadata) -> RegisteredClient:
    """Returns an id for a program (RFC 7591), where the operator lets programs register themselves."""
    return RegisteredClient(
        client_id=server.clients.register(body), client_name=body.client_name, redirect_uris=body.redirect_uris
    )
