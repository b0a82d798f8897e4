"""Administration of collections: their rules, who may use them by which grant, and what waits for a second person."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Form, Path, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.audit.recorder import Recorder
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, requires, requires_fresh
from backend.documents.collections import service as collections
from backend.documents.collections.models import CollectionChange, NewCollection, NewGrant
from backend.errors import InvalidInput
from backend.identity.callers.permissions import Permission, Role
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.models import Pending
from backend.identity.keys import service as keys
from backend.identity.users import service as users
from backend.personal_data.policy import Policy
from backend.provided import Provided
from backend.schema import Text
from backend.tenancy import Tenancy

router = pages()

COLLECTIONS = "/console/administration/collections"
Slug = Annotated[Text, Path(max_length=63)]


@router.get("/administration/collections")
async def list_collections(request: Request, visitor: Signed, tenancy: Provided[Tenancy]) -> Response:
    """Lists the tenant's collections and their rules."""
    requires(visitor, Permission.COLLECTIONS_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = (await collections.list_collections(connection, visitor.caller)).collections
    return page(request, "collections.html", visitor, found=found)


@router.post("/administration/collections")
async def create(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    slug: Annotated[Text, Form(max_length=63)],
    name: Annotated[Text, Form(max_length=200)],
    language: Annotated[Text, Form(max_length=32)] = "english",
    approvers: Annotated[int, Form(ge=0, le=9)] = 1,
    personal_data: Annotated[Policy, Form()] = Policy.TELL,
) -> Response:
    """Makes a collection, which nobody may read yet."""
    requires(visitor, Permission.COLLECTIONS_MANAGE)
    try:
        wanted = NewCollection(
            slug=slug.strip(), name=name.strip(), language=language, approval_required=approvers > 0,
            approvers=max(approvers, 1), personal_data=personal_data,
        )  # fmt: skip
    except ValidationError as error:
        raise InvalidInput(f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}") from error
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await collections.create_collection(connection, visitor.caller, recorder, wanted)
    return to(f"{COLLECTIONS}/{wanted.slug}")


@router.get("/administration/collections/{slug}")
async def show(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    slug: Slug,
    said: Annotated[Text, Query(max_length=20)] = "",
) -> Response:
    """Shows who may use a collection: by grant, and every person and key that does now."""
    requires(visitor, Permission.COLLECTIONS_MANAGE)
    caller = visitor.caller
    async with tenancy.transaction(caller.claims()) as connection:
        collection = await collections.get_collection(connection, caller, slug)
        grants = (await collections.list_grants(connection, caller, slug)).grants
        readers = (await collections.list_readers(connection, caller, slug)).readers
        people = (await users.list_users(connection, caller, limit=500)).users
        known = [key for key in (await keys.list_keys(connection, caller)).keys if key.revoked_at is None]
    grantees = [(f"role:{role.value}", role.value) for role in Role]
    grantees += [(str(one.id), one.display_name) for one in people] + [(str(one.id), one.name) for one in known]
    return page(
        request, "collection.html", visitor, collection=collection, grants=grants, readers=readers, grantees=grantees,
        said=said,
    )  # fmt: skip


@router.post("/administration/collections/{slug}/grants")
async def grant(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    slug: Slug,
    grantee: Annotated[Text, Form(max_length=64)],
    access: Annotated[Literal["read", "write"], Form()],
) -> Response:
    """Lets a role, a person or a key read or write."""
    requires(visitor, Permission.COLLECTIONS_MANAGE)
    if again := requires_fresh(visitor, f"{COLLECTIONS}/{slug}"):
        return again
    kind, _, role = grantee.partition(":")
    who = {"role": role} if kind == "role" else {"principal_id": grantee}
    try:
        wanted = NewGrant.model_validate({"access": access, **who})
    except ValidationError as error:
        raise InvalidInput("There is no such role, person or key.") from error
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await collections.grant(connection, visitor.caller, recorder, slug, wanted)
    return to(f"{COLLECTIONS}/{slug}")


@router.post("/administration/collections/{slug}/grants/{grant_id}/withdraw")
async def withdraw(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], slug: Slug, grant_id: UUID
) -> Response:
    """Ends a grant."""
    requires(visitor, Permission.COLLECTIONS_MANAGE)
    if again := requires_fresh(visitor, f"{COLLECTIONS}/{slug}"):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await collections.withdraw(connection, visitor.caller, recorder, slug, grant_id)
    return to(f"{COLLECTIONS}/{slug}")


@router.post("/administration/collections/{slug}/rules")
async def set_rules(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    slug: Slug,
    approvers: Annotated[int, Form(ge=0, le=9)],
    personal_data: Annotated[Policy, Form()],
) -> Response:
    """Changes how many must approve, and what is done about personal data; less of either needs a second person."""
    requires(visitor, Permission.COLLECTIONS_MANAGE)
    if again := requires_fresh(visitor, f"{COLLECTIONS}/{slug}"):
        return again
    change = CollectionChange(approval_required=approvers > 0, approvers=max(approvers, 1), personal_data=personal_data)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        changed = await collections.change_collection(connection, visitor.caller, recorder, slug, change)
    return to(f"{COLLECTIONS}/{slug}?said={'pending' if isinstance(changed, Pending) else 'changed'}")


@router.get("/waiting")
async def list_waiting(request: Request, visitor: Signed, tenancy: Provided[Tenancy]) -> Response:
    """Lists what the visitor asked for, or could join, that needs two people."""
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = (await joint_acts.list_requests(connection, visitor.caller)).requests
    return page(request, "waiting.html", visitor, found=found, me=visitor.caller.principal_id)


@router.post("/waiting/{request_id}/withdraw")
async def withdraw_request(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], request_id: UUID
) -> Response:
    """Takes back what the visitor asked for and nobody joined."""
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await joint_acts.withdraw(connection, visitor.caller, recorder, request_id)
    return to("/console/waiting")
