"""The issuer that a tenant trusts, and the users here that the issuer's subjects are.

Users are found by issuer and subject, never by a name or address, which a provider may give to somebody else. Roles follow the
provider's groups at each sign-in.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.people import UserChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Unauthenticated
from backend.identity.callers.caller import Caller, Origin
from backend.identity.callers.permissions import Permission, Role
from backend.identity.sign_in.id_tokens import Identity
from backend.identity.users import service as users

queries = Queries.beside(__file__)

TOO_MANY_GROUPS = (
    "The identity provider left your groups out because they are too many (groups overage). "
    "Its administrator can limit the token to groups that are assigned to this application."
)
_NO_NAME = re.compile(r"[^a-z0-9._@+-]+")


@dataclass(frozen=True, slots=True)
class Issuer:
    """The provider that a tenant trusts, and what its groups mean there."""

    tenant_id: UUID
    tenant_slug: str
    id: UUID
    issuer: str
    client_id: str
    client_secret: str | None
    scopes: str
    groups_claim: str
    role_of_group: Mapping[str, str]
    creates_users: bool

    def roles(self, identity: Identity) -> list[Role]:
        """Returns the roles that the groups of an identity stand for; raises Unauthenticated when nobody knows its groups."""
        if identity.lacks_groups(self.groups_claim):
            raise Unauthenticated(TOO_MANY_GROUPS, reason="oidc:groups_overage")
        groups = identity.groups(self.groups_claim)
        return sorted({Role(role) for group, role in self.role_of_group.items() if group in groups})

    def caller(self, origin: Origin) -> Caller:
        """Returns the issuer as who manages its own users; that is how the tenant's log names it."""
        return Caller(
            tenant_id=self.tenant_id, tenant_slug=self.tenant_slug, principal_id=self.id, kind="issuer", name=self.issuer,
            request_id=origin.request_id, source_address=origin.source_address,
            permissions=frozenset({Permission.USERS_MANAGE}),
        )  # fmt: skip


async def admit(
    connection: Connection, caller: Caller, recorder: Recorder, issuer: Issuer, identity: Identity
) -> UUID | None:
    """Returns the user of an identity, with the roles of today; None when these are none.

    A user whom the provider keeps here has the roles of the groups that it keeps here, whatever the token says of them. Another
    is made at the first sign-in if the tenant wants that. Raises Unauthenticated for who is unknown or disabled, and for a token
    that is older than the last one of its subject: what it says of roles may be true no more.
    """
    await connection.execute(queries.one_at_a_time, str(issuer.id), identity.subject)
    subject = (issuer.tenant_id, issuer.id, identity.subject)
    user_id: UUID | None = await connection.fetchval(queries.external_user, *subject)
    kept: UUID | None = await connection.fetchval(
        queries.provisioned_user, issuer.tenant_id, issuer.id, user_id, _external_ids(identity)
    )
    if kept is not None:
        if user_id is None:
            await _link(connection, caller, recorder, issuer, identity, kept)
        return await _as_kept(connection, caller, issuer, identity, kept)
    roles = issuer.roles(identity)
    if user_id is None:
        if not issuer.creates_users:
            raise Unauthenticated(reason="user:unknown")
        if not roles:
            raise Unauthenticated(reason="user:no_role")
        user_id = await _create(connection, caller, recorder, issuer, identity)
    if await connection.fetchval(queries.note_issued, *subject, identity.issued_at) is None:
        raise Unauthenticated(reason="oidc:token:superseded")
    user = await users.get_user(connection, caller, user_id)
    if set(user.roles) != set(roles):
        await users.set_roles(connection, caller, recorder, user_id, roles)
    if user.status != "active":
        raise Unauthenticated(reason="user:disabled")
    return user_id if roles else None


async def _link(
    connection: Connection, caller: Caller, recorder: Recorder, issuer: Issuer, identity: Identity, user_id: UUID
) -> None:
    """Links a user whom the provider made here to the provider's subject, for good."""
    await connection.execute(queries.add_external_identity, issuer.tenant_id, issuer.id, identity.subject, user_id)
    await recorder.record(connection, caller, Event(UserChanged(id=user_id, change="linked")))


async def _as_kept(
    connection: Connection, caller: Caller, issuer: Issuer, identity: Identity, user_id: UUID
) -> UUID | None:
    subject = (issuer.tenant_id, issuer.id, identity.subject)
    if await connection.fetchval(queries.note_issued, *subject, identity.issued_at) is None:
        raise Unauthenticated(reason="oidc:token:superseded")
    user = await users.get_user(connection, caller, user_id)
    if user.status != "active":
        raise Unauthenticated(reason="user:disabled")
    return user_id if user.roles else None


def _external_ids(identity: Identity) -> list[str]:
    """Returns by which ids a provider may keep an identity: its subject; or Entra's own, whose subjects differ by client."""
    object_id = identity.claims.get("oid")
    return [identity.subject, *([object_id] if isinstance(object_id, str) else [])]


async def _create(
    connection: Connection, caller: Caller, recorder: Recorder, issuer: Issuer, identity: Identity
) -> UUID:
    """Makes a user under its readable name, or under one of its own if that name is taken."""
    user_id = uuid7()
    for username in (_username(issuer, identity.claims, identity.subject), _unique_name(issuer, identity.subject)):
        named = identity.claims.get("name")
        shown = named[:200] if isinstance(named, str) and named.isprintable() and named else username
        if await connection.fetchval(queries.add_provider_user, issuer.tenant_id, user_id, username, shown) is not None:
            break
    try:
        await connection.execute(queries.add_external_identity, issuer.tenant_id, issuer.id, identity.subject, user_id)
    except asyncpg.ForeignKeyViolationError as error:  # distrusted a moment ago
        raise Unauthenticated(reason="issuer:none") from error
    await recorder.record(connection, caller, Event(UserChanged(id=user_id, change="created", roles=[])))
    return user_id


def _username(issuer: Issuer, claims: Mapping[str, Any], subject: str) -> str:
    """Returns a readable name for a new user; it identifies nobody to the provider."""
    for claim in ("preferred_username", "email"):
        value = claims.get(claim)
        name = _NO_NAME.sub("-", value.lower()).strip("-._@+")[:128] if isinstance(value, str) else ""
        if name:
            return name
    return _unique_name(issuer, subject)


def _unique_name(issuer: Issuer, subject: str) -> str:
    return f"oidc-{hashlib.sha256(f'{issuer.issuer} {subject}'.encode()).hexdigest()[:20]}"
