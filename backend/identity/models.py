"""Request and response bodies of signing in, callers and API keys."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, IPvAnyNetwork, SecretStr

from backend.identity.passwords import MIN_CHARACTERS
from backend.identity.permissions import Permission, Role
from backend.schema import WHOLE, ApiModel, Moment, Text


class TokenPair(ApiModel):
    """An access token and the refresh token that replaces it once."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a token type
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str


class TenantSummary(ApiModel):
    """The caller's tenant."""

    id: UUID
    slug: str


class Me(ApiModel):
    """Who is calling and what they may do."""

    id: UUID
    kind: Literal["user", "key"]
    name: str
    tenant: TenantSummary
    roles: list[str]
    permissions: list[str]
    readable_collections: list[str]
    writable_collections: list[str]


class NewKeyRequest(ApiModel):
    """An API key to create."""

    name: Annotated[Text, Field(min_length=1, max_length=100, examples=["partner-portal"])]
    permissions: Annotated[list[Permission], Field(min_length=1, max_length=20, examples=[["retrieval:query"]])]
    collections: Annotated[list[Text], Field(max_length=100)] | None = Field(
        default=None,
        description="Slugs of collections that the key may read; unset means `default`.",
        examples=[["default"]],
    )
    expires_at: Moment | None = Field(default=None, description="When the key ends; unset means never.")
    allowed_networks: Annotated[list[IPvAnyNetwork], Field(max_length=50)] = Field(
        default_factory=list,
        description="Networks (CIDR) that the key works from; empty means any.",
        examples=[["203.0.113.0/24"]],
    )
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000, strict=True), WHOLE] | None = Field(
        default=None, description="Unset means no limit of its own."
    )
    requests_per_day: Annotated[int, Field(ge=1, le=1_000_000_000, strict=True), WHOLE] | None = Field(
        default=None, description="Budget of a day in UTC; unset means none."
    )
    assertion_key: Annotated[Text, Field(max_length=1_000)] | None = Field(
        default=None,
        description="PEM of a P-256 public key. With it, `X-On-Behalf-Of` must be a JWT that the key's holder signed.",
    )


class KeySummary(ApiModel):
    """An API key without its secrets."""

    id: UUID
    name: str
    lookup_ids: list[str] = Field(description="The public part of each live secret, newest first.")
    permissions: list[str]
    collections: list[str]
    allowed_networks: list[IPvAnyNetwork]
    requests_per_minute: int | None
    requests_per_day: int | None
    signs_end_users: bool = Field(description="Whether `X-On-Behalf-Of` must be signed.")
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class CreatedKey(ApiModel):
    """A new API key; the only time that it is shown."""

    id: UUID
    name: str
    key: str
    permissions: list[str]
    collections: list[str]
    expires_at: datetime | None


class RotateKeyRequest(ApiModel):
    """How long the present secret of a key stays good beside the new one."""

    overlap_seconds: Annotated[int, Field(ge=0, le=30 * 86_400, strict=True), WHOLE] = 86_400


class RotatedKey(ApiModel):
    """A key with its new secret; the only time that it is shown."""

    id: UUID
    name: str
    key: str
    overlap_seconds: int


class KeyList(ApiModel):
    """The tenant's API keys."""

    keys: list[KeySummary]


DisplayName = Annotated[Text, Field(min_length=1, max_length=200, examples=["Dana Analyst"])]
Roles = Annotated[list[Role], Field(max_length=10, examples=[["analyst"]])]


class NewUser(ApiModel):
    """A user to create."""

    username: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._@+-]{0,127}$", examples=["dana"])]
    display_name: DisplayName | None = None
    password: Annotated[
        SecretStr,
        Field(
            max_length=1024, examples=["correct horse battery staple"], json_schema_extra={"minLength": MIN_CHARACTERS}
        ),
    ]
    roles: Roles = Field(default_factory=list)


class UserChange(ApiModel):
    """What of a user is to change; what is not named stays."""

    display_name: DisplayName | None = None
    status: Literal["active", "disabled"] | None = None


class RoleAssignment(ApiModel):
    """All roles that a user is to have."""

    roles: Roles


class UserView(ApiModel):
    """A user of the tenant."""

    id: UUID
    username: str
    display_name: str
    status: Literal["active", "disabled"]
    roles: list[str]
    created_at: datetime


class UserPage(ApiModel):
    """The tenant's users."""

    users: list[UserView]
    next_cursor: UUID | None = Field(description="Pass as `cursor` for the next page; null at the end.")
