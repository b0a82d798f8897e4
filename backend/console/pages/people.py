"""Administration of people: who there is, what each may do and read, and links to choose a password."""

from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.audit.recorder import Recorder
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, may, requires, requires_fresh
from backend.documents.collections import service as collections
from backend.errors import InvalidInput
from backend.identity.callers.permissions import REVIEWING_ROLES, Permission, Role
from backend.identity.keys import service as keys
from backend.identity.users import service as users
from backend.identity.users.models import NewUser, PasswordLink, UserChange
from backend.provided import Provided
from backend.schema import Text
from backend.settings import Settings
from backend.tenancy import Tenancy

router = pages()

PEOPLE = "/console/administration"
GIVEN_BY_ADMINISTRATORS = [role for role in Role if role not in REVIEWING_ROLES]


@router.get("/administration")
async def list_people(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    q: Annotated[Text, Query(max_length=128)] = "",
    role: Annotated[Text, Query(max_length=20)] = "",
    cursor: Annotated[UUID | None, Query()] = None,
) -> Response:
    """Lists the tenant's people and their roles."""
    requires(visitor, Permission.USERS_MANAGE)
    wanted = Role(role) if role in set(Role) else None
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = await users.list_users(
            connection, visitor.caller, limit=50, cursor=cursor, named=q.strip() or None, role=wanted
        )
    return page(
        request, "people.html", visitor, found=found, chosen={"q": q, "role": role}, roles=users.roles().roles,
        given=GIVEN_BY_ADMINISTRATORS, invitation=None,
    )  # fmt: skip


@router.post("/administration/people")
async def add_person(
    request: Request,
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    username: Annotated[Text, Form(max_length=128)],
    display_name: Annotated[Text, Form(max_length=200)] = "",
    roles: Annotated[list[Role], Form()] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Adds a person, who chooses a password by a link that is shown once."""
    requires(visitor, Permission.USERS_MANAGE)
    if again := requires_fresh(visitor, PEOPLE):
        return again
    try:
        wanted = NewUser(username=username, display_name=display_name.strip() or None, roles=roles)
    except ValidationError as error:
        raise InvalidInput(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        created = await users.create_user(connection, visitor.caller, recorder, wanted, None, settings.public_url)
    return _link(request, visitor, created.display_name, created.invitation)


@router.get("/administration/people/{user_id}")
async def show_person(request: Request, visitor: Signed, tenancy: Provided[Tenancy], user_id: UUID) -> Response:
    """Shows a person: roles, what it reads and through what, and the keys that it answers for."""
    requires(visitor, Permission.USERS_MANAGE)
    caller = visitor.caller
    async with tenancy.transaction(caller.claims()) as connection:
        person = await users.get_user(connection, caller, user_id)
        owned = [key for key in (await keys.list_keys(connection, caller)).keys if key.owner == user_id]
        maker = person.counts_as and await users.get_user(connection, caller, person.counts_as)
        readable = []
        if may(visitor, Permission.COLLECTIONS_MANAGE):
            for view in (await collections.list_collections(connection, caller)).collections:
                readers = (await collections.list_readers(connection, caller, view.slug)).readers
                readable += [(view, reader) for reader in readers if reader.id == user_id]
    return page(
        request, "person.html", visitor, person=person, maker=maker, owned=owned, readable=readable,
        given=GIVEN_BY_ADMINISTRATORS, me=caller.principal_id, reviews=bool(REVIEWING_ROLES.intersection(person.roles)),
    )  # fmt: skip


@router.post("/administration/people/{user_id}/roles")
async def set_roles(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    user_id: UUID,
    roles: Annotated[list[Role], Form()] = [],  # noqa: B006
) -> Response:
    """Gives and takes roles."""
    requires(visitor, Permission.USERS_MANAGE)
    if again := requires_fresh(visitor, f"{PEOPLE}/people/{user_id}"):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        kept = REVIEWING_ROLES.intersection((await users.get_user(connection, visitor.caller, user_id)).roles)
        await users.set_roles(connection, visitor.caller, recorder, user_id, [*roles, *map(Role, sorted(kept))])
    return to(f"{PEOPLE}/people/{user_id}")


@router.post("/administration/people/{user_id}/status")
async def set_status(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    user_id: UUID,
    status: Annotated[Text, Form(max_length=10)],
) -> Response:
    """Disables somebody, or lets it sign in again."""
    requires(visitor, Permission.USERS_MANAGE)
    if again := requires_fresh(visitor, f"{PEOPLE}/people/{user_id}"):
        return again
    change = UserChange(status="disabled" if status == "disabled" else "active")
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await users.change_user(connection, visitor.caller, recorder, user_id, change)
    return to(f"{PEOPLE}/people/{user_id}")


@router.post("/administration/people/{user_id}/reset")
async def reset(
    request: Request,
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    user_id: UUID,
) -> Response:
    """Makes a link by which somebody chooses another password; it is shown once."""
    requires(visitor, Permission.USERS_MANAGE)
    if again := requires_fresh(visitor, f"{PEOPLE}/people/{user_id}"):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        link = await users.reset_password(connection, visitor.caller, recorder, user_id, settings.public_url)
        person = await users.get_user(connection, visitor.caller, user_id)
    return _link(request, visitor, person.display_name, link)


@router.post("/administration/people/{user_id}/vouch")
async def vouch(visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], user_id: UUID) -> Response:
    """Makes somebody a person of its own, on the visitor's word."""
    requires(visitor, Permission.USERS_MANAGE)
    if again := requires_fresh(visitor, f"{PEOPLE}/people/{user_id}"):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await users.vouch_for(connection, visitor.caller, recorder, user_id)
    return to(f"{PEOPLE}/people/{user_id}")


def _link(request: Request, visitor: Sender, name: str, link: PasswordLink | None) -> Response:
    return page(request, "invitation.html", visitor, person=name, link=link)
