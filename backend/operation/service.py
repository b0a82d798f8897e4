"""What the operator does to tenants, as the database's owner: reads none of their content, and leaves events."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.documents import CollectionChanged
from backend.audit.actions.keys import KeyCreated
from backend.audit.actions.people import GrantChanged, UserChanged
from backend.audit.details import Details
from backend.database import Connection, Queries
from backend.identity.bearer_secrets import NewSecret
from backend.identity.callers.permissions import NOT_FOR_KEYS, Permission, Role, permissions_of_key
from backend.identity.keys import api_keys
from backend.identity.sign_in import passwords, reset_links
from backend.identity.users import names
from backend.operation.tenants import COMMAND_LINE, Tenants

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class KeyBounds:
    """What bounds a key: for what, from where, how often, and how much it may ask of models. None means no bound."""

    purpose: str | None = None
    networks: Sequence[str] = ()
    per_minute: int | None = None
    per_day: int | None = None
    tokens_day: int | None = None
    tokens_month: int | None = None
    cost_day_micros: int | None = None
    cost_month_micros: int | None = None
    assertion_key: str | None = None


class OperatorError(Exception):
    """The command cannot be carried out; the message says why."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Acts on one tenant in one transaction of the owner."""

    connection: Connection

    async def create_tenant(self, slug: str, name: str) -> UUID:
        """Creates a tenant with the collection `default`, which its roles may read and editors may write."""
        return await Tenants(self.connection).create(slug, name)

    async def tenant(self, slug: str) -> UUID:
        """Returns the id of a tenant; raises NotFound when there is none of this name."""
        return (await Tenants(self.connection).get(slug)).id

    async def create_collection(
        self, tenant_id: UUID, slug: str, name: str, *, approval_required: bool = False, language: str = "english"
    ) -> UUID:
        """Creates a collection that nobody may read yet."""
        collection_id = uuid7()
        try:
            await self.connection.execute(
                queries.add_collection, tenant_id, collection_id, slug, name, approval_required, language
            )
        except asyncpg.UniqueViolationError:
            message = f"there is a collection {slug!r} already"
            raise OperatorError(message) from None
        await self.record(tenant_id, CollectionChanged(collection=slug, approval_required=approval_required))
        return collection_id

    async def grant(
        self,
        tenant_id: UUID,
        collection: str,
        access: str,
        *,
        role: Role | None = None,
        principal_id: UUID | None = None,
    ) -> None:
        """Lets a role or a principal read or write a collection."""
        collection_id = await self.connection.fetchval(queries.collection, tenant_id, collection)
        if collection_id is None:
            message = f"there is no collection {collection!r}"
            raise OperatorError(message)
        if role is not None:
            await self.connection.execute(queries.grant_role, tenant_id, uuid7(), collection_id, role, access)
        else:
            await self.connection.execute(
                queries.grant_principal, tenant_id, uuid7(), collection_id, principal_id, access
            )
        granted = GrantChanged(collection=collection, access=access, role=role, principal=principal_id)
        await self.record(tenant_id, granted)

    async def create_user(self, tenant_id: UUID, username: str, password: str, roles: Iterable[Role]) -> UUID:
        """Creates a user; raises OperatorError for a name that is taken or a password that cannot be used."""
        user_id = uuid7()
        try:
            name, stored_hash = names.new(username), await passwords.hash_password_async(password)
            await self.connection.execute(queries.add_user, tenant_id, user_id, name, username.strip())
        except (passwords.UnacceptablePassword, names.UnacceptableName) as error:
            raise OperatorError(str(error)) from None
        except asyncpg.UniqueViolationError:
            message = f"there is a user {username!r} already"
            raise OperatorError(message) from None
        await self.connection.execute(queries.add_password, tenant_id, user_id, stored_hash)
        given = sorted(set(roles))
        for role in given:
            await self.connection.execute(queries.add_role, tenant_id, user_id, role)
        await self.record(tenant_id, UserChanged(id=user_id, roles=given))
        return user_id

    async def create_link(self, tenant_id: UUID, username: str) -> NewSecret:
        """Makes a link with which a user chooses a password within a day, and is a person of its own; raises OperatorError."""
        user_id = await self.connection.fetchval(queries.active_user, tenant_id, names.presented(username))
        if user_id is None:
            message = f"there is no active user {username!r}"
            raise OperatorError(message)
        secret = reset_links.mint(tenant_id)
        await self.connection.execute(
            queries.add_reset, tenant_id, uuid7(), user_id, secret.digest, reset_links.LIFETIME_SECONDS
        )
        await self.record(tenant_id, UserChanged(id=user_id, change="password_link"))
        return secret

    async def create_key(
        self, tenant_id: UUID, name: str, permissions: Iterable[Permission], collections: Iterable[str],
        expires_at: datetime | None = None, *, writable: Iterable[str] = (), owner: str | None = None,
        bounds: KeyBounds | None = None, key_id: UUID | None = None,
    ) -> str:  # fmt: skip
        """Creates an API key that may read collections, and write some, and returns it, the only time that it is shown.

        Its owner is the named user, else the first who can hand out all of its permissions; raises OperatorError for none.
        """
        key, key_id = api_keys.mint(tenant_id), key_id or uuid7()
        given, bounds = sorted(set(permissions)), bounds or KeyBounds()
        owner_id = await self._owner(tenant_id, given, owner)
        await self.connection.execute(
            queries.add_key, tenant_id, key_id, name, given, expires_at, owner_id, bounds.purpose, list(bounds.networks),
            bounds.per_minute, bounds.per_day, bounds.tokens_day, bounds.tokens_month, bounds.cost_day_micros,
            bounds.cost_month_micros, bounds.assertion_key,
        )  # fmt: skip
        await self.connection.execute(queries.add_key_secret, tenant_id, uuid7(), key_id, key.lookup_id, key.digest)
        for collection in collections:
            await self.grant(tenant_id, collection, "read", principal_id=key_id)
        for collection in writable:
            await self.grant(tenant_id, collection, "write", principal_id=key_id)
        created = KeyCreated(
            id=key_id, permissions=given, owner=owner_id, purpose=bounds.purpose, networks=list(bounds.networks) or None,
            requests_per_minute=bounds.per_minute, requests_per_day=bounds.per_day, tokens_day=bounds.tokens_day,
            tokens_month=bounds.tokens_month, cost_day_micros=bounds.cost_day_micros, cost_month_micros=bounds.cost_month_micros,
            expires_at=expires_at, signs_end_users=True if bounds.assertion_key else None,
        )  # fmt: skip
        await self.record(tenant_id, created)
        return key.plaintext

    async def _owner(self, tenant_id: UUID, given: Iterable[Permission], named: str | None) -> UUID:
        """Returns who answers for a new key; raises OperatorError."""
        wanted = frozenset(given)
        if refused := wanted & NOT_FOR_KEYS:
            raise OperatorError(f"no key may do this: {', '.join(sorted(refused))}")
        for row in await self.connection.fetch(queries.possible_owners, tenant_id, named and names.presented(named)):
            if permissions_of_key(wanted, map(Role, row["roles"])) == wanted:
                owner: UUID = row["id"]
                return owner
        who = f"{named!r}" if named else "nobody in the tenant"
        raise OperatorError(f"{who} can hand out {', '.join(sorted(wanted))}: name an owner who can, or give less")

    async def record(self, tenant_id: UUID, done: Details) -> None:
        """Records what the operator did to a tenant, in the open transaction."""
        await COMMAND_LINE.record(self.connection, tenant_id, done)


@asynccontextmanager
async def operator(owner_url: str) -> AsyncIterator[Operator]:
    """Opens one transaction of the owner."""
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
            yield Operator(connection)
    finally:
        await connection.close()
