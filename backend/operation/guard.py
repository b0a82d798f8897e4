"""Who may call the operator's routes: keys of the operator, which are good for nothing else."""

from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from backend.database import Pool
from backend.errors import NotFound, Unauthenticated
from backend.identity.callers.guard import Handler, after, origin_of
from backend.operation import operator_keys
from backend.operation.tenants import OperatorActor


class OperatorRoute(APIRoute):
    """A route that knows which system of the operator calls before it reads the body."""

    def get_route_handler(self) -> Handler:
        """Returns what answers a request."""
        return after(_identify, super().get_route_handler())


async def current_operator(request: Request) -> OperatorActor:
    """Returns which system of the operator is calling."""
    return cast("OperatorActor", request.state.operator)


async def _identify(request: Request) -> None:
    """Raises Unauthenticated, or NotFound where there is no such API."""
    if request.app.state.operator_pool is None:
        raise NotFound("There is no such route.", reason="operator:not_configured")
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise Unauthenticated(reason="credentials:missing")
    pool, timeout = cast("Pool", request.app.state.operator_pool), request.app.state.settings.database_timeout
    address = origin_of(request).source_address
    request.state.operator = await operator_keys.resolve(pool, credential, address, timeout=timeout)


CurrentOperator = Annotated[OperatorActor, Depends(current_operator)]
