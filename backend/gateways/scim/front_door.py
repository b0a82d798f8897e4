"""The door of tenants' identity providers."""

from fastapi import Request
from fastapi.responses import Response

from backend.errors import ServiceError
from backend.gateways.front_door import FrontDoor, WrongFields
from backend.gateways.scim import discovery, groups, users
from backend.gateways.scim.errors import PREFIX, error_response


def front_door() -> FrontDoor:
    """Returns the description of the door."""
    return FrontDoor(
        prefix=PREFIX,
        protocol="SCIM",
        tags={"scim": "A tenant's identity provider keeps its users and groups here (SCIM 2.0)."},
        routers=(users.router, groups.router, discovery.router),
        error_response=_error_response,
    )


def _error_response(_request: Request, error: ServiceError, _fields: WrongFields) -> Response:
    return error_response(error)
