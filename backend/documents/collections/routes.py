"""Collections, and who may read or write them."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Path, Request, status

from backend.audit.recorder import Recorder
from backend.documents.collections import service as collections
from backend.documents.collections.models import (
    CollectionChange,
    CollectionList,
    CollectionView,
    GrantList,
    GrantView,
    NewCollection,
    NewGrant,
)
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.schema import Text
from backend.tenancy import Tenancy

router = APIRouter(prefix="/collections", tags=["collections"], route_class=GuardedRoute)

Reader = Annotated[Caller, Requires(Permission.DOCUMENTS_READ)]
Manager = Annotated[Caller, Requires(Permission.COLLECTIONS_MANAGE)]
Slug = Annotated[Text, Path(max_length=63, description="The collection's slug.")]


def _tenancy(request: Request) -> Tenancy:
    return cast("Tenancy", request.app.state.tenancy)


def _recorder(request: Request) -> Recorder:
    return cast("Recorder", request.app.state.recorder)


@router.get("", summary="List collections")
async def list_collections(request: Request, caller: Reader) -> CollectionList:
    """Returns the collections that the caller may read or write; all of them to who manages collections."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await collections.list_collections(connection, caller)


@router.post("", status_code=status.HTTP_201_CREATED, summary="Create a collection")
async def create_collection(request: Request, body: NewCollection, caller: Manager) -> CollectionView:
    """Creates a collection. Nobody may read it until that is granted."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await collections.create_collection(connection, caller, _recorder(request), body)


@router.get("/{slug}", summary="One collection")
async def get_collection(request: Request, slug: Slug, caller: Reader) -> CollectionView:
    """Returns a collection with its rules."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await collections.get_collection(connection, caller, slug)


@router.patch("/{slug}", summary="Change a collection")
async def change_collection(request: Request, slug: Slug, body: CollectionChange, caller: Manager) -> CollectionView:
    """Changes what the body names. Versions that are in review keep the number of approvals that they need."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await collections.change_collection(connection, caller, _recorder(request), slug, body)


@router.get("/{slug}/grants", summary="Who may use a collection")
async def list_grants(request: Request, slug: Slug, caller: Manager) -> GrantList:
    """Returns the grants that stand."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await collections.list_grants(connection, caller, slug)


@router.post("/{slug}/grants", status_code=status.HTTP_201_CREATED, summary="Grant access to a collection")
async def grant(request: Request, slug: Slug, body: NewGrant, caller: Manager) -> GrantView:
    """Lets a role, a user or a key read or write, from the next request on. Nobody grants anything to itself."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await collections.grant(connection, caller, _recorder(request), slug, body)


@router.delete("/{slug}/grants/{grant_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Withdraw a grant")
async def withdraw(request: Request, slug: Slug, grant_id: UUID, caller: Manager) -> None:
    """Ends a grant; the next request is without it."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        await collections.withdraw(connection, caller, _recorder(request), slug, grant_id)
