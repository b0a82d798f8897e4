"""The rules of managing a tenant's users: nobody changes what they may do themselves, nor makes their own reviewers."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.people import UserChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, Forbidden, InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import REVIEWING_ROLES, ROLE_PERMISSIONS, Role
from backend.identity.sign_in import passwords, reset_links
from backend.identity.users.models import (
    CreatedUser,
    NewUser,
    PasswordLink,
    RoleList,
    RoleView,
    UserChange,
    UserPage,
    UserView,
)

queries = Queries.beside(__file__)

_BEFORE_ALL = UUID(int=0)
_OWN_ROLES = "You cannot change your own roles, nor those of the administrator as whom you count."
_OWN_STATUS = "You cannot enable or disable yourself, nor the administrator as whom you count."


async def hash_password(password: str) -> str:
    """Returns the hash to store; raises InvalidInput for a password that cannot be used. Slow on purpose."""
    try:
        return await passwords.hash_password_async(password)
    except passwords.UnacceptablePassword as error:
        raise InvalidInput(f"password: {error}") from error


def roles() -> RoleList:
    """Returns all roles and what they permit."""
    return RoleList(
        roles=[
            RoleView(
                role=role, permissions=sorted(permissions),
                given_by="operator" if role in REVIEWING_ROLES else "administrators",
            )
            for role, permissions in ROLE_PERMISSIONS.items()
        ]
    )  # fmt: skip


async def list_users(
    connection: Connection, caller: Caller, *, limit: int, cursor: UUID | None = None, status: str | None = None,
    named: str | None = None, role: Role | None = None,
) -> UserPage:  # fmt: skip
    """Returns a page of the tenant's users, oldest first; `named` is looked for in both names of each."""
    rows = await connection.fetch(
        queries.list_users, caller.tenant_id, cursor or _BEFORE_ALL, limit + 1, status, named, role
    )
    return UserPage(
        users=[UserView(**dict(row)) for row in rows[:limit]],
        next_cursor=rows[limit - 1]["id"] if len(rows) > limit else None,
    )


async def get_user(connection: Connection, caller: Caller, user_id: UUID) -> UserView:
    """Returns one user of the tenant; raises NotFound."""
    row = await connection.fetchrow(queries.get_user, caller.tenant_id, user_id)
    if row is None:
        raise NotFound(reason="user:unknown")
    return UserView(**dict(row))


async def create_user(
    connection: Connection,
    caller: Caller,
    recorder: Recorder,
    wanted: NewUser,
    stored_hash: str | None,
    public_url: str,
) -> CreatedUser:
    """Creates a user; raises Conflict for a name that is taken, Forbidden for a reviewing role.

    Without a password, the user gets a link to choose one. It counts as its maker until another administrator vouches for it.
    """
    user_id, shown = uuid7(), wanted.display_name or wanted.username
    try:
        await connection.execute(queries.add_user, caller.tenant_id, user_id, wanted.username, shown)
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"There is a user {wanted.username!r} already.", reason="user:exists") from error
    if stored_hash is not None:
        await connection.execute(queries.add_password, caller.tenant_id, user_id, stored_hash)
    await _give(connection, caller, user_id, wanted.roles)
    created = UserChanged(id=user_id, change="created", roles=sorted(set(wanted.roles)))
    await recorder.record(connection, caller, Event(created))
    invitation = None if stored_hash is not None else await _link(connection, caller, user_id, public_url)
    view = await get_user(connection, caller, user_id)
    return CreatedUser(**view.model_dump(), invitation=invitation)


async def reset_password(
    connection: Connection, caller: Caller, recorder: Recorder, user_id: UUID, public_url: str
) -> PasswordLink:
    """Returns a link with which a user chooses another password; raises Forbidden for oneself and for reviewers.

    Nothing changes before the link is used. Earlier links go on until one is used, or they expire.
    """
    user = await get_user(connection, caller, user_id)
    if user_id == caller.principal_id:
        raise Forbidden("You change your own password by POST /auth/password.", reason="user:own")
    if REVIEWING_ROLES.intersection(user.roles):
        detail = "Only the operator resets the password of who reviews what administrators do."
        raise Forbidden(detail, reason="role:reviewing")
    if user.status != "active":
        raise Conflict("The user is disabled.", reason="user:disabled")
    link = await _link(connection, caller, user_id, public_url)
    await recorder.record(connection, caller, Event(UserChanged(id=user_id, change="password_link")))
    return link


async def vouch_for(connection: Connection, caller: Caller, recorder: Recorder, user_id: UUID) -> UserView:
    """Makes a user a person of its own, on the caller's word; raises Conflict for one that is none to vouch for, and Forbidden.

    Nobody vouches for whom it made or gave a link. Secrets of keys that were made as this user end.
    """
    user = await get_user(connection, caller, user_id)
    if user.counts_as is None:
        raise Conflict("The user is a person of its own.", reason="user:own_person")
    if not await connection.fetchval(queries.vouch_for, user_id):
        detail = "Another administrator than the one as whom it counts vouches for a user, once the user has chosen a password."
        raise Forbidden(detail, reason="user:vouch")
    await recorder.record(connection, caller, Event(UserChanged(id=user_id, change="vouched")))
    return await get_user(connection, caller, user_id)


