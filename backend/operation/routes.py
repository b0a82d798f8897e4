"""Tenants, for the operator's own systems. Nothing here shows what a tenant holds, or makes a credential of a tenant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request, status

from backend.database import transaction
from backend.operation.deployment_state import state
from backend.operation.guard import CurrentOperator, OperatorDatabase, OperatorRoute
from backend.operation.models import DeploymentState, Domain, NewTenant, Slug, TenantChange, TenantList, TenantView
from backend.operation.room import own_cell, refuse_full
from backend.operation.tenants import OperatorActor, TenantRow, Tenants
from backend.provided import Provided
from backend.settings import Settings
from backend.tenancy import Tenancy

router = APIRouter(prefix="/operator", tags=["operator"], route_class=OperatorRoute)

TenantSlug = Annotated[Slug, Path()]
DomainName = Annotated[Domain, Path(description="Of e-mail addresses, in any spelling.")]


@asynccontextmanager
async def _acting(request: Request, database: OperatorDatabase, operator: OperatorActor) -> AsyncIterator[Tenants]:
    assert database.pool is not None  # or the operator would not have been identified
    async with transaction(database.pool, timeout=database.timeout) as connection:
        yield Tenants(connection, operator, request.state.request_id)


def _view(tenant: TenantRow) -> TenantView:
    return TenantView(**tenant.told())


@router.get("/state", summary="Read how sealing and jobs go")
async def read_state(
    request: Request, database: Provided[OperatorDatabase], operator: CurrentOperator
) -> DeploymentState:
    """Returns how far the log is sealed, and how many jobs wait and run; of all tenants together."""
    async with _acting(request, database, operator) as tenants:
        return await state(tenants.connection)


@router.post("/tenants", status_code=status.HTTP_201_CREATED, summary="Create a tenant")
async def create_tenant(
    request: Request,
    database: Provided[OperatorDatabase],
    tenancy: Provided[Tenancy],
    body: NewTenant,
    operator: CurrentOperator,
) -> TenantView:
    """Creates a tenant with the collection `default`. Its first user is made at the command line, or by its identity provider."""
    async with _acting(request, database, operator) as tenants:
        await tenancy.homes.refresh()  # of limits that were given a moment ago
        await refuse_full(tenants.connection, own_cell(tenancy.homes))
        await tenants.create(body.slug, body.name or body.slug)
        return _view(await tenants.get(body.slug))


@router.get("/tenants", summary="List tenants")
async def list_tenants(request: Request, database: Provided[OperatorDatabase], operator: CurrentOperator) -> TenantList:
    """Returns every tenant, by slug."""
    async with _acting(request, database, operator) as tenants:
        return TenantList(tenants=[_view(row) for row in await tenants.list()])


@router.get("/tenants/{slug}", summary="Read a tenant")
async def read_tenant(
    request: Request, database: Provided[OperatorDatabase], slug: TenantSlug, operator: CurrentOperator
) -> TenantView:
    """Returns status and limits of a tenant."""
    async with _acting(request, database, operator) as tenants:
        return _view(await tenants.get(slug))


@router.patch("/tenants/{slug}", summary="Rename or limit a tenant")
async def change_tenant(
    request: Request,
    database: Provided[OperatorDatabase],
    slug: TenantSlug,
    body: TenantChange,
    operator: CurrentOperator,
) -> TenantView:
    """Changes the name, and how much the tenant and each of its principals may ask in a minute, from the next request on."""
    async with _acting(request, database, operator) as tenants:
        return _view(await tenants.change(slug, body.model_dump(exclude_unset=True)))


@router.put("/tenants/{slug}/domains/{domain}", summary="Give a tenant a domain")
async def add_domain(
    request: Request,
    database: Provided[OperatorDatabase],
    slug: TenantSlug,
    domain: DomainName,
    operator: CurrentOperator,
) -> TenantView:
    """Lets people name the tenant by this domain of their e-mail addresses when they sign in.

    It belongs to one tenant. That it is this one's, and no public provider's of mail, is for the operator to verify before.
    """
    async with _acting(request, database, operator) as tenants:
        return _view(await tenants.add_domain(slug, domain))


@router.delete("/tenants/{slug}/domains/{domain}", summary="Take a domain away from a tenant")
async def remove_domain(
    request: Request,
    database: Provided[OperatorDatabase],
    slug: TenantSlug,
    domain: DomainName,
    operator: CurrentOperator,
) -> TenantView:
    """Lets nobody name the tenant by this domain any more, from the next sign-in on. Sessions go on."""
    async with _acting(request, database, operator) as tenants:
        return _view(await tenants.remove_domain(slug, domain))


@router.post("/tenants/{slug}/suspend", summary="Suspend a tenant")
async def suspend_tenant(
    request: Request, database: Provided[OperatorDatabase], slug: TenantSlug, operator: CurrentOperator
) -> TenantView:
    """Refuses everything to the tenant's users and keys from the next request on, and keeps all that is the tenant's."""
    async with _acting(request, database, operator) as tenants:
        return _view(await tenants.suspend(slug))


@router.post("/tenants/{slug}/resume", summary="Resume a tenant")
async def resume_tenant(
    request: Request, database: Provided[OperatorDatabase], slug: TenantSlug, operator: CurrentOperator
) -> TenantView:
    """Lets a suspended tenant work again, and one that was deleted, as long as its time of grace runs."""
    async with _acting(request, database, operator) as tenants:
        return _view(await tenants.resume(slug))


@router.delete("/tenants/{slug}", status_code=status.HTTP_202_ACCEPTED, summary="Delete a tenant")
async def delete_tenant(
    request: Request,
    database: Provided[OperatorDatabase],
    settings: Provided[Settings],
    slug: TenantSlug,
    operator: CurrentOperator,
) -> TenantView:
    """Suspends the tenant and sets when `affidavit tenant purge` may delete all its rows; until then it can be resumed."""
    grace = timedelta(days=settings.deletion_grace_days)
    async with _acting(request, database, operator) as tenants:
        return _view(await tenants.delete(slug, grace))
