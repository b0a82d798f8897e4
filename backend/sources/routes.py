"""Sources over HTTP: from where documents come by themselves, and what each run brought."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import Field

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.schema import ApiModel
from backend.sources import service
from backend.sources.asking import SourceHosts
from backend.sources.models import (
    NewSource,
    NewSourceRun,
    RunDetails,
    RunPage,
    RunView,
    SourceChange,
    SourceList,
    SourceView,
)
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

router = APIRouter(prefix="/sources", tags=["sources"], route_class=GuardedRoute)

Keeper = Annotated[Caller, Requires(Permission.SOURCES_MANAGE)]


class RunQuery(ApiModel):
    """Page of the list of runs."""

    limit: int = Field(default=50, ge=1, le=500)
    cursor: UUID | None = Field(default=None, description="`next_cursor` of the page before.")


@router.post("", status_code=status.HTTP_201_CREATED, summary="Create a source")
async def create_source(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[FileVault], hosts: Provided[SourceHosts],
    body: NewSource, caller: Keeper,
) -> SourceView:  # fmt: skip
    """Lets documents of a collection come from a source by themselves.

    A run acts as the source, which may write to this one collection and nothing else. New versions go into review, where nobody
    who ever made or changed the source can approve them; what is gone there is asked to be retired, and never deleted.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.create_source(connection, caller, recorder, vault, hosts, body)


@router.get("", summary="List sources")
async def list_sources(tenancy: Provided[Tenancy], caller: Keeper) -> SourceList:
    """Returns the tenant's sources, newest first, with how their last run went."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.list_sources(connection, caller)


@router.get("/{source_id}", summary="A source")
async def get_source(tenancy: Provided[Tenancy], source_id: UUID, caller: Keeper) -> SourceView:
    """Returns a source, and how its last run went."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.get_source(connection, caller, source_id)


@router.patch("/{source_id}", summary="Change a source")
async def change_source(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[FileVault], hosts: Provided[SourceHosts],
    source_id: UUID, body: SourceChange, caller: Keeper,
) -> SourceView:  # fmt: skip
    """Changes what the body names; the caller answers for the source from then on. Credentials are for one host alone."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.change_source(connection, caller, recorder, vault, hosts, source_id, body)


@router.delete("/{source_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Delete a source")
async def delete_source(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], source_id: UUID, caller: Keeper
) -> None:
    """Lets nothing come from a source any more, and forgets its credentials; the documents that came stay."""
    async with tenancy.transaction(caller.claims()) as connection:
        await service.delete_source(connection, caller, recorder, source_id)


@router.post("/{source_id}/runs", status_code=status.HTTP_202_ACCEPTED, summary="Run a source")
async def run_source(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], source_id: UUID, body: NewSourceRun, caller: Keeper
) -> RunView:
    """Queues a run, or a dry run, which says what a run would do and changes nothing; 409 while another is not over."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.ask_run(tenancy, connection, caller, recorder, source_id, body)


@router.get("/{source_id}/runs", summary="Runs of a source")
async def list_source_runs(
    tenancy: Provided[Tenancy], source_id: UUID, query: Annotated[RunQuery, Query()], caller: Keeper
) -> RunPage:
    """Returns runs, newest first, with how many files were what."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.list_runs(connection, caller, source_id, limit=query.limit, cursor=query.cursor)


@router.get("/{source_id}/runs/{source_run_id}", summary="A run of a source")
async def get_source_run(
    tenancy: Provided[Tenancy], source_id: UUID, source_run_id: UUID, caller: Keeper
) -> RunDetails:
    """Returns a run, with what became of the first files that were not as before."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.get_run(connection, caller, source_id, source_run_id)
