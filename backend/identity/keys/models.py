"""Bodies of API keys."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, IPvAnyNetwork

from backend.identity.callers.permissions import Permission
from backend.schema import WHOLE, ApiModel, Moment, Text


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
