"""Administration: people, keys, and who may read what."""

from fastapi import Request
from fastapi.responses import Response

from backend.console.page import Signed, page, requires
from backend.console.page import router as pages
from backend.documents.collections import service as collections
from backend.identity.callers.permissions import Permission
from backend.identity.keys import service as keys
from backend.identity.users import service as users
from backend.provided import Provided
from backend.tenancy import Tenancy

router = pages()


@router.get("/administration")
async def overview(request: Request, visitor: Signed, tenancy: Provided[Tenancy]) -> Response:
    """Shows the tenant's people and keys, and the grants of each collection."""
    requires(visitor, Permission.USERS_MANAGE)
    requires(visitor, Permission.KEYS_MANAGE)
    requires(visitor, Permission.COLLECTIONS_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        people = await users.list_users(connection, visitor.caller, limit=200, cursor=None)
        known_keys = await keys.list_keys(connection, visitor.caller)
        listed = (await collections.list_collections(connection, visitor.caller)).collections
        grants = {view.slug: await collections.list_grants(connection, visitor.caller, view.slug) for view in listed}
    return page(
        request, "administration.html", visitor, people=people, keys=known_keys, collections=listed, grants=grants
    )
