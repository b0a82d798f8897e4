"""Tenants as the operator's objects. Every function works with the operator's role, which reads nothing of a tenant's content."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.documents import CollectionChanged
from backend.audit.actions.operation import TenantChanged, TenantSettings
from backend.audit.actions.people import GrantChanged
from backend.audit.canonical import canonical_json
from backend.audit.details import Details
from backend.audit.events import Event, OperatorNamed, envelope
from backend.database import Connection, Queries, fetch_row, fetch_rows
from backend.errors import Conflict, InvalidInput, NotAtHome, NotFound
from backend.identity.callers.caller import Caller, Origin
from backend.identity.callers.permissions import Role
from backend.identity.sign_in import institutions
from backend.retrieval.crossover import CROSSOVER

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
        self, connection: Connection, tenant_id: UUID, done: Details, request_id: str | None = None
    ) -> None:  # fmt: skip
        """Records in a tenant's log what the operator did to it. Without payloads: it encrypts with no tenant's keys."""
        origin = Origin(request_id or str(uuid7()), self.source_address)
        actor = Caller(
            tenant_id=tenant_id, tenant_slug="", principal_id=None, kind="operator", name=self.name,
            request_id=origin.request_id, source_address=origin.source_address,
        )  # fmt: skip
        operator = OperatorNamed(name=self.name, key=self.key_id)
        event_id = uuid7()
        text = canonical_json(envelope(event_id, datetime.now(UTC), actor, Event(done, operator=operator), {}))
        await connection.execute(queries.add_event, event_id, text)


COMMAND_LINE = OperatorActor()


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant, with how many chunks in force it holds and where they are."""

    id: UUID
    slug: str
    name: str
    status: str
    created_at: datetime
    delete_after: datetime | None
    requests_per_minute: int | None
    principal_requests_per_minute: int | None
    chunks: int
    placement: str
    domains: Sequence[str]  # of the e-mail addresses by which its people name it when they sign in

    @property
    def promotion_proposed(self) -> bool:
        """Whether it has outgrown the partition that small tenants share."""
        return self.placement == "shared" and self.chunks > CROSSOVER

    def told(self) -> dict[str, Any]:
        """Returns all that is known of it, for who is shown it."""
        return {**asdict(self), "promotion_proposed": self.promotion_proposed}


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
        await self._record(tenant_id, TenantChanged(tenant_status="active", slug=slug))
        await self._record(tenant_id, CollectionChanged(collection=DEFAULT_COLLECTION, approval_required=False))
        grants = [(role, "read") for role in _DEFAULT_READERS] + [(Role.EDITOR, "write")]
        for role, access in grants:
            await self._record(tenant_id, GrantChanged(collection=DEFAULT_COLLECTION, access=access, role=role))
        return tenant_id

    async def list(self) -> list[TenantRow]:
        """Returns every tenant, by slug."""
        return await fetch_rows(self.connection, TenantRow, queries.tenants)

    async def get(self, slug: str) -> TenantRow:
        """Returns a tenant; raises NotFound."""
        row = await fetch_row(self.connection, TenantRow, queries.tenant, slug)
        if row is None:
            raise NotFound(f"There is no tenant {slug!r}.", reason="tenant:unknown")
        # In this order: whoever moves the tenant waits for who has the lock, and whoever comes later is refused.
        await self.connection.execute(queries.lock_tenant, row.id)
        if not await self.connection.fetchval(queries.is_home, row.id):
            raise NotAtHome(reason="cell:not_at_home")
        return row

    async def change(self, slug: str, settings: Mapping[str, str | int | None]) -> TenantRow:
        """Changes name and limits (requests a minute, of the tenant and of each principal); raises NotFound, Conflict."""
        known = await self._not_deleted(slug)
        changed = {**{name: getattr(known, name) for name in _CHANGEABLE}, **settings}
        await self.connection.execute(queries.change_tenant, known.id, *(changed[name] for name in _CHANGEABLE))
        told = {name: "none" if value is None else value for name, value in settings.items()}
        recorded = TenantSettings(
            name=told.get("name"),
            requests_per_minute=told.get("requests_per_minute"),
            principal_requests_per_minute=told.get("principal_requests_per_minute"),
        )
        await self._record(known.id, TenantChanged(tenant_settings=recorded))
        return await self.get(slug)

    async def add_domain(self, slug: str, domain: str) -> TenantRow:
        """Lets whoever signs in name the tenant by a domain of its e-mail addresses; raises NotFound, Conflict, InvalidInput.

        Whether the domain is the tenant's, the operator has verified.
        """
        known, spelt = await self._not_deleted(slug), _domain(domain)
        if await self.connection.fetchval(queries.add_domain, known.id, spelt) is not None:
            await self._record(known.id, TenantChanged(domain_added=spelt))
        elif (owner := await self.connection.fetchval(queries.tenant_of_domain, spelt)) != slug:
            raise Conflict(f"{spelt} is a domain of the tenant {owner!r}.", reason="domain:taken")
        return await self.get(slug)

    async def remove_domain(self, slug: str, domain: str) -> TenantRow:
        """Takes a domain away from a tenant; raises NotFound, InvalidInput."""
        known, spelt = await self.get(slug), _domain(domain)
        if await self.connection.fetchval(queries.remove_domain, known.id, spelt) is None:
            raise NotFound(f"{spelt} is no domain of the tenant {slug!r}.", reason="domain:unknown")
        await self._record(known.id, TenantChanged(domain_removed=spelt))
        return await self.get(slug)

    async def suspend(self, slug: str) -> TenantRow:
        """Refuses everything to a tenant from the next request on, and keeps all that is its; raises NotFound, Conflict."""
        await self._not_deleted(slug)
        return await self._set_status(slug, "suspended")

    async def resume(self, slug: str) -> TenantRow:
        """Lets a tenant work again, also one that was deleted less than its time of grace ago; raises NotFound."""
        return await self._set_status(slug, "active")

    async def delete(self, slug: str, grace: timedelta) -> TenantRow:
        """Suspends a tenant for good: after the time of grace it can be purged; raises NotFound, Conflict."""
        await self._not_deleted(slug)
        return await self._set_status(slug, "deleting", datetime.now(UTC) + grace)

    async def _not_deleted(self, slug: str) -> TenantRow:
        row = await self.get(slug)
        if row.status == "deleting":
            raise Conflict("The tenant is being deleted; resume it first.", reason="tenant:deleting")
        return row

    async def _set_status(self, slug: str, status: str, delete_after: datetime | None = None) -> TenantRow:
        tenant = await self.get(slug)
        await self.connection.execute(queries.set_tenant_status, tenant.id, status, delete_after)
        await self._record(tenant.id, TenantChanged(tenant_status=status, delete_after=delete_after))
        return await self.get(slug)

    async def _record(self, tenant_id: UUID, done: Details) -> None:
        await self.actor.record(self.connection, tenant_id, done, self.request_id)


def _domain(text: str) -> str:
    try:
        return institutions.domain(text)
    except institutions.UnacceptableDomain as error:
        raise InvalidInput(f"domain: {error}") from None


_CHANGEABLE = ("name", "requests_per_minute", "principal_requests_per_minute")
