"""The rules of collections and of who may read or write them."""

from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.documents import CollectionChanged
from backend.audit.actions.people import GrantChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_row, fetch_rows
from backend.documents.collections.metadata_schema import check_schema
from backend.documents.collections.models import (
    CollectionChange,
    CollectionList,
    CollectionReader,
    CollectionView,
    GrantList,
    GrantView,
    NewCollection,
    NewGrant,
    ReaderList,
)
from backend.documents.tables import CollectionRow
from backend.errors import Conflict, Forbidden, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.models import Pending
from backend.identity.joint_acts.service import JointAct
from backend.personal_data.policy import Policy, strictest

queries = Queries.beside(__file__, collection=CollectionRow)


async def list_collections(connection: Connection, caller: Caller) -> CollectionList:
    """Returns the collections that the caller sees: its own, or all to manage."""
    rows = await fetch_rows(connection, CollectionRow, queries.list_collections, caller.tenant_id)
    return CollectionList(collections=[_view(row, caller) for row in rows])


async def get_collection(connection: Connection, caller: Caller, slug: str) -> CollectionView:
    """Returns one collection; raises NotFound."""
    return _view(await _find(connection, caller, slug), caller)


async def readable_collection(connection: Connection, caller: Caller, collection_id: UUID) -> CollectionView:
    """Returns a collection that the caller may read, by its id; raises NotFound."""
    row = await fetch_row(connection, CollectionRow, queries.collection, caller.tenant_id, collection_id, None)
    if row is None or row.id not in caller.readable:
        raise NotFound(reason="collection:unknown")
    return _view(row, caller)


async def create_collection(
    connection: Connection, caller: Caller, recorder: Recorder, wanted: NewCollection
) -> CollectionView:
    """Creates a collection that nobody may read yet; raises Conflict for a slug that is taken."""
    if wanted.metadata_schema is not None:
        check_schema(wanted.metadata_schema)
    try:
        await connection.execute(
            queries.add_collection, caller.tenant_id, uuid7(), wanted.slug, wanted.name, wanted.language,
            wanted.approval_required, wanted.approvers, wanted.metadata_schema, wanted.refused_warnings,
            wanted.personal_data,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"There is a collection {wanted.slug!r} already.", reason="collection:exists") from error
    created = CollectionChanged(
        collection=wanted.slug, name=wanted.name, language=wanted.language, approval_required=wanted.approval_required,
        approvers=wanted.approvers, refused_warnings=wanted.refused_warnings, personal_data=wanted.personal_data,
    )  # fmt: skip
    await recorder.record(connection, caller, Event(created))
    return await get_collection(connection, caller, wanted.slug)


async def change_collection(
    connection: Connection, caller: Caller, recorder: Recorder, slug: str, change: CollectionChange
) -> CollectionView | Pending:
    """Changes what is named; versions that were submitted before keep the approvals that they need.

    What asks for fewer approvals, or is less strict about personal data, waits for a second person, with all else that is named.
    """
    current = await _find(connection, caller, slug)
    named = change.model_dump(exclude_unset=True)
    if (schema := named.get("metadata_schema")) is not None:
        check_schema(schema)
    settled = {name: named.get(name, getattr(current, name)) for name in CollectionChange.model_fields}
    if _relaxes(current, settled):
        wanted = {name: settled[name] for name in ("approval_required", "approvers", "personal_data")}
        pending = await joint_acts.ask(
            connection, caller, recorder, JointAct.COLLECTION_RELAX, current.id, {**wanted, "changes": named}
        )
        if pending is not None:
            return pending
    await connection.execute(
        queries.change_collection, caller.tenant_id, current.id, settled["name"], settled["approval_required"],
        settled["approvers"], settled["metadata_schema"], settled["refused_warnings"],
        settled["personal_data"],
    )  # fmt: skip
    changed = CollectionChanged(
        collection=slug, name=named.get("name"), approval_required=named.get("approval_required"),
        approvers=named.get("approvers"), refused_warnings=named.get("refused_warnings"),
        personal_data=named.get("personal_data"), changed=sorted(named),
    )  # fmt: skip
    await recorder.record(connection, caller, Event(changed))
    return await get_collection(connection, caller, slug)


