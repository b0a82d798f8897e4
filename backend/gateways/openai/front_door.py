"""The door of programs that speak OpenAI's API."""

from fastapi import Request
from fastapi.responses import Response

from backend.errors import ServiceError
from backend.gateways.front_door import FrontDoor, WrongFields
from backend.gateways.openai import batches, files, routes, vector_stores
from backend.gateways.openai.errors import error_response
from backend.identity.callers.admission import LaneName


def front_door() -> FrontDoor:
    """Returns the description of the door."""
    return FrontDoor(
        prefix="/v1",
        protocol="OpenAI's API",
        tags={"openai": "The protocol of OpenAI's clients."},
        routers=(routes.router, vector_stores.router, files.router, batches.router),
        error_response=_error_response,
        lanes={
            "/v1/chat/completions": LaneName.MODEL, "/v1/responses": LaneName.MODEL, "/v1/files": LaneName.TRANSFER,
        },
    )  # fmt: skip


def _error_response(request: Request, error: ServiceError, fields: WrongFields) -> Response:
    return error_response(error, request.state.request_id, fields)
