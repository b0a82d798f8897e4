"""Webhooks over HTTP: endpoints, their secrets, and what was sent to them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import Field

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.schema import ApiModel
from backend.storage.service import FileVault
from backend.tenancy import Tenancy
from backend.webhooks import service
from backend.webhooks.destinations import Destinations
from backend.webhooks.models import (
    DeliveryPage,
    DeliveryState,
    Endpoint,
    EndpointChange,
    EndpointList,
    EndpointWithSecret,
    NewEndpoint,
    Replayed,
    ReplaySince,
    RotatedSecret,
    RotateSecretRequest,
    WebhookDelivery,
)

router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=GuardedRoute)

Manager = Annotated[Caller, Requires(Permission.WEBHOOKS_MANAGE)]


class DeliveryQuery(ApiModel):
    """Filter and page of the list of deliveries."""

    state: DeliveryState | None = Field(default=None, description="Only those that are so far.")
    limit: int = Field(default=50, ge=1, le=500)
    cursor: UUID | None = Field(default=None, description="`next_cursor` of the page before.")


@router.post("", status_code=status.HTTP_201_CREATED, summary="Create a webhook")
async def create_webhook(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[FileVault],
    destinations: Provided[Destinations], body: NewEndpoint, caller: Manager,
) -> EndpointWithSecret:  # fmt: skip
    """Tells an address of events from now on, as soon as they are sealed, and returns the secret that signs this, once.

    Messages are signed as Standard Webhooks has it, and hold ids and kinds alone. Each comes at least once, in the order of the
    log when nothing fails; its `webhook-id` stays the same. What is not answered with 2xx within seconds is tried again for days.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.create_endpoint(connection, caller, recorder, vault, destinations, body)


@router.get("", summary="List webhooks")
async def list_webhooks(tenancy: Provided[Tenancy], caller: Manager) -> EndpointList:
    """Returns the tenant's endpoints, newest first, with how they fare."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.list_endpoints(connection, caller)


@router.get("/{webhook_id}", summary="A webhook")
async def get_webhook(tenancy: Provided[Tenancy], webhook_id: UUID, caller: Manager) -> Endpoint:
    """Returns an endpoint, and how it fares."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.get_endpoint(connection, caller, webhook_id)


@router.patch("/{webhook_id}", summary="Change a webhook")
async def change_webhook(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], destinations: Provided[Destinations], webhook_id: UUID,
    body: EndpointChange, caller: Manager,
) -> Endpoint:  # fmt: skip
    """Changes what the body names. One that is enabled again is told of everything since it was disabled."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.change_endpoint(connection, caller, recorder, destinations, webhook_id, body)


@router.delete("/{webhook_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Delete a webhook")
async def delete_webhook(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], webhook_id: UUID, caller: Manager
) -> None:
    """Tells an endpoint nothing more, and forgets what was sent to it."""
    async with tenancy.transaction(caller.claims()) as connection:
        await service.delete_endpoint(connection, caller, recorder, webhook_id)


@router.post("/{webhook_id}/rotate", summary="Give a webhook another secret")
async def rotate_webhook_secret(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[FileVault], webhook_id: UUID,
    body: RotateSecretRequest, caller: Manager,
) -> RotatedSecret:  # fmt: skip
    """Returns a new secret once; until the overlap is over, messages carry a signature of the present one as well."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.rotate_secret(connection, caller, recorder, vault, webhook_id, body.overlap_seconds)


@router.post("/{webhook_id}/test", status_code=status.HTTP_202_ACCEPTED, summary="Send a webhook a test")
async def test_webhook(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], webhook_id: UUID, caller: Manager
) -> WebhookDelivery:
    """Sends a message of the kind `webhook.test`; 409 for an endpoint that is disabled."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.send_test(connection, caller, recorder, webhook_id)


@router.get("/{webhook_id}/deliveries", summary="What was sent to a webhook")
async def list_webhook_deliveries(
    tenancy: Provided[Tenancy], webhook_id: UUID, query: Annotated[DeliveryQuery, Query()], caller: Manager
) -> DeliveryPage:
    """Returns deliveries, newest first, with how far each is. What ended more than 30 days ago is forgotten."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.list_deliveries(
            connection, caller, webhook_id, state=query.state, limit=query.limit,
            cursor=query.cursor,
        )  # fmt: skip


@router.post("/{webhook_id}/replay", status_code=status.HTTP_202_ACCEPTED, summary="Tell a webhook everything again")
async def replay_webhook(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], webhook_id: UUID, body: ReplaySince, caller: Manager
) -> Replayed:
    """Sends everything again that the log tells since a moment, each under its `webhook-id`; 409 for one that is disabled."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.replay_since(connection, caller, recorder, webhook_id, body.since)


@router.post(
    "/{webhook_id}/deliveries/{message_id}/replay", status_code=status.HTTP_202_ACCEPTED, summary="Send a delivery again"
)  # fmt: skip
async def replay_webhook_delivery(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], webhook_id: UUID, message_id: UUID, caller: Manager
) -> WebhookDelivery:
    """Sends one delivery again under its `webhook-id`, whatever became of it; 409 for an endpoint that is disabled."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.replay_delivery(connection, caller, recorder, webhook_id, message_id)
