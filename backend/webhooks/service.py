"""The rules of endpoints: how they are made, changed, given other secrets, tested, and told again."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from backend.audit.actions.webhooks import (
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookReplayed,
    WebhookSecretRotated,
    WebhookTested,
)
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.egress import RefusedAddress
from backend.errors import Conflict, InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.storage.service import FileVault
from backend.webhooks import secrets, signatures
from backend.webhooks.destinations import Destinations
from backend.webhooks.kinds import TEST
from backend.webhooks.messages import message
from backend.webhooks.models import (
    DeliveryPage,
    Endpoint,
    EndpointChange,
    EndpointList,
    EndpointWithSecret,
    NewEndpoint,
    Replayed,
    RotatedSecret,
    WebhookDelivery,
)

queries = Queries.beside(__file__)

MOST_ENDPOINTS = 20


async def create_endpoint(
    connection: Connection, caller: Caller, recorder: Recorder, vault: FileVault, destinations: Destinations,
    wanted: NewEndpoint,
) -> EndpointWithSecret:  # fmt: skip
    """Makes an endpoint, told of what is sealed from now on; raises InvalidInput for an address to which nothing may go."""
    host = _host(destinations, wanted.url)
    await connection.execute(queries.one_endpoint_at_a_time, str(caller.tenant_id))
    if await connection.fetchval(queries.count_endpoints, caller.tenant_id) >= MOST_ENDPOINTS:
        raise Conflict(f"There are {MOST_ENDPOINTS} endpoints already.", reason="webhook:many")
    endpoint_id, kinds = uuid7(), list(dict.fromkeys(wanted.kinds))
    await connection.execute(
        queries.add_endpoint, caller.tenant_id, endpoint_id, wanted.url, wanted.description, kinds, caller.principal_id
    )
    secret = await _add_secret(connection, caller, vault, endpoint_id)
    await recorder.record(connection, caller, Event(WebhookCreated(id=endpoint_id, host=host, kinds=kinds)))
    made = await get_endpoint(connection, caller, endpoint_id)
    return EndpointWithSecret(**made.model_dump(), secret=secret)


async def list_endpoints(connection: Connection, caller: Caller) -> EndpointList:
    """Returns the tenant's endpoints."""
    rows = await connection.fetch(queries.endpoints, caller.tenant_id, None)
    return EndpointList(endpoints=[Endpoint(**dict(row)) for row in rows])


async def get_endpoint(connection: Connection, caller: Caller, endpoint_id: UUID) -> Endpoint:
    """Returns an endpoint; raises NotFound."""
    row = await connection.fetchrow(queries.endpoints, caller.tenant_id, endpoint_id)
    if row is None:
        raise NotFound(reason="webhook:unknown")
    return Endpoint(**dict(row))


async def change_endpoint(
    connection: Connection, caller: Caller, recorder: Recorder, destinations: Destinations, endpoint_id: UUID,
    change: EndpointChange,
) -> Endpoint:  # fmt: skip
    """Changes what is named; raises NotFound, and InvalidInput for an address to which nothing may go."""
    present = await get_endpoint(connection, caller, endpoint_id)
    named = {name: getattr(change, name) for name in change.model_fields_set}
    for name in ("url", "kinds", "status"):
        if name in named and named[name] is None:
            raise InvalidInput(f"{name}: cannot be taken away")
    becomes: dict[str, Any] = present.model_dump() | named
    host = _host(destinations, becomes["url"]) if "url" in named else None
    kinds = list(dict.fromkeys(becomes["kinds"]))
    because = None if becomes["status"] == "enabled" else present.disabled_because or "asked"
    await connection.execute(
        queries.change_endpoint, caller.tenant_id, endpoint_id, becomes["url"], becomes["description"], kinds,
        becomes["status"], because,
    )  # fmt: skip
    changed = WebhookChanged(
        id=endpoint_id, changed=sorted(named), host=host, kinds=kinds if "kinds" in named else None, status=named.get("status")
    )  # fmt: skip
    await recorder.record(connection, caller, Event(changed))
    return await get_endpoint(connection, caller, endpoint_id)


async def delete_endpoint(connection: Connection, caller: Caller, recorder: Recorder, endpoint_id: UUID) -> None:
    """Forgets an endpoint, its secrets and what was sent to it; raises NotFound."""
    if await connection.fetchval(queries.delete_endpoint, caller.tenant_id, endpoint_id) is None:
        raise NotFound(reason="webhook:unknown")
    await recorder.record(connection, caller, Event(WebhookDeleted(id=endpoint_id)))


