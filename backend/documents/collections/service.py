"""The rules of collections and of who may read or write them."""

from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.events import Action, Event, without_nulls
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.documents.collections.metadata_schema import check_schema
from backend.documents.collections.models import (
    CollectionChange,
    CollectionList,
    CollectionView,
    GrantList,
    GrantView,
    NewCollection,
    NewGrant,
    Reader,
    ReaderList,
)
from backend.errors import Conflict, Forbidden, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.models import Pending
from backend.identity.joint_acts.service import JointAct

queries = Queries.beside(__file__)


async def list_collections(connection: Connection, caller: Caller) -> CollectionList:
    """Returns the collections that the caller sees: its own, or all to manage."""
    rows = await connection.fetch(queries.list_collections, caller.tenant_id)
    return CollectionList(collections=[_view(row, caller) for row in rows])


async def get_collection(connection: Connection, caller: Caller, slug: str) -> CollectionView:
    """Returns one collection; raises NotFound."""
    return _view(await _find(connection, caller, slug), caller)


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
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"There is a collection {wanted.slug!r} already.", reason="collection:exists") from error
    await _record_change(
        connection, caller, recorder, wanted.slug, wanted.model_dump(exclude={"slug", "metadata_schema"})
    )
    return await get_collection(connection, caller, wanted.slug)


async def change_collection(
    connection: Connection, caller: Caller, recorder: Recorder, slug: str, change: CollectionChange
) -> CollectionView | Pending:
    """Changes what is named; versions that were submitted before keep the approvals that they need.

    What asks for fewer approvals waits for a second person, with all else that is named.
    """
    current = await _find(connection, caller, slug)
    named = change.model_dump(exclude_unset=True)
    if (schema := named.get("metadata_schema")) is not None:
        check_schema(schema)
    settled = {name: named.get(name, current[name]) for name in CollectionChange.model_fields}
    if _relaxes(current, settled):
        wanted = {name: settled[name] for name in ("approval_required", "approvers")}
        pending = await joint_acts.ask(
            connection, caller, recorder, JointAct.COLLECTION_RELAX, current["id"], {**wanted, "changes": named}
        )
        if pending is not None:
            return pending
    await connection.execute(
        queries.change_collection, caller.tenant_id, current["id"], settled["name"], settled["approval_required"],
        settled["approvers"], settled["metadata_schema"], settled["refused_warnings"],
    )  # fmt: skip
    described = {name: value for name, value in named.items() if name != "metadata_schema"}
    await _record_change(connection, caller, recorder, slug, described | {"changed": sorted(named)})
    return await get_collection(connection, caller, slug)


async def list_grants(connection: Connection, caller: Caller, slug: str) -> GrantList:
    """Returns who may read or write a collection; raises NotFound."""
    collection = await _find(connection, caller, slug)
    rows = await connection.fetch(queries.list_grants, caller.tenant_id, collection["id"])
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
            collection["id"],
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
    await _record_grant(connection, caller, recorder, slug, wanted.model_dump(mode="json"), "granted")
    rows = await connection.fetch(queries.list_grants, caller.tenant_id, collection["id"])
    return next(GrantView(**dict(row)) for row in rows if row["id"] == grant_id)


async def withdraw(connection: Connection, caller: Caller, recorder: Recorder, slug: str, grant_id: UUID) -> None:
    """Ends a grant, from the very next request on; raises NotFound."""
    collection = await _find(connection, caller, slug)
    ended = await connection.fetchrow(queries.end_grant, caller.tenant_id, grant_id, collection["id"])
    if ended is None:
        raise NotFound(reason="grant:unknown")
    row = {name: ended[name] and str(ended[name]) for name in ("role", "principal_id", "access")}
    await connection.execute(
        queries.add_ended_grant, caller.tenant_id, grant_id, collection["id"], ended["principal_id"], ended["role"],
        ended["access"], ended["created_at"],
    )  # fmt: skip
    await _record_grant(connection, caller, recorder, slug, row, "withdrawn")


async def list_readers(connection: Connection, caller: Caller, slug: str) -> ReaderList:
    """Returns who reads or writes a collection now; raises NotFound."""
    collection = await _find(connection, caller, slug)
    rows = await connection.fetch(queries.list_readers, collection["id"])
    return ReaderList(readers=[Reader(**dict(row)) for row in rows])


def _relaxes(current: asyncpg.Record, settled: dict[str, Any]) -> bool:
    asks_for_less = not settled["approval_required"] or settled["approvers"] < current["approvers"]
    return bool(current["approval_required"] and asks_for_less)


async def _find(connection: Connection, caller: Caller, slug: str) -> asyncpg.Record:
    for row in await connection.fetch(queries.list_collections, caller.tenant_id):
        if row["slug"] == slug:
            return row
    raise NotFound(reason="collection:unknown")


def _view(row: asyncpg.Record, caller: Caller) -> CollectionView:
    return CollectionView(**dict(row), readable=row["id"] in caller.readable, writable=row["id"] in caller.writable)


async def _record_change(
    connection: Connection, caller: Caller, recorder: Recorder, slug: str, described: dict[str, Any]
) -> None:
    details = {"collection": slug, **without_nulls(described)}
    await recorder.record(connection, caller, Event(Action.COLLECTION_CHANGED, details=details))


async def _record_grant(
    connection: Connection, caller: Caller, recorder: Recorder, slug: str, grantee: dict[str, Any], change: str
) -> None:
    details = without_nulls(
        {
            "collection": slug, "access": grantee["access"], "role": grantee["role"], "principal": grantee["principal_id"],
            "change": change,
        }
    )  # fmt: skip
    await recorder.record(connection, caller, Event(Action.GRANT_CHANGED, details={"grant": details}))
