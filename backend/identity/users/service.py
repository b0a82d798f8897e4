"""The rules of managing a tenant's users: nobody changes what they may do themselves, nor makes their own reviewers."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.events import Action, Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, Forbidden, InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import REVIEWING_ROLES, Role
from backend.identity.sign_in import passwords
from backend.identity.users.models import NewUser, UserChange, UserPage, UserView

queries = Queries.beside(__file__)

_BEFORE_ALL = UUID(int=0)


async def hash_password(password: str) -> str:
    """Returns the hash to store; raises InvalidInput for a password that cannot be used. Slow on purpose."""
    try:
        return await passwords.hash_password_async(password)
    except passwords.UnacceptablePassword as error:
        raise InvalidInput(f"password: {error}") from error


async def list_users(connection: Connection, caller: Caller, *, limit: int, cursor: UUID | None) -> UserPage:
    """Returns a page of the tenant's users, oldest first."""
    rows = await connection.fetch(queries.list_users, caller.tenant_id, cursor or _BEFORE_ALL, limit + 1)
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
    connection: Connection, caller: Caller, recorder: Recorder, wanted: NewUser, stored_hash: str
) -> UserView:
    """Creates a user who can sign in at once; raises Conflict for a name that is taken, Forbidden for a reviewing role."""
    user_id = uuid7()
    try:
        await connection.execute(
            queries.add_user, caller.tenant_id, user_id, wanted.username, wanted.display_name or wanted.username
        )
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"There is a user {wanted.username!r} already.", reason="user:exists") from error
    await connection.execute(queries.add_password, caller.tenant_id, user_id, stored_hash)
    await _give(connection, caller, user_id, wanted.roles)
    await _record(connection, caller, recorder, user_id, {"change": "created", "roles": sorted(set(wanted.roles))})
    return await get_user(connection, caller, user_id)


async def change_user(
    connection: Connection, caller: Caller, recorder: Recorder, user_id: UUID, change: UserChange
) -> UserView:
    """Changes name or status; a disabled user's next request is refused. Raises Forbidden for one's own status."""
    current = await get_user(connection, caller, user_id)
    if change.status is not None and user_id == caller.principal_id:
        raise Forbidden("You cannot enable or disable yourself.", reason="user:own")
    await connection.execute(
        queries.change_user, caller.tenant_id, user_id, change.display_name or current.display_name,
        change.status or current.status,
    )  # fmt: skip
    await _record(
        connection, caller, recorder, user_id,
        {"change": "changed", "changed": sorted(change.model_fields_set), "status": change.status or current.status},
    )  # fmt: skip
    return await get_user(connection, caller, user_id)


async def set_roles(
    connection: Connection, caller: Caller, recorder: Recorder, user_id: UUID, roles: Sequence[Role]
) -> UserView:
    """Gives and takes roles, from the user's next request on; raises Forbidden for one's own, and for reviewing ones."""
    current = await get_user(connection, caller, user_id)
    given, taken = set(roles) - set(current.roles), set(current.roles) - set(roles)
    await _give(connection, caller, user_id, given)
    for role in sorted(taken):
        ended = await connection.fetchrow(queries.take_role, caller.tenant_id, user_id, role)
        if ended is None:
            raise Forbidden("You cannot change your own roles.", reason="user:own")
        await connection.execute(queries.add_ended_role, caller.tenant_id, uuid7(), user_id, role, ended["created_at"])
    await _record(connection, caller, recorder, user_id, {"change": "roles", "roles": sorted(set(roles))})
    return await get_user(connection, caller, user_id)


async def _give(connection: Connection, caller: Caller, user_id: UUID, roles: set[Role] | Sequence[Role]) -> None:
    if caller.kind != "issuer" and (reviewing := REVIEWING_ROLES.intersection(roles)):
        detail = f"Only the operator or the tenant's identity provider gives the role {min(reviewing)}."
        raise Forbidden(detail, reason="role:reviewing")
    try:
        for role in sorted(set(roles)):
            await connection.execute(queries.give_role, caller.tenant_id, user_id, role)
    except asyncpg.InsufficientPrivilegeError as error:
        raise Forbidden("You cannot change your own roles.", reason="user:own") from error


async def _record(
    connection: Connection, caller: Caller, recorder: Recorder, user_id: UUID, described: dict[str, object]
) -> None:
    details = {"user": {"id": str(user_id), **described}}
    await recorder.record(connection, caller, Event(Action.USER_CHANGED, details=details))
