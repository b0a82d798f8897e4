"""The groups that a tenant's provider keeps here.

Which role a group stands for, the operator said when it trusted the provider.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.provisioning import GroupChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.provisioning.models import GroupQuery, ProvisionedGroup, Window
from backend.identity.provisioning.service import one_change_at_a_time, settle_roles

queries = Queries.beside(__file__)

_ONE = Window(limit=1)
_LISTED_MEMBERS = 100  # of those who came, and of those who went, in a record


async def find_groups(
    connection: Connection, caller: Caller, wanted: GroupQuery, window: Window, *, with_members: bool = True
) -> tuple[Sequence[ProvisionedGroup], int]:
    """Returns the part of the provider's groups that is asked for, and how many there are altogether."""
    asked = (caller.tenant_id, caller.principal_id, wanted.id, wanted.name, wanted.external_id, wanted.member)
    rows = await connection.fetch(queries.find_groups, *asked, max(window.limit, 1), window.offset)
    first = rows[0] if rows else await connection.fetchrow(queries.find_groups, *asked, 1, 0)
    shown = rows[: window.limit]
    members: dict[UUID, list[UUID]] = defaultdict(list)
    if with_members:
        for row in await connection.fetch(queries.members, caller.tenant_id, [row["id"] for row in shown]):
            members[row["group_id"]].append(row["user_id"])
    return [_group(row, members[row["id"]]) for row in shown], first["total"] if first else 0


async def get_group(
    connection: Connection, caller: Caller, group_id: UUID, *, with_members: bool = True
) -> ProvisionedGroup:
    """Returns one of the provider's groups; raises NotFound."""
    found, _ = await find_groups(connection, caller, GroupQuery(id=group_id), _ONE, with_members=with_members)
    if not found:
        raise NotFound(reason="scim:group")
    return found[0]


async def create_group(
    connection: Connection, caller: Caller, recorder: Recorder, name: str, external_id: str | None, members: set[UUID]
) -> ProvisionedGroup:
    """Makes a group; raises InvalidInput for a member whom the provider does not keep here."""
    await one_change_at_a_time(connection, caller)
    group_id = uuid7()
    await connection.execute(queries.add_group, caller.tenant_id, group_id, caller.principal_id, name, external_id)
    await _add_members(connection, caller, group_id, members)
    created = _told(GroupChanged(id=group_id, change="created", name=name), members, set())
    await recorder.record(connection, caller, Event(created))
    await settle_roles(connection, caller, recorder, sorted(members))
    return await get_group(connection, caller, group_id)


async def change_group(
    connection: Connection, caller: Caller, recorder: Recorder, group: ProvisionedGroup, name: str,
    external_id: str | None, members: set[UUID],
) -> ProvisionedGroup:  # fmt: skip
    """Makes a group what the provider says of it now, and its members' roles what their groups stand for.

    Raises InvalidInput for a member whom the provider does not keep here. `group` is as it was read after `one_change_at_a_time`.
    """
    before = set(group.members)
    added, removed = members - before, before - members
    named = [
        what
        for what, differs in (("name", name != group.name), ("external_id", external_id != group.external_id))
        if differs
    ]
    if not (named or added or removed):
        return group
    await connection.execute(queries.change_group, caller.tenant_id, group.id, name, external_id)
    await _add_members(connection, caller, group.id, added)
    await connection.execute(queries.remove_members, caller.tenant_id, group.id, sorted(removed))
    changed = _told(GroupChanged(id=group.id, change="changed", name=name, changed=named or None), added, removed)
    await recorder.record(connection, caller, Event(changed))
    await settle_roles(connection, caller, recorder, sorted(before | members if named else added | removed))
    return await get_group(connection, caller, group.id)


async def delete_group(connection: Connection, caller: Caller, recorder: Recorder, group_id: UUID) -> None:
    """Deletes a group, and takes the roles that only it stood for; raises NotFound."""
    await one_change_at_a_time(connection, caller)
    group = await get_group(connection, caller, group_id)
    members = set(group.members)
    await connection.execute(queries.remove_group, caller.tenant_id, group_id)
    deleted = _told(GroupChanged(id=group_id, change="deleted", name=group.name), set(), members)
    await recorder.record(connection, caller, Event(deleted))
    await settle_roles(connection, caller, recorder, sorted(members))


async def _add_members(connection: Connection, caller: Caller, group_id: UUID, members: set[UUID]) -> None:
    try:
        await connection.execute(queries.add_members, caller.tenant_id, group_id, sorted(members))
    except asyncpg.ForeignKeyViolationError as error:
        raise InvalidInput("members: one of them is no user of this provider here", reason="scim:member") from error


def _told(event: GroupChanged, added: set[UUID], removed: set[UUID]) -> GroupChanged:
    """Returns the record with who came and who went; of very many, the first."""
    came, went = sorted(added), sorted(removed)
    hidden = len(came[_LISTED_MEMBERS:]) + len(went[_LISTED_MEMBERS:])
    return replace(
        event, added=came[:_LISTED_MEMBERS] or None, removed=went[:_LISTED_MEMBERS] or None, more=hidden or None
    )


def _group(row: asyncpg.Record, members: Sequence[UUID]) -> ProvisionedGroup:
    return ProvisionedGroup(
        id=row["id"], name=row["display_name"], external_id=row["external_id"], members=members,
        created_at=row["created_at"], changed_at=row["changed_at"],
    )  # fmt: skip
