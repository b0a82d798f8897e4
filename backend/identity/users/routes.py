"""The users of a tenant, for those who manage them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.users import service as users
from backend.identity.users.models import NewUser, RoleAssignment, UserChange, UserPage, UserView
from backend.provided import Provided
from backend.tenancy import Tenancy

router = APIRouter(prefix="/users", tags=["users"], route_class=GuardedRoute)

Manager = Annotated[Caller, Requires(Permission.USERS_MANAGE)]


@router.get("", summary="List users")
async def list_users(
    tenancy: Provided[Tenancy],
    caller: Manager,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
) -> UserPage:
    """Returns the tenant's users with their roles, oldest first."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await users.list_users(connection, caller, limit=limit, cursor=cursor)


@router.post("", status_code=status.HTTP_201_CREATED, summary="Create a user")
async def create_user(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], body: NewUser, caller: Manager
) -> UserView:
    """Creates a user with a first password and roles."""
    stored_hash = await users.hash_password(body.password.get_secret_value())  # slow: no connection is held meanwhile
    async with tenancy.transaction(caller.claims()) as connection:
        return await users.create_user(connection, caller, recorder, body, stored_hash)


@router.get("/{user_id}", summary="One user")
async def get_user(tenancy: Provided[Tenancy], user_id: UUID, caller: Manager) -> UserView:
    """Returns a user with its roles."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await users.get_user(connection, caller, user_id)


@router.patch("/{user_id}", summary="Change or disable a user")
async def change_user(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], user_id: UUID, body: UserChange, caller: Manager
) -> UserView:
    """Changes what the body names. A disabled user's next request is refused."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await users.change_user(connection, caller, recorder, user_id, body)


@router.put("/{user_id}/roles", summary="Set a user's roles")
async def set_roles(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], user_id: UUID, body: RoleAssignment, caller: Manager
) -> UserView:
    """Gives and takes roles, from the user's next request on.

    Nobody changes their own, and nobody is made a reviewer (`compliance`, `privacy`) by an administrator.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await users.set_roles(connection, caller, recorder, user_id, body.roles)
