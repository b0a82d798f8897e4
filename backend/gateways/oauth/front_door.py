"""The door at which programs get tokens to act for people."""

from fastapi import Request
from fastapi.responses import Response

from backend.errors import ServiceError
from backend.gateways.front_door import FrontDoor, WrongFields
from backend.gateways.oauth.errors import error_response
from backend.gateways.oauth.routes import router
from backend.identity.callers.admission import LaneName


def front_door() -> FrontDoor:
    """Returns the description of the door."""
    return FrontDoor(
        prefix="/oauth",
        protocol="OAuth",
        tags={"oauth": "Consent of people to agents that act for them."},
        routers=(router,),
        error_response=_error_response,
        lanes={"/oauth/": LaneName.SIGN_IN},
    )


def _error_response(request: Request, error: ServiceError, fields: WrongFields) -> Response:
    return error_response(error, request.state.request_id, fields)
