"""What a route's signature says about its caller: `Annotated[Caller, Requires(Permission.X)]`."""

import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Annotated, Any

import structlog
from fastapi import Depends, Header, Request, Response
from fastapi.params import Depends as DependsMarker
from fastapi.routing import APIRoute

from backend.audit.events import DoorKind
from backend.errors import InvalidInput, Unauthenticated
from backend.identity.callers.addresses import TrustedProxies
from backend.identity.callers.caller import Caller, Door, Origin, Resolver
from backend.identity.callers.permissions import Permission
from backend.provided import of
from backend.schema import Text

_MAX_ON_BEHALF_OF = 4096
_PURPOSE = r"^[!-~][ -~]{1,498}[!-~]$"  # what every header can carry, and as long as a key's purpose
_MAX_CLIENT = 100  # characters of User-Agent on record

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def origin_of(request: Request) -> Origin:
    """Returns request id and source address; a proxy's word for the address is taken only from trusted networks."""
    peer = request.client.host if request.client else None
    forwarded_for = request.headers.get("x-forwarded-for", "")
    source = of(request, TrustedProxies).source_address(peer, forwarded_for)
    return Origin(request.state.request_id, source, door=_door_of(request))


def _door_of(request: Request) -> Door:
    route, client = request.scope.get("route"), request.headers.get("user-agent", "")
    kind = request.scope["state"].get("door") or (route.door if isinstance(route, GuardedRoute) else DoorKind.HTTP)
    return Door(kind, client[:_MAX_CLIENT] if client and client.isprintable() else None)


async def current_caller(
    request: Request,
    on_behalf_of: Annotated[
        Text | None,
        Header(
            alias="X-On-Behalf-Of",
            max_length=_MAX_ON_BEHALF_OF,
            description="For an API key: the end user, or a signed assertion.",
        ),
    ] = None,
    _purpose: Annotated[
        str | None,
        Header(
            alias="X-Purpose",
            pattern=_PURPOSE,
            description="What the request is for, as its record says it; name no person in it.",
        ),
    ] = None,
) -> Caller:
    """Returns who is calling, and what for; raises Unauthenticated, and InvalidInput."""
    return request.state.caller or await _identified(request, on_behalf_of)


async def _identified(request: Request, on_behalf_of: str | None) -> Caller:
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise Unauthenticated(reason="credentials:missing")
    origin = replace(origin_of(request), on_behalf_of=on_behalf_of)
    caller = await of(request, Resolver).resolve(credential, origin, request.state.access)
    caller = replace(caller, stated_purpose=_stated_purpose(request))
    request.state.caller = caller
    structlog.contextvars.bind_contextvars(tenant=caller.tenant_slug, principal=str(caller.principal_id))
    return caller


def _stated_purpose(request: Request) -> str | None:
    """Returns what the client says that its request is for; raises InvalidInput. It stands in a sealed record as it is."""
    stated = request.headers.get("x-purpose")
    if stated is None or re.fullmatch(_PURPOSE, stated):
        return stated
    raise InvalidInput("X-Purpose: must have 3 to 500 characters of ASCII, and no space at its ends")


class GuardedRoute(APIRoute):
    """A route that knows who calls before it reads the body: the framework would parse it first, for anybody."""

    door = DoorKind.HTTP

    def get_route_handler(self) -> Handler:
        """Returns what answers a request."""
        handler = super().get_route_handler()
        if self.body_field is None or not needs(self, current_caller):
            return handler
        return after(identify, handler)


def after(first: Callable[[Request], Awaitable[object]], handler: Handler) -> Handler:
    """Returns a handler that does something else first, such as to refuse."""

    async def guarded(request: Request) -> Response:
        await first(request)
        return await handler(request)

    return guarded


async def identify(request: Request) -> Caller:
    """Returns who is calling, for what is no route of the framework; raises Unauthenticated, and InvalidInput."""
    on_behalf_of = request.headers.get("x-on-behalf-of")
    if on_behalf_of is not None and len(on_behalf_of) > _MAX_ON_BEHALF_OF:
        message = f"X-On-Behalf-Of: must have at most {_MAX_ON_BEHALF_OF} characters"
        raise InvalidInput(message)
    return await _identified(request, on_behalf_of)


def needs(route: APIRoute, dependency: Callable[..., object]) -> bool:
    """Tells whether a route depends on something, be it through others."""
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        if dependant.call is dependency:
            return True
        waiting += dependant.dependencies
    return False


class RequiredPermission:
    """A dependency that lets only callers with a permission pass; None means any signed-in caller."""

    def __init__(self, permission: Permission | None) -> None:
        self.permission = permission

    async def __call__(self, caller: Annotated[Caller, Depends(current_caller)]) -> Caller:
        """Returns the caller; raises Forbidden. A plain function would be run in a thread."""
        if self.permission is not None:
            caller.require(self.permission)
        return caller


def Requires(permission: Permission | None = None) -> DependsMarker:  # noqa: N802 - reads like Depends in a signature
    """Marks the caller parameter of a route with the permission that it needs."""
    marker: DependsMarker = Depends(RequiredPermission(permission))
    return marker
