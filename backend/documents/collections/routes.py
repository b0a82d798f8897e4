"""Collections, and who may read or write them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, status
from fastapi.responses import JSONResponse

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
    ReaderList,
)
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.joint_acts.models import Pending
from backend.identity.joint_acts.routes import PENDING, accepted
from backend.provided import Provided
from backend.schema import Text
from backend.tenancy import Tenancy

router = APIRouter(prefix="/collections", tags=["collections"], route_class=GuardedRoute)

Reader = Annotated[Caller, Requires(Permission.DOCUMENTS_READ)]
Manager = Annotated[Caller, Requires(Permission.COLLECTIONS_MANAGE)]
Slug = Annotated[Text, Path(max_length=63, description="The collection's slug.")]


@router.get("", summary="List collections")
async def list_collections(tenancy: Provided[Tenancy], caller: Reader) -> CollectionList:
    """Returns the collections that the caller may read or write; all of them to who manages collections."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await collections.list_collections(connection, caller)


@router.post("", status_code=status.HTTP_201_CREATED, summary="Create a collection")
async def create_collection(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], body: NewCollection, caller: Manager
) -> CollectionView:
    """Creates a collection. Nobody may read it until that is granted."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await collections.create_collection(connection, caller, recorder, body)


@router.get("/{slug}", summary="One collection")
async def get_collection(tenancy: Provided[Tenancy], slug: Slug, caller: Reader) -> CollectionView:
    """Returns a collection with its rules."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await collections.get_collection(connection, caller, slug)


@router.patch("/{slug}", response_model=CollectionView, responses=PENDING, summary="Change a collection")
async def change_collection(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], slug: Slug, body: CollectionChange, caller: Manager
) -> CollectionView | JSONResponse:
    """Changes what the body names. Versions that are in review keep the number of approvals that they need.

    To ask for no approval, or for fewer, or to be less strict about personal data, needs two people: the first who asks changes
    nothing.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        changed = await collections.change_collection(connection, caller, recorder, slug, body)
    return accepted(changed) if isinstance(changed, Pending) else changed


@router.get("/{slug}/readers", summary="Who may read or write a collection")
async def list_readers(tenancy: Provided[Tenancy], slug: Slug, caller: Manager) -> ReaderList:
    """Returns every user and key that reads or writes the collection now, and by which grants."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await collections.list_readers(connection, caller, slug)


@router.get("/{slug}/grants", summary="Who may use a collection")
async def list_grants(tenancy: Provided[Tenancy], slug: Slug, caller: Manager) -> GrantList:
    """Returns the grants that stand."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await collections.list_grants(connection, caller, slug)


@router.post("/{slug}/grants", status_code=status.HTTP_201_CREATED, summary="Grant access to a collection")
async def grant(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], slug: Slug, body: NewGrant, caller: Manager
) -> GrantView:
    """Lets a role, a user or a key read or write, from the next request on. Nobody grants anything to itself."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await collections.grant(connection, caller, recorder, slug, body)


@router.delete("/{slug}/grants/{grant_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Withdraw a grant")
async def withdraw(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], slug: Slug, grant_id: UUID, caller: Manager
) -> None:
    """Ends a grant; the next request is without it."""
    async with tenancy.transaction(caller.claims()) as connection:
        await collections.withdraw(connection, caller, recorder, slug, grant_id)
