"""What SCIM's routes answer: resources with the attributes that are asked for, and pages of them."""

from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

from fastapi.responses import JSONResponse
from scim2_models import Context, ListResponse, Resource, ResponseParameters

from backend.errors import NotFound
from backend.gateways.scim.errors import MEDIA_TYPE
from backend.identity.provisioning.models import Window

MOST_RESULTS = 200
_M = TypeVar("_M", bound=Resource[Any])


class ScimResponse(JSONResponse):
    """A response in SCIM's media type."""

    media_type = MEDIA_TYPE


def identifier(text: str) -> UUID:
    """Returns the id that a path or a filter names; raises NotFound for what is none."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(reason="scim:id") from error


def shown(resource: Resource[Any], context: Context, attributes: str | None, excluded: str | None) -> dict[str, Any]:
    """Returns a resource with the attributes that are asked for."""
    wanted = parameters(type(resource), attributes, excluded)
    dumped: dict[str, Any] = resource.model_dump(scim_ctx=context, response_parameters=wanted)
    return dumped


def parameters(kind: type[_M], attributes: str | None, excluded: str | None) -> ResponseParameters[_M]:
    """Returns which attributes of a kind are asked for; raises ValidationError."""
    asked = {"attributes": attributes, "excludedAttributes": excluded}
    read: ResponseParameters[_M] = ResponseParameters[kind].model_validate(  # type: ignore[valid-type]
        {name: value for name, value in asked.items() if value}
    )
    return read


def window(start_index: int, count: int | None) -> Window:
    """Returns the part that a provider asks for; less than nothing is nothing."""
    wanted = MOST_RESULTS if count is None else max(count, 0)
    return Window(limit=min(wanted, MOST_RESULTS), offset=max(start_index, 1) - 1)


def created(resource: Resource[Any], attributes: str | None, excluded: str | None) -> ScimResponse:
    """Returns a new resource, and where it is."""
    assert resource.meta is not None
    body = shown(resource, Context.RESOURCE_CREATION_RESPONSE, attributes, excluded)
    return ScimResponse(body, status_code=HTTPStatus.CREATED, headers={"Location": str(resource.meta.location)})


def page(
    kind: type[Resource[Any]],
    resources: list[Any],
    total: int,
    part: Window,
    attributes: str | None,
    excluded: str | None,
) -> ScimResponse:
    """Returns resources of a kind as a page of a list."""
    listed = ListResponse[kind](  # type: ignore[valid-type]
        total_results=total, start_index=part.offset + 1, items_per_page=len(resources), resources=resources
    )
    wanted = parameters(kind, attributes, excluded)
    dumped = listed.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=wanted)
    return ScimResponse(dumped)
