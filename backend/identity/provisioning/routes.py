"""Routes that show what a tenant's identity provider keeps here, and that end its bearer tokens."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.provisioning import overview
from backend.identity.provisioning.overview import Provisioning
from backend.provided import Provided
from backend.tenancy import Tenancy

router = APIRouter(prefix="/provisioning", tags=["users"], route_class=GuardedRoute)


@router.get("", summary="What the identity provider keeps here")
async def get_provisioning(
    tenancy: Provided[Tenancy], caller: Annotated[Caller, Requires(Permission.USERS_MANAGE)]
) -> Provisioning:
    """Returns how many users the provider keeps here by SCIM, its groups with how many of them are in each, and its bearers."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await overview.provisioning(connection, caller)


@router.delete("/bearers/{bearer_id}", status_code=HTTPStatus.NO_CONTENT, summary="End a bearer of the provider")
async def revoke_bearer(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], bearer_id: UUID,
    caller: Annotated[Caller, Requires(Permission.KEYS_MANAGE)],
) -> None:  # fmt: skip
    """Ends a bearer from its next request on. Only the operator makes another: who holds one says who reviews."""
    async with tenancy.transaction(caller.claims()) as connection:
        await overview.revoke_bearer(connection, caller, recorder, bearer_id)
