"""Tenants as the operator's objects. Every function works with the operator's role, which reads nothing of a tenant's content."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.canonical import canonical_json
from backend.audit.events import Action, Event, envelope
from backend.database import Connection, Queries
from backend.errors import Conflict, InvalidInput, NotFound
from backend.identity.callers.caller import Caller, Origin
from backend.identity.callers.permissions import Role
from backend.retrieval.search import CROSSOVER

queries = Queries.beside(__file__)

DEFAULT_COLLECTION = "default"
_DEFAULT_READERS = tuple(role for role in Role if role is not Role.PARTNER)


@dataclass(frozen=True, slots=True)
class OperatorActor:
    """Who acts for the operator: a key of one of its systems, or somebody at the command line."""

    name: str = "command line"
    key_id: UUID | None = None
    source_address: str | None = None

    async def record(
        self, connection: Connection, tenant_id: UUID, action: Action, details: Mapping[str, Any], request_id: str | None = None
    ) -> None:  # fmt: skip
        """Records in a tenant's log what the operator did to it. Without payloads: it encrypts with no tenant's keys."""
        origin = Origin(request_id or str(uuid7()), self.source_address)
        actor = Caller(
            tenant_id=tenant_id, tenant_slug="", principal_id=None, kind="operator", name=self.name,
            request_id=origin.request_id, source_address=origin.source_address,
        )  # fmt: skip
        known = {"operator": {"name": self.name, **({"key": str(self.key_id)} if self.key_id else {})}, **details}
        event_id = uuid7()
        text = canonical_json(envelope(event_id, datetime.now(UTC), actor, Event(action, details=known), {}))
        await connection.execute(queries.add_event, event_id, text)


COMMAND_LINE = OperatorActor()


def promotion_proposed(tenant: asyncpg.Record) -> bool:
    """Returns whether a tenant, as Tenants returns it, has outgrown the partition that small tenants share."""
    return bool(tenant["placement"] == "shared" and tenant["chunks"] > CROSSOVER)


@dataclass(frozen=True, slots=True)
class Tenants:
    """Acts on tenants in one open transaction, for one request of the operator."""

    connection: Connection
    actor: OperatorActor = COMMAND_LINE
    request_id: str | None = None

    async def create(self, slug: str, name: str) -> UUID:
        """Creates a tenant with the collection `default`, which its roles may read and editors may write."""
        tenant_id = uuid7()
        try:
            await self.connection.execute(
                queries.create_tenant, tenant_id, slug, name, uuid7(), DEFAULT_COLLECTION, _DEFAULT_READERS, [Role.EDITOR]
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise Conflict(f"There is a tenant {slug!r} already.", reason="tenant:exists") from None
        except asyncpg.CheckViolationError:
            raise InvalidInput("slug: must be 2 to 63 lower-case letters, digits and hyphens") from None
        await self._record(tenant_id, Action.TENANT_CHANGED, {"tenant_status": "active", "slug": slug})
        collection = {"collection": DEFAULT_COLLECTION, "approval_required": False}
        await self._record(tenant_id, Action.COLLECTION_CHANGED, collection)
        grants = [(role, "read") for role in _DEFAULT_READERS] + [(Role.EDITOR, "write")]
        for role, access in grants:
            grant = {"collection": DEFAULT_COLLECTION, "access": access, "role": role}
            await self._record(tenant_id, Action.GRANT_CHANGED, {"grant": grant})
        return tenant_id

    async def list(self) -> list[asyncpg.Record]:
        """Returns every tenant, by slug."""
        return await self.connection.fetch(queries.tenants)

    async def get(self, slug: str) -> asyncpg.Record:
        """Returns a tenant; raises NotFound."""
        row = await self.connection.fetchrow(queries.tenant, slug)
        if row is None:
            raise NotFound(f"There is no tenant {slug!r}.", reason="tenant:unknown")
        return row

    async def change(self, slug: str, settings: Mapping[str, str | int | None]) -> asyncpg.Record:
        """Changes name and limits (requests a minute, of the tenant and of each principal); raises NotFound, Conflict."""
        known = await self._not_deleted(slug)
        changed = {**{name: known[name] for name in _CHANGEABLE}, **settings}
        await self.connection.execute(queries.change_tenant, known["id"], *(changed[name] for name in _CHANGEABLE))
        recorded = {name: "none" if value is None else value for name, value in settings.items()}
        await self._record(known["id"], Action.TENANT_CHANGED, {"tenant_settings": recorded})
        return await self.get(slug)

    async def suspend(self, slug: str) -> asyncpg.Record:
        """Refuses everything to a tenant from the next request on, and keeps all that is its; raises NotFound, Conflict."""
        await self._not_deleted(slug)
        return await self._set_status(slug, "suspended")

    async def resume(self, slug: str) -> asyncpg.Record:
        """Lets a tenant work again, also one that was deleted less than its time of grace ago; raises NotFound."""
        return await self._set_status(slug, "active")

    async def delete(self, slug: str, grace: timedelta) -> asyncpg.Record:
        """Suspends a tenant for good: after the time of grace it can be purged; raises NotFound, Conflict."""
        await self._not_deleted(slug)
        return await self._set_status(slug, "deleting", datetime.now(UTC) + grace)

    async def _not_deleted(self, slug: str) -> asyncpg.Record:
        row = await self.get(slug)
        if row["status"] == "deleting":
            raise Conflict("The tenant is being deleted; resume it first.", reason="tenant:deleting")
        return row

    async def _set_status(self, slug: str, status: str, delete_after: datetime | None = None) -> asyncpg.Record:
        tenant = await self.get(slug)
        await self.connection.execute(queries.set_tenant_status, tenant["id"], status, delete_after)
        details = {"tenant_status": status, **({"delete_after": delete_after.isoformat()} if delete_after else {})}
        await self._record(tenant["id"], Action.TENANT_CHANGED, details)
        return await self.get(slug)

    async def _record(self, tenant_id: UUID, action: Action, details: Mapping[str, Any]) -> None:
        await self.actor.record(self.connection, tenant_id, action, details, self.request_id)


_CHANGEABLE = ("name", "requests_per_minute", "principal_requests_per_minute")
