"""Principals as the database tells them, from which callers are made. `readable` and `writable` are ids of collections."""

from dataclasses import dataclass
from uuid import UUID

from backend.database import Queries
from backend.identity.callers.addresses import Network
from backend.identity.callers.permissions import Permission, Role, permissions_of, permissions_of_key


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """A user, apart from any session."""

    tenant_slug: str
    tenant_status: str
    name: str
    live: bool
    roles: list[str]
    readable: list[UUID]
    writable: list[UUID]

    @property
    def allowed(self) -> frozenset[Permission]:
        """What its roles permit."""
        return permissions_of(map(Role, self.roles))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUserRow(UserRow):
    """A user who signed in, with its session, and the limits that the operator set."""

    tenant_requests_per_minute: int | None
    principal_requests_per_minute: int | None
    session_live: bool
    lacks_second_factor: bool

    @property
    def is_let_in(self) -> bool:
        """Whether neither the tenant, the user nor the session has ended."""
        return self.live and self.session_live and self.tenant_status == "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """An API key, with the roles of its owner."""

    tenant_id: UUID
    key_id: UUID
    tenant_slug: str
    tenant_status: str
    tenant_requests_per_minute: int | None
    principal_requests_per_minute: int | None
    name: str
    permissions: list[str]
    allowed_networks: list[Network] | None
    requests_per_minute: int | None
    requests_per_day: int | None
    assertion_key: str | None
    live: bool
    use_noted: bool
    purpose: str | None
    owner_id: UUID | None
    owner_roles: list[str]
    readable: list[UUID]
    writable: list[UUID]

    @property
    def allowed(self) -> frozenset[Permission]:
        """What it was given, as far as its owner may still give it."""
        return permissions_of_key(map(Permission, self.permissions), map(Role, self.owner_roles))

    @property
    def is_let_in(self) -> bool:
        """Whether neither the tenant nor the key has ended."""
        return self.live and self.tenant_status == "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A source of documents that runs, with who answers for it."""

    tenant_slug: str
    tenant_status: str
    name: str
    live: bool
    collection_id: UUID
    responsible_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow:
    """An identity provider, by the bearer that it presented; `name` is the bearer's."""

    tenant_id: UUID
    bearer_id: UUID
    tenant_slug: str
    tenant_status: str
    tenant_requests_per_minute: int | None
    principal_requests_per_minute: int | None
    name: str
    issuer_id: UUID
    issuer: str
    live: bool
    use_noted: bool


queries = Queries.beside(__file__, user=SessionUserRow, key=KeyRow, provider=ProviderRow, source=SourceRow)
