"""What an authorization server and a protected resource publish of themselves (RFC 8414, RFC 9728), and what tokens look like."""

from typing import Literal

from pydantic import Field

from backend.schema import ApiModel


class ProtectedResource(ApiModel):
    """Where tokens for the resource come from."""

    resource: str = Field(description="The resource; tokens name it as their audience.")
    resource_name: str = "Affidavit"
    authorization_servers: list[str]
    scopes_supported: list[str]
    bearer_methods_supported: tuple[str, ...] = ("header",)


class ServerMetadata(ApiModel):
    """What the authorization server offers."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    registration_endpoint: str | None = Field(default=None, description="There only where programs may register.")
    jwks_uri: str
    scopes_supported: list[str]
    response_types_supported: tuple[str, ...] = ("code",)
    response_modes_supported: tuple[str, ...] = ("query",)
    grant_types_supported: tuple[str, ...] = ("authorization_code", "refresh_token")
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("none",)
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = ("none",)
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)
    client_id_metadata_document_supported: bool = True
    authorization_response_iss_parameter_supported: bool = True


class TokenResponse(ApiModel):
    """An access token for the resource, and the refresh token that replaces it once."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a token type
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str
    scope: str | None = Field(default=None, description="What the token allows, where that was decided now.")


class RegisteredClient(ApiModel):
    """A program that registered itself."""

    client_id: str
    client_name: str | None
    redirect_uris: list[str]
    token_endpoint_auth_method: Literal["none"] = "none"  # noqa: S105 - a method
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    response_types: tuple[str, ...] = ("code",)
