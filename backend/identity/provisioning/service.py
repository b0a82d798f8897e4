"""The users whom a tenant's provider keeps here: its word makes them, changes them, lets them in, and ends what they opened.

It sees and changes no others. Its users have no password: they sign in through the provider.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.people import UserChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Role
from backend.identity.provisioning.models import Person, ProvisionedUser, Reference, UserQuery, Window
from backend.identity.users import names
from backend.identity.users import service as users

queries = Queries.beside(__file__)

_ONE = Window(limit=1)


async def find_users(
    connection: Connection, caller: Caller, wanted: UserQuery, window: Window
) -> tuple[Sequence[ProvisionedUser], int]:
    """Returns the part of the provider's users that is asked for, and how many there are altogether."""
    named = None if wanted.user_name is None else names.presented(wanted.user_name)
    asked = (caller.tenant_id, caller.principal_id, wanted.id, named, wanted.external_id, wanted.display_name)
    rows = await connection.fetch(queries.find_users, *asked, max(window.limit, 1), window.offset)
    total = rows[0]["total"] if rows else await _count(connection, asked) if window.offset else 0
    return [_user(row) for row in rows[: window.limit]], total


async def _count(connection: Connection, asked: tuple[object, ...]) -> int:
    first = await connection.fetchrow(queries.find_users, *asked, 1, 0)
    return first["total"] if first else 0


async def get_user(connection: Connection, caller: Caller, user_id: UUID) -> ProvisionedUser:
    """Returns one of the provider's users; raises NotFound."""
    found, _ = await find_users(connection, caller, UserQuery(id=user_id), _ONE)
    if not found:
        raise NotFound(reason="scim:user")
    return found[0]


async def one_change_at_a_time(connection: Connection, caller: Caller) -> None:
    """Lets the provider's changes wait for each other, before what they change is read."""
    await connection.execute(queries.one_change_at_a_time, str(caller.principal_id))


async def create_user(connection: Connection, caller: Caller, recorder: Recorder, person: Person) -> ProvisionedUser:
    """Makes a user, or takes one over who signed in through the provider before; raises Conflict for a name that is taken."""
    await one_change_at_a_time(connection, caller)
    username = _username(person)
    user_id = await connection.fetchval(
        queries.known_subject, caller.tenant_id, caller.principal_id, person.external_id
    )
    known = user_id is not None
    user_id = user_id or uuid7()
    try:
        if not known:
            await connection.execute(queries.add_person, caller.tenant_id, user_id, username, person.display_name)
        await connection.execute(
            queries.add_user, caller.tenant_id, user_id, caller.principal_id, person.user_name, person.external_id,
            dict(person.attributes),
        )  # fmt: skip
        if known and not await connection.fetchval(queries.rename_user, user_id, username):
            raise NotFound(reason="scim:user")
    except asyncpg.UniqueViolationError as error:
        raise _taken(error) from error
    await _set_status(connection, caller, user_id, person)
    created = UserChanged(id=user_id, change="created", roles=[], status=_status(person))
    await recorder.record(connection, caller, Event(created))
    await settle_roles(connection, caller, recorder, [user_id])
    return await get_user(connection, caller, user_id)


async def change_user(
    connection: Connection, caller: Caller, recorder: Recorder, user: ProvisionedUser, person: Person
) -> ProvisionedUser:
    """Makes a user what the provider says of it now; who is inactive is signed out, with its keys, at once.

    Raises Conflict for a name that is taken. `user` is as it was read after `one_change_at_a_time`.
    """
    changed = _changed(user, person)
    if not changed:
        return user
    try:
        renamed = names.presented(person.user_name) != names.presented(user.user_name)
        if renamed and not await connection.fetchval(queries.rename_user, user.id, _username(person)):
            raise NotFound(reason="scim:user")
        await connection.execute(
            queries.change_user,
            caller.tenant_id,
            user.id,
            person.user_name,
            person.external_id,
            dict(person.attributes),
        )
    except asyncpg.UniqueViolationError as error:
        raise _taken(error) from error
    await _set_status(connection, caller, user.id, person)
    event = UserChanged(id=user.id, change="changed", changed=changed, status=_status(person))
    await recorder.record(connection, caller, Event(event))
    return await get_user(connection, caller, user.id)


def _changed(user: ProvisionedUser, person: Person) -> list[str]:
    """Returns the names of what the provider says differently now; not what it says, which is personal."""
    was = {**user.attributes, "userName": user.user_name, "externalId": user.external_id}
    now = {**person.attributes, "userName": person.user_name, "externalId": person.external_id}
    changed = {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)}
    return sorted(changed | {"active"} if user.active != person.active else changed)


async def delete_user(connection: Connection, caller: Caller, recorder: Recorder, user_id: UUID) -> None:
    """Forgets a user, what the provider said of it, its sessions and keys; raises NotFound. What it did stays on record."""
    await one_change_at_a_time(connection, caller)
    await get_user(connection, caller, user_id)
    await users.delete_user(connection, caller, recorder, user_id)
    await connection.execute(queries.remove_user, caller.tenant_id, user_id)


async def settle_roles(connection: Connection, caller: Caller, recorder: Recorder, people: Sequence[UUID]) -> None:
    """Gives and takes roles so that each has those that its groups stand for."""
    for row in await connection.fetch(queries.roles_to_settle, list(people)):
        await users.set_roles(connection, caller, recorder, row["user_id"], [Role(role) for role in row["has"]])


async def _set_status(connection: Connection, caller: Caller, user_id: UUID, person: Person) -> None:
    await connection.execute(queries.change_person, caller.tenant_id, user_id, person.display_name, _status(person))


def _status(person: Person) -> str:
    return "active" if person.active else "disabled"


def _username(person: Person) -> str:
    try:
        return names.new(person.user_name)
    except names.UnacceptableName as error:
        raise InvalidInput(f"userName: {error}") from error


def _taken(error: asyncpg.UniqueViolationError) -> Conflict:
    what = "externalId" if error.constraint_name == "provisioned_user_external_id" else "userName"
    return Conflict(f"{what}: another user of the tenant has it.", reason="scim:taken")


def _user(row: asyncpg.Record) -> ProvisionedUser:
    return ProvisionedUser(
        id=row["id"], user_name=row["user_name"], external_id=row["external_id"], active=row["active"],
        attributes=row["attributes"], groups=[Reference(UUID(group), name) for group, name in row["groups"]],
        created_at=row["created_at"], changed_at=row["changed_at"],
    )  # fmt: skip
