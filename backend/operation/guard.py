"""Who may call the operator's routes: keys of the operator, which are good for nothing else."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from backend.database import Pool
from backend.errors import NotFound, Unauthenticated
from backend.identity.callers.guard import Handler, after, origin_of
from backend.operation import operator_keys
from backend.operation.tenants import OperatorActor
from backend.provided import of


class OperatorRoute(APIRoute):
    """A route that knows which system of the operator calls before it reads the body."""

    def get_route_handler(self) -> Handler:
        """Returns what answers a request."""
        return after(_identify, super().get_route_handler())


@dataclass(frozen=True, slots=True)
class OperatorDatabase:
    """Connections as the role `affidavit_operator`; no pool where the operator's API is not configured."""

    pool: "Pool | None"
    timeout: float  # seconds to wait for a connection


async def current_operator(request: Request) -> OperatorActor:
    """Returns which system of the operator is calling."""
    operator: OperatorActor = request.state.operator
    return operator


async def _identify(request: Request) -> None:
    """Raises Unauthenticated, or NotFound where there is no such API."""
    database = of(request, OperatorDatabase)
    if database.pool is None:
        raise NotFound("There is no such route.", reason="operator:not_configured")
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise Unauthenticated(reason="credentials:missing")
    address = origin_of(request).source_address
    request.state.operator = await operator_keys.resolve(database.pool, credential, address, timeout=database.timeout)


CurrentOperator = Annotated[OperatorActor, Depends(current_operator)]
