"""API keys."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, status

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.keys import service as keys
from backend.identity.keys.models import (
    CreatedKey,
    KeyChange,
    KeyList,
    KeySummary,
    NewKeyRequest,
    RotatedKey,
    RotateKeyRequest,
)
from backend.provided import Provided
from backend.tenancy import Tenancy

router = APIRouter(tags=["identity"], route_class=GuardedRoute)

KeyManager = Annotated[Caller, Requires(Permission.KEYS_MANAGE)]


@router.post("/auth/keys", status_code=status.HTTP_201_CREATED, summary="Create an API key")
async def create_key(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], body: NewKeyRequest, caller: KeyManager
) -> CreatedKey:
    """Creates a key and returns it once.

    At every request it may do what it was given, as far as its owner still may: reading, retrieving and answering can be handed
    out by whoever manages keys. It reads what it was given, as far as its owner still may.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await keys.create_key(connection, caller, recorder, body)


@router.get("/auth/keys", summary="List API keys")
async def list_keys(tenancy: Provided[Tenancy], caller: KeyManager) -> KeyList:
    """Returns the tenant's keys, without their secrets, newest first."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await keys.list_keys(connection, caller)


@router.patch("/auth/keys/{key_id}", summary="Change what bounds an API key, or hand it over")
async def change_key(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], key_id: UUID, body: KeyChange, caller: KeyManager
) -> KeySummary:
    """Changes what the body names. Keys of a disabled user wait until another administrator gives them an owner.

    A key that gets another owner stops opening: the owner before knows its secret. The new owner rotates it.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await keys.change_key(connection, caller, recorder, key_id, body)


@router.delete("/auth/keys/{key_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Revoke an API key")
async def revoke_key(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], key_id: UUID, caller: KeyManager
) -> None:
    """Ends a key; its next request is refused."""
    async with tenancy.transaction(caller.claims()) as connection:
        await keys.revoke_key(connection, caller, recorder, key_id)


@router.post("/auth/keys/{key_id}/rotate", summary="Give an API key another secret")
async def rotate_key(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], key_id: UUID, body: RotateKeyRequest, caller: KeyManager
) -> RotatedKey:
    """Returns a new secret once; the present one works on for the overlap. Only the key's owner can do this."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await keys.rotate_key(connection, caller, recorder, key_id, body.overlap_seconds)