async def list_grants(connection: Connection, caller: Caller, slug: str) -> GrantList:
    """Returns who may read or write a collection; raises NotFound."""
    collection = await _find(connection, caller, slug)
    rows = await connection.fetch(queries.list_grants, caller.tenant_id, collection.id)
    return GrantList(grants=[GrantView(**dict(row)) for row in rows])


async def grant(connection: Connection, caller: Caller, recorder: Recorder, slug: str, wanted: NewGrant) -> GrantView:
    """Lets a role or a principal read or write; raises NotFound, Conflict, and Forbidden for a grant to itself.

    To itself is also to a key that it owns or knows, and to a user whose password it chose.
    """
    collection = await _find(connection, caller, slug)
    beyond_owner = False
    if wanted.principal_id is not None:
        grantee = await connection.fetchrow(queries.principal, caller.tenant_id, wanted.principal_id)
        if grantee is None:
            raise NotFound("There is no such principal that you may see.", reason="principal:unknown")
        beyond_owner = grantee["kind"] == "key" and caller.kind == "user" and not grantee["controlled"]
    grant_id = uuid7()
    try:
        await connection.execute(
            queries.add_grant,
            caller.tenant_id,
            grant_id,
            collection.id,
            wanted.principal_id,
            wanted.role,
            wanted.access,
            caller.owner_id or caller.principal_id,
            beyond_owner,
        )
    except asyncpg.UniqueViolationError as error:
        raise Conflict("This is granted already.", reason="grant:exists") from error
    except asyncpg.InsufficientPrivilegeError as error:
        detail = "You cannot grant access to yourself, nor to a key or user that you control: another person must."
        raise Forbidden(detail, reason="grant:own") from error
    granted = GrantChanged(
        collection=slug, access=wanted.access, role=wanted.role, principal=wanted.principal_id, change="granted"
    )
    await recorder.record(connection, caller, Event(granted))
    rows = await connection.fetch(queries.list_grants, caller.tenant_id, collection.id)
    return next(GrantView(**dict(row)) for row in rows if row["id"] == grant_id)


async def withdraw(connection: Connection, caller: Caller, recorder: Recorder, slug: str, grant_id: UUID) -> None:
    """Ends a grant, from the very next request on; raises NotFound."""
    collection = await _find(connection, caller, slug)
    ended = await connection.fetchrow(queries.end_grant, caller.tenant_id, grant_id, collection.id)
    if ended is None:
        raise NotFound(reason="grant:unknown")
    await connection.execute(
        queries.add_ended_grant, caller.tenant_id, grant_id, collection.id, ended["principal_id"], ended["role"],
        ended["access"], ended["created_at"],
    )  # fmt: skip
    withdrawn = GrantChanged(
        collection=slug, access=ended["access"], role=ended["role"], principal=ended["principal_id"], change="withdrawn"
    )
    await recorder.record(connection, caller, Event(withdrawn))


async def list_readers(connection: Connection, caller: Caller, slug: str) -> ReaderList:
    """Returns who reads or writes a collection now; raises NotFound."""
    collection = await _find(connection, caller, slug)
    rows = await connection.fetch(queries.list_readers, collection.id)
    return ReaderList(readers=[CollectionReader(**dict(row)) for row in rows])


def _relaxes(current: CollectionRow, settled: dict[str, Any]) -> bool:
    asks_for_less = not settled["approval_required"] or settled["approvers"] < current.approvers
    policy = Policy(settled["personal_data"])
    less_strict = strictest((Policy(current.personal_data), policy)) is not policy
    return bool(current.approval_required and asks_for_less) or less_strict


async def _find(connection: Connection, caller: Caller, slug: str) -> CollectionRow:
    row = await fetch_row(connection, CollectionRow, queries.collection, caller.tenant_id, None, slug)
    if row is None:
        raise NotFound(reason="collection:unknown")
    return row


def _view(row: CollectionRow, caller: Caller) -> CollectionView:
    shown = row.model_dump(exclude={"tenant_id"})
    return CollectionView(**shown, readable=row.id in caller.readable, writable=row.id in caller.writable)
