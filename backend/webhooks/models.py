"""Bodies of webhooks."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from backend.schema import WHOLE, ApiModel, Moment, Text
from backend.webhooks.kinds import EventKind, Kinds

Url = Annotated[
    Text,
    Field(
        min_length=8,
        max_length=2000,
        pattern="^https?://",
        description="Where messages are sent: HTTPS, on a host that the operator allows.",
        examples=["https://hooks.example.com/affidavit"],
    ),
]
Description = Annotated[Text, Field(min_length=1, max_length=200, examples=["Register of models"])]
DeliveryState = Literal["waiting", "delivered", "failed", "dead"]


class NewEndpoint(ApiModel):
    """An endpoint to tell of what happens."""

    url: Url
    kinds: Kinds
    description: Description | None = Field(
        default=None, description="What it is, for people.", examples=["Register of models"]
    )


class EndpointChange(ApiModel):
    """What of an endpoint is to change; what is not named stays."""

    url: Url | None = Field(
        default=None, description="Where messages are sent.", examples=["https://hooks.example.com/b"]
    )
    kinds: Kinds | None = Field(default=None, description="What it is told of.", examples=[["hold.placed"]])
    description: Description | None = Field(default=None, description="What it is, for people; null takes it away.")
    status: Literal["enabled", "disabled"] | None = Field(
        default=None, description="One that is enabled again is told everything since it was disabled.", examples=["enabled"]
    )  # fmt: skip


class Endpoint(ApiModel):
    """An endpoint, without its secret."""

    id: UUID
    url: str = Field(description="Where messages are sent.", examples=["https://hooks.example.com/affidavit"])
    description: str | None = Field(description="What it is, for people.", examples=["Register of models"])
    kinds: list[EventKind] = Field(description="What it is told of.", examples=[["version.superseded"]])
    status: Literal["enabled", "disabled"] = Field(description="Whether it is told anything.", examples=["enabled"])
    disabled_because: Literal["asked", "failing", "gone"] | None = Field(
        description="Somebody asked for it, it failed for days, or it answered 410.", examples=[None]
    )
    created_by: UUID
    created_at: datetime
    failing_since: datetime | None = Field(description="Since when nothing was delivered to it.", examples=[None])
    delivered_at: datetime | None = Field(description="When something was last delivered to it.")
    waiting: int = Field(description="How many deliveries wait, be it for another attempt.", examples=[0])
    oldest_waiting_at: datetime | None = Field(description="Since when the oldest of them waits.", examples=[None])
    dead: int = Field(description="How many were given up, and can be sent again.", examples=[0])


class EndpointWithSecret(Endpoint):
    """A new endpoint with the secret that signs what is sent to it; the only time that this is shown."""

    secret: str = Field(description="Verifies what is sent (Standard Webhooks).", examples=["whsec_…"])


class EndpointList(ApiModel):
    """Endpoints, newest first."""

    endpoints: list[Endpoint]


class RotateSecretRequest(ApiModel):
    """For how long the present secret signs as well."""

    overlap_seconds: Annotated[int, Field(ge=0, le=30 * 86_400, strict=True), WHOLE] = 86_400


class RotatedSecret(ApiModel):
    """Another secret of an endpoint; the only time that it is shown."""

    id: UUID
    secret: str = Field(description="Verifies what is sent from now on.", examples=["whsec_…"])
    overlap_seconds: int


class WebhookDelivery(ApiModel):
    """A message to an endpoint, and how far it is."""

    id: UUID = Field(description="Its `webhook-id`, the same at each attempt.")
    kind: str = Field(description="What it tells of.", examples=["version.superseded"])
    event_id: UUID | None = Field(description="The event of the log that it tells of.")
    state: DeliveryState = Field(description="`failed` is tried again; `dead` was given up.", examples=["delivered"])
    attempts: int = Field(description="How often it was tried since it was last asked for.", examples=[1])
    created_at: datetime
    attempted_at: datetime | None = Field(description="When it was last tried.")
    next_attempt_at: datetime | None = Field(description="When it is tried next.", examples=[None])
    response_status: int | None = Field(description="What the endpoint answered.", examples=[204])
    failure: str | None = Field(description="Why the last attempt failed, as a code.", examples=[None])


class DeliveryPage(ApiModel):
    """Deliveries, newest first."""

    deliveries: list[WebhookDelivery]
    next_cursor: UUID | None


class ReplaySince(ApiModel):
    """From which moment on everything is to be sent again."""

    since: Moment = Field(description="Events that were recorded then or later.", examples=["2026-04-01T00:00:00Z"])


class Replayed(ApiModel):
    """What is sent again."""

    events: int = Field(description="In how many events of the log it is looked for.", examples=[12])
