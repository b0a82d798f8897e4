"""Request and response bodies of signing in, callers and API keys."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from backend.identity.permissions import Permission
from backend.schema import ApiModel, Moment, Text


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


class KeySummary(ApiModel):
    """An API key without its secret."""

    id: UUID
    name: str
    lookup_id: str = Field(description="The public part of the key, by which it is recognised.")
    permissions: list[str]
    collections: list[str]
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class CreatedKey(ApiModel):
    """A new API key; the only time that it is shown."""

    id: UUID
    name: str
    key: str
    permissions: list[str]
    collections: list[str]
    expires_at: datetime | None


class KeyList(ApiModel):
    """The tenant's API keys."""

    keys: list[KeySummary]
