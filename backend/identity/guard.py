"""What a route's signature says about its caller: `Annotated[Caller, Requires(Permission.X)]`."""

import ipaddress
from dataclasses import replace
from typing import Annotated, cast

import structlog
from fastapi import Depends, Header, Request
from fastapi.params import Depends as DependsMarker

from backend.errors import Unauthenticated
from backend.identity.caller import Caller, Origin, Resolver
from backend.identity.permissions import Permission
from backend.schema import Text


def origin_of(request: Request) -> Origin:
    """Returns request id and source address; a proxy's word for the address is taken only from trusted networks."""
    return Origin(request.state.request_id, _source_address(request))


async def current_caller(
    request: Request,
    on_behalf_of: Annotated[
        Text | None,
        Header(
            alias="X-On-Behalf-Of", max_length=4096, description="For an API key: the end user, or a signed assertion."
        ),
    ] = None,
) -> Caller:
    """Returns who is calling; raises Unauthenticated."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise Unauthenticated(reason="credentials:missing")
    resolver = cast("Resolver", request.app.state.resolver)
    caller = await resolver.resolve(credential, replace(origin_of(request), on_behalf_of=on_behalf_of))
    request.state.caller = caller
    structlog.contextvars.bind_contextvars(tenant=caller.tenant_slug, principal=str(caller.principal_id))
    return caller


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
    return cast("DependsMarker", Depends(RequiredPermission(permission)))


def _source_address(request: Request) -> str | None:
    peer = request.client.host if request.client else None
    trusted = request.app.state.trusted_proxies
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",") if part.strip()]
    address = peer
    # From the nearest hop outwards, for as long as the hop is a proxy of ours.
    while forwarded and address and _within(address, trusted):
        address = forwarded.pop()
    return address if address and _is_address(address) else peer


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _within(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return _is_address(address) and any(ipaddress.ip_address(address) in network for network in networks)
