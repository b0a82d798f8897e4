"""What all routes of SCIM have in common."""

from typing import Annotated, Any

from fastapi import Body, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from scim2_models import SCIMException

from backend.audit.events import DoorKind
from backend.gateways.scim.errors import MEDIA_TYPE, invalid, of_protocol
from backend.gateways.scim.resources import POLICY
from backend.gateways.scim.responses import MOST_RESULTS
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Handler, Requires
from backend.identity.callers.permissions import Permission

Provider = Annotated[Caller, Requires(Permission.SCIM_PROVISION)]
JsonBody = Annotated[dict[str, Any], Body(media_type=MEDIA_TYPE)]
ResourceId = Annotated[str, Path(max_length=100, description="The id that this service gave it.")]
Attributes = Annotated[
    str | None, Query(max_length=2_000, description="Which attributes to return, with commas between them.")
]
ExcludedAttributes = Annotated[
    str | None,
    Query(
        alias="excludedAttributes", max_length=2_000, description="Which attributes to leave out, such as `members`."
    ),
]
Filter = Annotated[str | None, Query(max_length=2_000, description='Such as `userName eq "x"`; `eq`, joined by `and`.')]
StartIndex = Annotated[
    int, Query(alias="startIndex", ge=-(2**31), lt=2**31, description="The first to return, from 1 on.")
]
Count = Annotated[
    int | None, Query(ge=-(2**31), lt=2**31, description=f"How many to return, {MOST_RESULTS} at most; 0 counts only.")
]


class ScimRoute(GuardedRoute):
    """A route of SCIM: it reads what providers send, and says what is wrong with it in SCIM's words."""

    door = DoorKind.SCIM

    def get_route_handler(self) -> Handler:
        """Returns what answers a request."""
        handler = super().get_route_handler()

        async def translated(request: Request) -> Response:
            try:
                with POLICY:
                    return await handler(request)
            except RequestValidationError as error:
                raise invalid(list(error.errors())) from error
            except (SCIMException, ValidationError) as error:
                raise of_protocol(error) from error

        return translated