async def _link(connection: Connection, caller: Caller, user_id: UUID, public_url: str) -> PasswordLink:
    secret = reset_links.mint(caller.tenant_id)
    try:
        await connection.execute(
            queries.add_reset, caller.tenant_id, uuid7(), user_id, secret.digest, caller.principal_id,
            reset_links.LIFETIME_SECONDS,
        )  # fmt: skip
    except asyncpg.InsufficientPrivilegeError as error:
        detail = (
            "Only a person makes such a link, and not for a reviewer, for who signs in through the identity provider, or for "
            "the administrator as whom it counts."
        )
        raise Forbidden(detail, reason="user:link") from error
    expires_at = datetime.now(UTC) + timedelta(seconds=reset_links.LIFETIME_SECONDS)
    return PasswordLink(link=reset_links.address(public_url, secret), token=secret.plaintext, expires_at=expires_at)


async def change_user(
    connection: Connection, caller: Caller, recorder: Recorder, user_id: UUID, change: UserChange
) -> UserView:
    """Changes name or status; a disabled user's next request is refused. Raises Forbidden for one's own status."""
    current = await get_user(connection, caller, user_id)
    if current.status == "deleted":
        raise NotFound(reason="user:unknown")
    if change.status is not None and user_id == caller.principal_id:
        raise Forbidden(_OWN_STATUS, reason="user:own")
    try:
        await connection.execute(
            queries.change_user, caller.tenant_id, user_id, change.display_name or current.display_name,
            change.status or current.status,
        )  # fmt: skip
    except asyncpg.InsufficientPrivilegeError as error:
        raise Forbidden(_OWN_STATUS, reason="user:own") from error
    changed = UserChanged(
        id=user_id, change="changed", changed=sorted(change.model_fields_set), status=change.status or current.status
    )
    await recorder.record(connection, caller, Event(changed))
    return await get_user(connection, caller, user_id)


async def delete_user(connection: Connection, caller: Caller, recorder: Recorder, user_id: UUID) -> None:
    """Forgets a user: its name becomes free, and nothing signs it in; raises Forbidden for oneself, NotFound.

    Its keys end unless they were handed over before. What it wrote stays, and the log keeps naming it.
    """
    user = await get_user(connection, caller, user_id)
    if user.status == "deleted":
        raise NotFound(reason="user:unknown")
    if user_id == (caller.owner_id or caller.principal_id):
        raise Forbidden("You cannot delete yourself.", reason="user:own")
    await _take(connection, caller, user_id, user.roles)
    if not await connection.fetchval(queries.delete_user, user_id):
        raise NotFound(reason="user:unknown")
    await recorder.record(connection, caller, Event(UserChanged(id=user_id, change="deleted", roles=[])))


async def set_roles(
    connection: Connection, caller: Caller, recorder: Recorder, user_id: UUID, roles: Sequence[Role]
) -> UserView:
    """Gives and takes roles, from the user's next request on; raises Forbidden for one's own, and for reviewing ones."""
    current = await get_user(connection, caller, user_id)
    given, taken = set(roles) - set(current.roles), set(current.roles) - set(roles)
    await _give(connection, caller, user_id, given)
    await _take(connection, caller, user_id, taken)
    changed = UserChanged(id=user_id, change="roles", roles=sorted(set(roles)))
    await recorder.record(connection, caller, Event(changed))
    return await get_user(connection, caller, user_id)


async def _take(connection: Connection, caller: Caller, user_id: UUID, roles: Iterable[str]) -> None:
    for role in sorted(roles):
        ended = await connection.fetchrow(queries.take_role, caller.tenant_id, user_id, role)
        if ended is None:
            raise Forbidden(_OWN_ROLES, reason="user:own")
        await connection.execute(queries.add_ended_role, caller.tenant_id, uuid7(), user_id, role, ended["created_at"])


async def _give(connection: Connection, caller: Caller, user_id: UUID, roles: set[Role] | Sequence[Role]) -> None:
    if caller.kind != "issuer" and (reviewing := REVIEWING_ROLES.intersection(roles)):
        detail = f"Only the operator or the tenant's identity provider gives the role {min(reviewing)}."
        raise Forbidden(detail, reason="role:reviewing")
    try:
        for role in sorted(set(roles)):
            await connection.execute(queries.give_role, caller.tenant_id, user_id, role)
    except asyncpg.InsufficientPrivilegeError as error:
        raise Forbidden(_OWN_ROLES, reason="user:own") from error
