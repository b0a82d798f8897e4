"""Bodies of signing in, and what callers may know about themselves."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from backend.schema import ApiModel


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
