"""The hosts whose programs a tenant's people may let act for them. There is none until somebody who manages keys adds one."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.audit.actions.sign_in import ClientHostChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, Forbidden, NotFound
from backend.identity.callers.caller import Caller
from backend.schema import ApiModel, Text

queries = Queries.beside(__file__)

HostName = Annotated[
    Text,
    Field(max_length=260, pattern=r"^[a-z0-9.-]{1,253}(:[0-9]{1,5})?$", examples=["claude.ai"]),
]


class NewClientHost(ApiModel):
    """A host to allow."""

    host: HostName = Field(description="As it stands in the address of the program's description, in small letters.")


class ClientHost(ApiModel):
    """A host that is allowed."""

    host: str = Field(examples=["claude.ai"])
    added_by: UUID = Field(description="Id of the user who allowed it.")
    added_at: datetime


class ClientHostList(ApiModel):
    """Allowed hosts by name."""

    hosts: list[ClientHost]


async def list_hosts(connection: Connection, caller: Caller) -> ClientHostList:
    """Returns the hosts that the tenant allows."""
    rows = await connection.fetch(queries.client_hosts, caller.tenant_id)
    return ClientHostList(hosts=[ClientHost(**dict(row)) for row in rows])


async def add_host(connection: Connection, caller: Caller, recorder: Recorder, host: str) -> ClientHost:
    """Allows a host; raises Conflict when it is allowed already, and Forbidden for a key."""
    _require_user(caller)
    if await connection.fetchval(queries.add_client_host, caller.tenant_id, host, caller.principal_id) is None:
        raise Conflict("host: is allowed already", reason="client_host:known")
    await recorder.record(connection, caller, Event(ClientHostChanged(host=host, change="allowed")))
    return next(known for known in (await list_hosts(connection, caller)).hosts if known.host == host)


async def remove_host(connection: Connection, caller: Caller, recorder: Recorder, host: str) -> None:
    """Allows a host no more, and ends the sessions of its programs; raises NotFound, and Forbidden for a key."""
    _require_user(caller)
    await connection.execute(queries.hosts_change, str(caller.tenant_id))
    if await connection.fetchval(queries.remove_client_host, caller.tenant_id, host) is None:
        raise NotFound(reason="client_host:unknown")
    ended = await connection.fetchval(queries.end_client_sessions, host)
    changed = ClientHostChanged(host=host, change="removed", ended_sessions=ended)
    await recorder.record(connection, caller, Event(changed))


def _require_user(caller: Caller) -> None:
    if caller.kind != "user":
        raise Forbidden("A key allows no programs.", reason="client_host:not_a_user")
