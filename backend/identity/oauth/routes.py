"""The hosts of programs that a tenant allows, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, status

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.oauth import hosts
from backend.identity.oauth.hosts import ClientHost, ClientHostList, HostName, NewClientHost
from backend.provided import Provided
from backend.tenancy import Tenancy

router = APIRouter(prefix="/auth/client-hosts", tags=["identity"], route_class=GuardedRoute)

KeyManager = Annotated[Caller, Requires(Permission.KEYS_MANAGE)]


@router.get("", summary="Hosts whose programs may ask to act for people")
async def list_client_hosts(tenancy: Provided[Tenancy], caller: KeyManager) -> ClientHostList:
    """Returns the hosts that the tenant allows, by name."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await hosts.list_hosts(connection, caller)


@router.post("", status_code=status.HTTP_201_CREATED, summary="Allow a host's programs")
async def allow_client_host(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], body: NewClientHost, caller: KeyManager
) -> ClientHost:
    """Lets people of the tenant allow programs of this host to read and ask in their name; 409 when it is allowed already.

    Such a program is an OAuth client whose id is the address of its description on that host.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await hosts.add_host(connection, caller, recorder, body.host)


@router.delete("/{host}", status_code=status.HTTP_204_NO_CONTENT, summary="Allow a host's programs no more")
async def remove_client_host(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], host: HostName, caller: KeyManager
) -> None:
    """Takes a host away; the sessions that its programs hold end at once."""
    async with tenancy.transaction(caller.claims()) as connection:
        await hosts.remove_host(connection, caller, recorder, host)
