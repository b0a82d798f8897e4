"""Administration of sources: from where documents come by themselves, how the last runs fared, and what each brought."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import Response

from backend.audit.recorder import Recorder
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.sources import service as sources
from backend.sources.models import NewSourceRun
from backend.tenancy import Tenancy

router = pages()

SOURCES = "/console/administration/sources"
_SHOWN = 50


@router.get("/administration/sources")
async def list_sources(request: Request, visitor: Signed, tenancy: Provided[Tenancy]) -> Response:
    """Lists the tenant's sources, and how their last run went."""
    requires(visitor, Permission.SOURCES_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = (await sources.list_sources(connection, visitor.caller)).sources
    return page(request, "origins.html", visitor, found=found)


@router.get("/administration/sources/{source_id}")
async def show_source(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], source_id: UUID,
    cursor: Annotated[UUID | None, Query()] = None,
) -> Response:  # fmt: skip
    """Shows a source, and its runs."""
    requires(visitor, Permission.SOURCES_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        source = await sources.get_source(connection, visitor.caller, source_id)
        found = await sources.list_runs(connection, visitor.caller, source_id, limit=_SHOWN, cursor=cursor)
    return page(request, "origin.html", visitor, source=source, found=found)


@router.get("/administration/sources/{source_id}/runs/{source_run_id}")
async def show_run(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], source_id: UUID, source_run_id: UUID
) -> Response:
    """Shows what a run brought, and what it did not take."""
    requires(visitor, Permission.SOURCES_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        source = await sources.get_source(connection, visitor.caller, source_id)
        run = await sources.get_run(connection, visitor.caller, source_id, source_run_id)
    return page(request, "origin_run.html", visitor, source=source, run=run)


@router.post("/administration/sources/{source_id}/runs")
async def run_source(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], source_id: UUID
) -> Response:
    """Has a source looked at now."""
    requires(visitor, Permission.SOURCES_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await sources.ask_run(tenancy, connection, visitor.caller, recorder, source_id, NewSourceRun())
    return to(f"{SOURCES}/{source_id}")
