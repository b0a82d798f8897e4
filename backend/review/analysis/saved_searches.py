"""Searches that a reviewer comes back to; everyone has their own.

They hold no words to search texts for: those can be personal, and here they would stand outside the encryption.
"""

from pathlib import Path
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.review import SearchDeleted, SearchSaved
from backend.audit.events import Actor, Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, NotFound
from backend.review.analysis.models import NewSavedSearch, SavedSearch, SavedSearchList
from backend.review.events.models import EventFilters

queries = Queries(Path(__file__).with_name("saved_searches.sql"))

MOST = 200  # of one reviewer


async def save(connection: Connection, actor: Actor, recorder: Recorder, wanted: NewSavedSearch) -> SavedSearch:
    """Keeps a search under a name; raises Conflict when the caller uses the name already, or has 200."""
    if await connection.fetchval(queries.count, actor.tenant_id, actor.principal_id) >= MOST:
        raise Conflict(f"You have {MOST} saved searches; delete one first.", reason="search:too_many")
    search_id = uuid7()
    filters = wanted.filters.model_dump(mode="json", by_alias=True, exclude_none=True)
    try:
        await connection.execute(queries.save, actor.tenant_id, search_id, wanted.name, filters, actor.principal_id)
    except asyncpg.UniqueViolationError as error:
        raise Conflict("name: you have a search of this name already", reason="search:name") from error
    await recorder.record(connection, actor, Event(SearchSaved(id=search_id)))
    return next(search for search in await _of(connection, actor) if search.id == search_id)


async def list_saved(connection: Connection, actor: Actor) -> SavedSearchList:
    """Returns the caller's searches by name."""
    return SavedSearchList(searches=await _of(connection, actor))


async def get(connection: Connection, actor: Actor, search_id: UUID) -> EventFilters:
    """Returns the filters of one of the caller's searches; raises NotFound."""
    found = next((search for search in await _of(connection, actor) if search.id == search_id), None)
    if found is None:
        raise NotFound(reason="search:unknown")
    return EventFilters.model_validate(found.filters)


async def delete(connection: Connection, actor: Actor, recorder: Recorder, search_id: UUID) -> None:
    """Forgets one of the caller's searches; raises NotFound."""
    if await connection.fetchval(queries.delete, actor.tenant_id, actor.principal_id, search_id) is None:
        raise NotFound(reason="search:unknown")
    await recorder.record(connection, actor, Event(SearchDeleted(id=search_id)))


async def _of(connection: Connection, actor: Actor) -> list[SavedSearch]:
    rows = await connection.fetch(queries.saved, actor.tenant_id, actor.principal_id)
    return [SavedSearch(**dict(row)) for row in rows]
