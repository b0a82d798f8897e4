"""What a tenant's identity provider keeps here, as shown to callers who may manage the tenant's users."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from backend.audit.actions.provisioning import ScimBearerChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import NotFound
from backend.identity.callers.caller import Caller
from backend.schema import ApiModel

queries = Queries.beside(__file__)


class ScimBearer(ApiModel):
    """A bearer of the provider, without its secret."""

    id: UUID
    name: str = Field(examples=["entra"])
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class GroupOfProvider(ApiModel):
    """A group that the provider keeps here."""

    id: UUID
    name: str = Field(examples=["Risk"])
    external_id: str | None = Field(description="The provider's own id.", examples=["00g1a2b3c4"])
    members: int = Field(description="How many users are in it.", examples=[12])


class Provisioning(ApiModel):
    """What the tenant's provider keeps here."""

    users: int = Field(description="How many users it keeps.", examples=[120])
    inactive: int = Field(description="How many of them may not sign in.", examples=[3])
    groups: list[GroupOfProvider] = Field(description="Its groups by name, 500 at most.")
    bearers: list[ScimBearer] = Field(description="Its bearers, newest first; nothing for who does not manage keys.")


async def provisioning(connection: Connection, caller: Caller) -> Provisioning:
    """Returns what the tenant's provider keeps here."""
    counts = await connection.fetchrow(queries.user_counts, caller.tenant_id)
    assert counts is not None
    return Provisioning(
        **dict(counts),
        groups=[GroupOfProvider(**dict(row)) for row in await connection.fetch(queries.group_counts, caller.tenant_id)],
        bearers=[ScimBearer(**dict(row)) for row in await connection.fetch(queries.bearers, caller.tenant_id)],
    )


async def revoke_bearer(connection: Connection, caller: Caller, recorder: Recorder, bearer_id: UUID) -> None:
    """Ends a bearer; raises NotFound when there is none to end."""
    name = await connection.fetchval(queries.revoke_bearer, caller.tenant_id, bearer_id)
    if name is None:
        raise NotFound(reason="scim_bearer:unknown")
    await recorder.record(connection, caller, Event(ScimBearerChanged(id=bearer_id, change="revoked", name=name)))
