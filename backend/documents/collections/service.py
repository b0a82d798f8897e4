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
)
from backend.errors import Conflict, Forbidden, NotFound
from backend.identity.callers.caller import Caller

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
) -> CollectionView:
    """Changes what is named; versions that were submitted before keep the approvals that they need."""
    current = await _find(connection, caller, slug)
    named = change.model_dump(exclude_unset=True)
    if (schema := named.get("metadata_schema")) is not None:
        check_schema(schema)
    settled = {name: named.get(name, current[name]) for name in CollectionChange.model_fields}
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
    """Lets a role or a principal read or write; raises NotFound, Conflict, and Forbidden for a grant to itself."""
    collection = await _find(connection, caller, slug)
    if wanted.principal_id is not None:
        known = await connection.fetchval(queries.is_principal, caller.tenant_id, wanted.principal_id)
        if not known:
            raise NotFound("There is no such principal that you may see.", reason="principal:unknown")
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
        )
    except asyncpg.UniqueViolationError as error:
        raise Conflict("This is granted already.", reason="grant:exists") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise Forbidden("You cannot grant access to yourself.", reason="grant:own") from error
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
