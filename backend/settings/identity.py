"""Settings: who calls: tokens, sign-in, and how the service is reached for it."""

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")]


class IdentitySettings(BaseModel):
    """Who calls: tokens, sign-in, and how the service is reached for it."""

    jwt_private_key: SecretStr | None = Field(
        default=None, description="PEM of the P-256 private key that signs access tokens (ES256)."
    )
    jwt_previous_public_keys: list[str] = Field(
        default_factory=list, description="PEMs of public keys whose tokens stay valid while they expire."
    )
    jwt_issuer: str = Field(default="affidavit", description="The `iss` of access tokens.")
    jwt_audience: str = Field(default="affidavit", description="The `aud` of access tokens.")
    refresh_token_days: int = Field(default=14, ge=1, le=90, description="Lifetime of a refresh token family.")
    refresh_reuse_seconds: int = Field(
        default=10, ge=0, le=60,
        description="Seconds in which a refresh token may come again, as from two tabs; after that its whole session ends.",
    )  # fmt: skip
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        pattern=r"^https?://[^\s?#]+[^/\s?#]$",
        description="Where browsers reach the service; identity providers send them back to `<public_url>/auth/oidc/callback`.",
    )
    oidc_loopback_http: bool = Field(
        default=False,
        description="Lets a tenant's identity provider be on this machine without TLS; for trying out only.",
    )
    oauth_registration: bool = Field(
        default=False,
        description="Lets programs register themselves as OAuth clients, for whose names then nobody vouches.",
    )
    cors_origins: dict[str, list[Origin]] = Field(
        default_factory=dict,
        description="Origins whose pages may call the service for a tenant, such as "
        '`{"meridian-bank": ["https://portal.example"]}`; none unless named. Cookies never count there.',
    )
    trusted_proxies: list[str] = Field(
        default_factory=list,
        description="Networks (CIDR) of proxies whose X-Forwarded-For is believed for the source address.",
    )
