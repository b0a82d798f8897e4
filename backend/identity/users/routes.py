"""The users of a tenant, for those who manage them."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission, Role
from backend.identity.users import service as users
from backend.identity.users.models import (
    CreatedUser,
    NewUser,
    PasswordLink,
    RoleAssignment,
    RoleList,
    Status,
    UserChange,
    UserPage,
    UserView,
)
from backend.provided import Provided
from backend.schema import Text
from backend.settings import Settings
from backend.tenancy import Tenancy

router = APIRouter(prefix="/users", tags=["users"], route_class=GuardedRoute)

Manager = Annotated[Caller, Requires(Permission.USERS_MANAGE)]


@router.get("", summary="List users")
async def list_users(
    tenancy: Provided[Tenancy],
    caller: Manager,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
    status: Annotated[Status | None, Query(description="Unset means all but deleted ones.")] = None,
    role: Annotated[Role | None, Query(description="Who has this role.")] = None,
    q: Annotated[Text | None, Query(max_length=128, description="A part of the user name or display name.")] = None,
) -> UserPage:
    """Returns the tenant's users with their roles, oldest first."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await users.list_users(connection, caller, limit=limit, cursor=cursor, status=status, role=role, named=q)


@router.post("", status_code=HTTPStatus.CREATED, summary="Create a user")
async def create_user(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    body: NewUser,
    caller: Manager,
) -> CreatedUser:
    """Creates a user with roles, and a first password or a one-time link to choose one."""
    # Slow: no connection is held meanwhile.
    stored_hash = None if body.password is None else await users.hash_password(body.password.get_secret_value())
    async with tenancy.transaction(caller.claims()) as connection:
        return await users.create_user(connection, caller, recorder, body, stored_hash, settings.public_url)


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


@router.post("/{user_id}/reset", summary="Make a one-time link to choose a password")
async def reset_password(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    user_id: UUID,
    caller: Manager,
) -> PasswordLink:
    """Returns a link, once, with which the user chooses another password within a day; nobody chooses it for the user.

    All of the user's sessions end when it is used. Reviewers get theirs from the operator.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await users.reset_password(connection, caller, recorder, user_id, settings.public_url)


@router.post("/{user_id}/vouch", summary="Vouch for a user")
async def vouch_for(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], user_id: UUID, caller: Manager
) -> UserView:
    """Makes a user a person of its own who counted as another administrator: that one made it, or the link that set its password.

    Whoever vouches has spoken with this person, and heard that nobody else knows the password it chose; that is on record.
    Where two people are needed, it counts two minutes later.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await users.vouch_for(connection, caller, recorder, user_id)


@router.delete("/{user_id}", status_code=HTTPStatus.NO_CONTENT, summary="Delete a user")
async def delete_user(tenancy: Provided[Tenancy], recorder: Provided[Recorder], user_id: UUID, caller: Manager) -> None:
    """Takes roles, password, sessions and keys away for good and frees the name. What the user wrote and did stays on record."""
    async with tenancy.transaction(caller.claims()) as connection:
        await users.delete_user(connection, caller, recorder, user_id)


roles_router = APIRouter(tags=["users"], route_class=GuardedRoute)


@roles_router.get("/roles", summary="Roles and what they permit")
async def list_roles(caller: Annotated[Caller, Requires()]) -> RoleList:  # noqa: ARG001 - whoever is signed in
    """Returns the built-in roles."""
    return users.roles()
