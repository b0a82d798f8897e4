"""Administration of API keys: whose they are, for what, within which limits, and when they were used."""

from typing import Annotated
from uuid import UUID

from fastapi import Form, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.audit.recorder import Recorder
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, requires, requires_fresh
from backend.documents.collections import service as collections
from backend.errors import InvalidInput
from backend.identity.callers.permissions import NOT_FOR_KEYS, Permission
from backend.identity.keys import service as keys
from backend.identity.keys.models import NewKeyRequest
from backend.identity.users import service as users
from backend.provided import Provided
from backend.schema import Text
from backend.tenancy import Tenancy

router = pages()

KEYS = "/console/administration/keys"
GRANTABLE = [permission for permission in Permission if permission not in NOT_FOR_KEYS]


@router.get("/administration/keys")
async def list_keys(request: Request, visitor: Signed, tenancy: Provided[Tenancy]) -> Response:
    """Lists the tenant's keys, and shows the form for another."""
    requires(visitor, Permission.KEYS_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = (await keys.list_keys(connection, visitor.caller)).keys
        people = await users.list_users(connection, visitor.caller, limit=500)
        readable = [
            v for v in (await collections.list_collections(connection, visitor.caller)).collections if v.readable
        ]
    names = {person.id: person.display_name for person in people.users}
    return page(
        request, "keys.html", visitor, found=found, names=names, permissions=GRANTABLE, collections=readable, made=None
    )


@router.post("/administration/keys")
async def make_key(
    request: Request,
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    name: Annotated[Text, Form(max_length=100)],
    purpose: Annotated[Text, Form(max_length=500)],
    permissions: Annotated[list[Permission], Form()],
    slugs: Annotated[list[Text], Form()] = [],  # noqa: B006 - FastAPI copies it
    per_minute: Annotated[Text, Form(max_length=9)] = "",
) -> Response:
    """Makes a key, which is shown once."""
    requires(visitor, Permission.KEYS_MANAGE)
    if again := requires_fresh(visitor, KEYS):
        return again
    try:
        wanted = NewKeyRequest(
            name=name, purpose=purpose.strip(), permissions=permissions, collections=slugs,
            requests_per_minute=int(per_minute) if per_minute.strip() else None,
        )  # fmt: skip
    except (ValidationError, ValueError) as error:
        raise InvalidInput("A name, a purpose of at least three letters, and limits as numbers are needed.") from error
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        made = await keys.create_key(connection, visitor.caller, recorder, wanted)
    return page(request, "made_key.html", visitor, made=made)


@router.post("/administration/keys/{key_id}/revoke")
async def revoke(visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], key_id: UUID) -> Response:
    """Ends a key, from the next request on."""
    requires(visitor, Permission.KEYS_MANAGE)
    if again := requires_fresh(visitor, KEYS):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await keys.revoke_key(connection, visitor.caller, recorder, key_id)
    return to(KEYS)
