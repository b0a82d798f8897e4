"""Bodies of API keys."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, IPvAnyNetwork

from backend.identity.callers.permissions import Permission
from backend.schema import WHOLE, ApiModel, Moment, Text

Purpose = Annotated[
    Text,
    Field(min_length=3, max_length=500, description="What the key is for; recorded with each use.",
          examples=["Answers customers' questions in the partner's portal."]),
]  # fmt: skip
KeyName = Annotated[Text, Field(min_length=1, max_length=100, examples=["partner-portal"])]
Networks = Annotated[
    list[IPvAnyNetwork],
    Field(max_length=50, description="Networks (CIDR) that the key works from; empty means any.", examples=[["203.0.113.0/24"]]),
]  # fmt: skip
PerMinute = Annotated[int, Field(ge=1, le=1_000_000, strict=True), WHOLE]
PerDay = Annotated[int, Field(ge=1, le=1_000_000_000, strict=True), WHOLE]
Tokens = Annotated[int, Field(ge=1, le=1_000_000_000_000, strict=True), WHOLE]


class Budgets(ApiModel):
    """What may be asked of models; unset means no budget. Days and months are those of UTC."""

    tokens_day: Tokens | None = Field(default=None, description="Tokens of prompts and answers in a day.")
    tokens_month: Tokens | None = Field(default=None, description="Tokens of prompts and answers in a month.")
    cost_day: Annotated[float, Field(ge=0.000001, le=1_000_000_000)] | None = Field(
        default=None, description="Cost of a day, in the currency of the service's prices.", examples=[20.0]
    )
    cost_month: Annotated[float, Field(ge=0.000001, le=1_000_000_000)] | None = Field(
        default=None, description="Cost of a month, in the currency of the service's prices.", examples=[250.0]
    )


class NewKeyRequest(ApiModel):
    """An API key to create."""

    name: KeyName
    purpose: Purpose | None = None
    permissions: Annotated[list[Permission], Field(min_length=1, max_length=20, examples=[["retrieval:query"]])]
    collections: Annotated[list[Text], Field(max_length=100)] | None = Field(
        default=None,
        description="Slugs of collections that the key may read; unset means `default`.",
        examples=[["default"]],
    )
    expires_at: Moment | None = Field(default=None, description="When the key ends; unset means never.")
    allowed_networks: Networks = Field(default_factory=list)
    requests_per_minute: PerMinute | None = Field(default=None, description="Unset means no limit of its own.")
    requests_per_day: PerDay | None = Field(default=None, description="Budget of a day in UTC; unset means none.")
    budgets: Budgets = Field(default_factory=Budgets)
    assertion_key: Annotated[Text, Field(max_length=1_000)] | None = Field(
        default=None,
        description="PEM of a P-256 public key. With it, `X-On-Behalf-Of` must be a JWT that the key's holder signed.",
    )


class KeyChange(ApiModel):
    """What of a key is to change; what is not named stays, and null takes a bound away."""

    name: KeyName | None = None
    purpose: Purpose | None = None
    owner: UUID | None = Field(
        default=None,
        description="The user who answers for the key from now on, and rotates it, since its secrets end. Another person than its"
        " present owner says so.",
    )
    expires_at: Moment | None = Field(default=None, description="When the key ends.")
    allowed_networks: Networks = Field(default_factory=list)
    requests_per_minute: PerMinute | None = Field(default=None, description="Requests of a minute.")
    requests_per_day: PerDay | None = Field(default=None, description="Requests of a day in UTC.")
    budgets: Budgets = Field(default_factory=Budgets)


class KeySummary(ApiModel):
    """An API key without its secrets."""

    id: UUID
    name: str
    purpose: str | None
    owner: UUID | None = Field(description="The user whose rights bound the key, and as whom it counts.")
    lookup_ids: list[str] = Field(description="The public part of each live secret, newest first.")
    permissions: list[str]
    collections: list[str]
    allowed_networks: list[IPvAnyNetwork]
    requests_per_minute: int | None
    requests_per_day: int | None
    budgets: Budgets
    signs_end_users: bool = Field(description="Whether `X-On-Behalf-Of` must be signed.")
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    suspended_at: datetime | None = Field(description="Since when its owner is disabled and nobody has taken it over.")
    handed_over_by: UUID | None = Field(description="Who gave it its present owner.")
    handed_over_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class CreatedKey(ApiModel):
    """A new API key; the only time that it is shown."""

    id: UUID
    name: str
    key: str
    permissions: list[str]
    collections: list[str]
    owner: UUID
    purpose: str | None
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