async def rotate_secret(
    connection: Connection,
    caller: Caller,
    recorder: Recorder,
    vault: FileVault,
    endpoint_id: UUID,
    overlap_seconds: int,
) -> RotatedSecret:
    """Gives an endpoint another secret, beside which the present one signs for the overlap; raises NotFound."""
    await get_endpoint(connection, caller, endpoint_id)
    await connection.execute(queries.end_secrets, caller.tenant_id, endpoint_id, overlap_seconds)
    await connection.execute(queries.forget_ended_secrets, caller.tenant_id, endpoint_id)
    secret = await _add_secret(connection, caller, vault, endpoint_id)
    rotated = WebhookSecretRotated(id=endpoint_id, overlap_seconds=overlap_seconds)
    await recorder.record(connection, caller, Event(rotated))
    return RotatedSecret(id=endpoint_id, secret=secret, overlap_seconds=overlap_seconds)


async def list_deliveries(
    connection: Connection, caller: Caller, endpoint_id: UUID, *, state: str | None, limit: int, cursor: UUID | None
) -> DeliveryPage:
    """Returns a page of what was sent to an endpoint; raises NotFound."""
    await get_endpoint(connection, caller, endpoint_id)
    rows = await connection.fetch(queries.deliveries, caller.tenant_id, endpoint_id, state, cursor, limit + 1)
    shown = [WebhookDelivery(**dict(row)) for row in rows[:limit]]
    return DeliveryPage(deliveries=shown, next_cursor=shown[-1].id if len(rows) > limit else None)


async def send_test(connection: Connection, caller: Caller, recorder: Recorder, endpoint_id: UUID) -> WebhookDelivery:
    """Sends an endpoint a message that tells of nothing; raises NotFound, and Conflict for one that is disabled."""
    await _enabled(connection, caller, endpoint_id)
    told = {"tenant": str(caller.tenant_id), "endpoint": str(endpoint_id)}
    made = message(endpoint_id, TEST, str(uuid4()), datetime.now(UTC), told)
    await connection.execute(queries.add_test, caller.tenant_id, endpoint_id, made.id, made.kind, made.body)
    await recorder.record(connection, caller, Event(WebhookTested(id=endpoint_id, delivery=made.id)))
    return await _get_delivery(connection, caller, endpoint_id, made.id)


async def replay_delivery(
    connection: Connection, caller: Caller, recorder: Recorder, endpoint_id: UUID, delivery_id: UUID
) -> WebhookDelivery:
    """Has one delivery sent again under the same id; raises NotFound, and Conflict for an endpoint that is disabled."""
    await _enabled(connection, caller, endpoint_id)
    if await connection.fetchval(queries.replay_delivery, caller.tenant_id, endpoint_id, delivery_id) is None:
        raise NotFound(reason="webhook:delivery")
    await recorder.record(connection, caller, Event(WebhookReplayed(id=endpoint_id, delivery=delivery_id)))
    return await _get_delivery(connection, caller, endpoint_id, delivery_id)


async def replay_since(
    connection: Connection, caller: Caller, recorder: Recorder, endpoint_id: UUID, since: datetime
) -> Replayed:
    """Has all that the log tells since a moment sent again, under the same ids; raises as `replay_delivery` does."""
    await _enabled(connection, caller, endpoint_id)
    events = await connection.fetchval(queries.replay_since, caller.tenant_id, endpoint_id, since)
    await recorder.record(connection, caller, Event(WebhookReplayed(id=endpoint_id, since=since)))
    return Replayed(events=events)


async def _enabled(connection: Connection, caller: Caller, endpoint_id: UUID) -> None:
    if (await get_endpoint(connection, caller, endpoint_id)).status != "enabled":
        raise Conflict("The endpoint is disabled: enable it first.", reason="webhook:disabled")


async def _add_secret(connection: Connection, caller: Caller, vault: FileVault, endpoint_id: UUID) -> str:
    secret, secret_id = signatures.new_secret(), uuid7()
    key = await vault.key(connection, caller.tenant_id)
    sealed = secrets.seal(key, endpoint_id, secret_id, secret)
    await connection.execute(queries.add_secret, caller.tenant_id, secret_id, endpoint_id, sealed)
    return signatures.shown(secret)


async def _get_delivery(
    connection: Connection, caller: Caller, endpoint_id: UUID, delivery_id: UUID
) -> WebhookDelivery:
    row = await connection.fetchrow(queries.delivery, caller.tenant_id, endpoint_id, delivery_id)
    assert row is not None
    return WebhookDelivery(**dict(row))


def _host(destinations: Destinations, url: str) -> str:
    try:
        return destinations.host_of(url)
    except RefusedAddress as error:
        raise InvalidInput(f"url: {error}", reason="webhook:address") from error
