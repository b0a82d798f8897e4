"""The users of a tenant, for those who manage them."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request, status

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.users import service as users
from backend.identity.users.models import NewUser, RoleAssignment, UserChange, UserPage, UserView
from backend.tenancy import Tenancy

router = APIRouter(prefix="/users", tags=["users"], route_class=GuardedRoute)

Manager = Annotated[Caller, Requires(Permission.USERS_MANAGE)]


def _tenancy(request: Request) -> Tenancy:
    return cast("Tenancy", request.app.state.tenancy)


def _recorder(request: Request) -> Recorder:
    return cast("Recorder", request.app.state.recorder)


@router.get("", summary="List users")
async def list_users(
    request: Request,
    caller: Manager,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
) -> UserPage:
    """Returns the tenant's users with their roles, oldest first."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await users.list_users(connection, caller, limit=limit, cursor=cursor)


@router.post("", status_code=status.HTTP_201_CREATED, summary="Create a user")
async def create_user(request: Request, body: NewUser, caller: Manager) -> UserView:
    """Creates a user with a first password and roles."""
    stored_hash = await users.hash_password(body.password.get_secret_value())  # slow: no connection is held meanwhile
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await users.create_user(connection, caller, _recorder(request), body, stored_hash)


@router.get("/{user_id}", summary="One user")
async def get_user(request: Request, user_id: UUID, caller: Manager) -> UserView:
    """Returns a user with its roles."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await users.get_user(connection, caller, user_id)


@router.patch("/{user_id}", summary="Change or disable a user")
async def change_user(request: Request, user_id: UUID, body: UserChange, caller: Manager) -> UserView:
    """Changes what the body names. A disabled user's next request is refused."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await users.change_user(connection, caller, _recorder(request), user_id, body)


@router.put("/{user_id}/roles", summary="Set a user's roles")
async def set_roles(request: Request, user_id: UUID, body: RoleAssignment, caller: Manager) -> UserView:
    """Gives and takes roles, from the user's next request on.

    Nobody changes their own, and nobody is made a reviewer (`compliance`, `privacy`) by an administrator.
    """
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await users.set_roles(connection, caller, _recorder(request), user_id, body.roles)
