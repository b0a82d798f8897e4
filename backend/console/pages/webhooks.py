"""Administration of webhooks: which other systems are told of what, how they fare, and what was sent to them."""

from datetime import UTC, date, datetime, time
from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.audit.recorder import Recorder
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, requires, requires_fresh
from backend.errors import InvalidInput
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.schema import Text
from backend.storage.service import FileVault
from backend.tenancy import Tenancy
from backend.webhooks import service as webhooks
from backend.webhooks.destinations import Destinations
from backend.webhooks.kinds import EventKind
from backend.webhooks.models import EndpointChange, NewEndpoint

router = pages()

WEBHOOKS = "/console/administration/webhooks"
_OVERLAP_SECONDS = 86_400
_SHOWN = 50


@router.get("/administration/webhooks")
async def list_endpoints(request: Request, visitor: Signed, tenancy: Provided[Tenancy]) -> Response:
    """Lists the tenant's endpoints, and shows the form for another."""
    requires(visitor, Permission.WEBHOOKS_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = (await webhooks.list_endpoints(connection, visitor.caller)).endpoints
    return page(request, "webhooks.html", visitor, found=found, kinds=list(EventKind))


@router.post("/administration/webhooks")
async def create_endpoint(
    request: Request, visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[FileVault],
    destinations: Provided[Destinations], url: Annotated[Text, Form(max_length=2000)],
    kinds: Annotated[list[EventKind], Form()] = [],  # noqa: B006 - FastAPI copies it
    description: Annotated[Text, Form(max_length=200)] = "",
) -> Response:  # fmt: skip
    """Makes an endpoint, whose secret is shown once."""
    requires(visitor, Permission.WEBHOOKS_MANAGE)
    if again := requires_fresh(visitor, WEBHOOKS):
        return again
    try:
        wanted = NewEndpoint(url=url.strip(), kinds=kinds, description=description.strip() or None)
    except ValidationError as error:
        raise InvalidInput(
            "An address that begins with https://, and at least one kind of event, are needed."
        ) from error
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        made = await webhooks.create_endpoint(connection, visitor.caller, recorder, vault, destinations, wanted)
    return page(request, "webhook_secret.html", visitor, endpoint_id=made.id, url=made.url, secret=made.secret)


@router.get("/administration/webhooks/{webhook_id}")
async def show_endpoint(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], webhook_id: UUID,
    cursor: Annotated[UUID | None, Query()] = None,
) -> Response:  # fmt: skip
    """Shows an endpoint, and what was sent to it."""
    requires(visitor, Permission.WEBHOOKS_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        endpoint = await webhooks.get_endpoint(connection, visitor.caller, webhook_id)
        sent = await webhooks.list_deliveries(
            connection, visitor.caller, webhook_id, state=None, limit=_SHOWN, cursor=cursor
        )
    return page(request, "webhook.html", visitor, endpoint=endpoint, sent=sent)


@router.post("/administration/webhooks/{webhook_id}/test")
async def send_test(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], webhook_id: UUID
) -> Response:
    """Sends an endpoint a message that tells of nothing."""
    requires(visitor, Permission.WEBHOOKS_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await webhooks.send_test(connection, visitor.caller, recorder, webhook_id)
    return to(f"{WEBHOOKS}/{webhook_id}")


@router.post("/administration/webhooks/{webhook_id}/replay")
async def replay_since(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], webhook_id: UUID,
    since: Annotated[date, Form()],
) -> Response:  # fmt: skip
    """Sends everything again that was told since the beginning of a day."""
    requires(visitor, Permission.WEBHOOKS_MANAGE)
    begin = datetime.combine(since, time(tzinfo=UTC))
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await webhooks.replay_since(connection, visitor.caller, recorder, webhook_id, begin)
    return to(f"{WEBHOOKS}/{webhook_id}")


@router.post("/administration/webhooks/{webhook_id}/deliveries/{message_id}/replay")
async def replay_delivery(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], webhook_id: UUID, message_id: UUID
) -> Response:
    """Sends one message again."""
    requires(visitor, Permission.WEBHOOKS_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await webhooks.replay_delivery(connection, visitor.caller, recorder, webhook_id, message_id)
    return to(f"{WEBHOOKS}/{webhook_id}")


@router.post("/administration/webhooks/{webhook_id}/status")
async def change_status(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], destinations: Provided[Destinations],
    webhook_id: UUID, status: Annotated[Text, Form(pattern="^(enabled|disabled)$")],
) -> Response:  # fmt: skip
    """Tells an endpoint nothing, or everything again."""
    requires(visitor, Permission.WEBHOOKS_MANAGE)
    change = EndpointChange.model_validate({"status": status})
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await webhooks.change_endpoint(connection, visitor.caller, recorder, destinations, webhook_id, change)
    return to(f"{WEBHOOKS}/{webhook_id}")


@router.post("/administration/webhooks/{webhook_id}/rotate")
async def rotate(
    request: Request, visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder],
    vault: Provided[FileVault], webhook_id: UUID,
) -> Response:  # fmt: skip
    """Gives an endpoint another secret, which is shown once."""
    requires(visitor, Permission.WEBHOOKS_MANAGE)
    if again := requires_fresh(visitor, f"{WEBHOOKS}/{webhook_id}"):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        made = await webhooks.rotate_secret(connection, visitor.caller, recorder, vault, webhook_id, _OVERLAP_SECONDS)
        endpoint = await webhooks.get_endpoint(connection, visitor.caller, webhook_id)
    return page(request, "webhook_secret.html", visitor, endpoint_id=webhook_id, url=endpoint.url, secret=made.secret)


@router.post("/administration/webhooks/{webhook_id}/delete")
async def delete(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], webhook_id: UUID
) -> Response:
    """Forgets an endpoint, and what was sent to it."""
    requires(visitor, Permission.WEBHOOKS_MANAGE)
    if again := requires_fresh(visitor, WEBHOOKS):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await webhooks.delete_endpoint(connection, visitor.caller, recorder, webhook_id)
    return to(WEBHOOKS)
