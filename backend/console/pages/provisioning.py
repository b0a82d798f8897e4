"""What the institution's own provider keeps here by SCIM: its people, its groups, and the bearers that it presents."""

from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from backend.audit.recorder import Recorder
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, requires, requires_fresh
from backend.identity.callers.permissions import Permission
from backend.identity.provisioning import overview
from backend.provided import Provided
from backend.tenancy import Tenancy

router = pages()

PROVISIONING = "/console/administration/provider"


@router.get("/administration/provider")
async def show(request: Request, visitor: Signed, tenancy: Provided[Tenancy]) -> Response:
    """Shows what the provider keeps, and its bearers to who manages keys."""
    requires(visitor, Permission.USERS_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        kept = await overview.provisioning(connection, visitor.caller)
    return page(request, "provisioning.html", visitor, kept=kept)


@router.post("/administration/provider/bearers/{bearer_id}/revoke")
async def revoke(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], bearer_id: UUID
) -> Response:  # fmt: skip
    """Ends a bearer, from its next request on."""
    requires(visitor, Permission.KEYS_MANAGE)
    if again := requires_fresh(visitor, PROVISIONING):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await overview.revoke_bearer(connection, visitor.caller, recorder, bearer_id)
    return to(PROVISIONING)
