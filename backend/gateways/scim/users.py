"""Users of SCIM 2.0 (RFC 7644): whom a tenant's provider keeps here. Its bearer opens this door and no other."""

from functools import partial
from http import HTTPStatus

from fastapi import Response
from scim2_models import Context, PatchOp

from backend.audit.recorder import Recorder
from backend.gateways.front_door import DoorRouter
from backend.gateways.scim import description
from backend.gateways.scim.bounds import aside, check_operations
from backend.gateways.scim.conversion import person_of, user_resource
from backend.gateways.scim.description import asks, shows
from backend.gateways.scim.errors import PREFIX, RESPONSES
from backend.gateways.scim.filters import Readers, conditions
from backend.gateways.scim.resources import User
from backend.gateways.scim.responses import ScimResponse, created, identifier, page, shown, window
from backend.gateways.scim.route import (
    Attributes,
    Count,
    ExcludedAttributes,
    Filter,
    JsonBody,
    Provider,
    ResourceId,
    ScimRoute,
    StartIndex,
)
from backend.identity.provisioning import service
from backend.identity.provisioning.models import UserQuery
from backend.provided import Provided
from backend.settings import Settings
from backend.tenancy import Tenancy

router = DoorRouter(
    prefix=PREFIX, tags=["scim"], route_class=ScimRoute, responses=RESPONSES, default_response_class=ScimResponse
)

_FILTERS: Readers = {
    "id": ("id", identifier), "username": ("user_name", str), "externalid": ("external_id", str),
    "displayname": ("display_name", str),
}  # fmt: skip


@router.get("/Users", summary="List users", responses=shows(description.USERS))
async def list_users(
    tenancy: Provided[Tenancy], settings: Provided[Settings], caller: Provider, filter: Filter = None,  # noqa: A002 - RFC 7644
    start_index: StartIndex = 1, count: Count = None, attributes: Attributes = None,
    excluded_attributes: ExcludedAttributes = None,
) -> ScimResponse:  # fmt: skip
    """Returns users whom the provider keeps here, oldest first, deactivated ones too."""
    wanted, part = UserQuery(**conditions(filter, User, _FILTERS)), window(start_index, count)
    async with tenancy.transaction(caller.claims()) as connection:
        found, total = await service.find_users(connection, caller, wanted, part)
    resources = [user_resource(user, settings.public_url) for user in found]
    return page(User, resources, total, part, attributes, excluded_attributes)


@router.post(
    "/Users", status_code=HTTPStatus.CREATED, summary="Create a user",
    responses=shows(description.USER, HTTPStatus.CREATED), openapi_extra=asks(description.NEW_USER),
)  # fmt: skip
async def create_user(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], settings: Provided[Settings], body: JsonBody, caller: Provider,
    attributes: Attributes = None, excluded_attributes: ExcludedAttributes = None,
) -> ScimResponse:  # fmt: skip
    """Makes a user, who signs in through the provider. One who did so before, as the same `externalId`, is taken over."""
    person = person_of(User.model_validate(body, scim_ctx=Context.RESOURCE_CREATION_REQUEST))
    async with tenancy.transaction(caller.claims()) as connection:
        user = await service.create_user(connection, caller, recorder, person)
        return created(user_resource(user, settings.public_url), attributes, excluded_attributes)


@router.get("/Users/{scim_user_id}", summary="One user", responses=shows(description.USER))
async def get_user(
    tenancy: Provided[Tenancy], settings: Provided[Settings], scim_user_id: ResourceId, caller: Provider,
    attributes: Attributes = None, excluded_attributes: ExcludedAttributes = None,
) -> ScimResponse:  # fmt: skip
    """Returns a user whom the provider keeps here, also a deactivated one."""
    async with tenancy.transaction(caller.claims()) as connection:
        user = await service.get_user(connection, caller, identifier(scim_user_id))
    resource = user_resource(user, settings.public_url)
    return ScimResponse(shown(resource, Context.RESOURCE_QUERY_RESPONSE, attributes, excluded_attributes))


@router.put(
    "/Users/{scim_user_id}", summary="Replace what is said of a user",
    responses=shows(description.USER), openapi_extra=asks(description.NEW_USER),
)  # fmt: skip
async def replace_user(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], settings: Provided[Settings], scim_user_id: ResourceId,
    body: JsonBody, caller: Provider, attributes: Attributes = None, excluded_attributes: ExcludedAttributes = None,
) -> ScimResponse:  # fmt: skip
    """Keeps what the body says in place of what was kept. Who is not active any more is signed out, with its keys, at once."""
    replacement = User.model_validate(body, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
    async with tenancy.transaction(caller.claims()) as connection:
        await service.one_change_at_a_time(connection, caller)
        user = await service.get_user(connection, caller, identifier(scim_user_id))
        replacement.replace(user_resource(user, settings.public_url))
        user = await service.change_user(connection, caller, recorder, user, person_of(replacement, active=user.active))
        resource = user_resource(user, settings.public_url)
        return ScimResponse(shown(resource, Context.RESOURCE_REPLACEMENT_RESPONSE, attributes, excluded_attributes))


@router.patch(
    "/Users/{scim_user_id}", summary="Change a user",
    responses=shows(description.USER), openapi_extra=asks(description.USER_PATCH),
)  # fmt: skip
async def patch_user(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], settings: Provided[Settings], scim_user_id: ResourceId,
    body: JsonBody, caller: Provider, attributes: Attributes = None, excluded_attributes: ExcludedAttributes = None,
) -> ScimResponse:  # fmt: skip
    """Applies operations, all or none. Who is not active any more is signed out, with its keys, at once."""
    check_operations(body)
    patch = await aside(partial(PatchOp[User].model_validate, body, scim_ctx=Context.RESOURCE_PATCH_REQUEST))
    async with tenancy.transaction(caller.claims()) as connection:
        await service.one_change_at_a_time(connection, caller)
        user = await service.get_user(connection, caller, identifier(scim_user_id))
        resource = user_resource(user, settings.public_url)
        await aside(patch.patch, resource)
        user = await service.change_user(connection, caller, recorder, user, person_of(resource))
        resource = user_resource(user, settings.public_url)
        return ScimResponse(shown(resource, Context.RESOURCE_PATCH_RESPONSE, attributes, excluded_attributes))


@router.delete(
    "/Users/{scim_user_id}", status_code=HTTPStatus.NO_CONTENT, summary="Delete a user", response_class=Response
)
async def delete_user(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], scim_user_id: ResourceId, caller: Provider
) -> None:
    """Takes roles, sessions and keys away for good, and forgets what was said of the user. What it did stays on record."""
    async with tenancy.transaction(caller.claims()) as connection:
        await service.delete_user(connection, caller, recorder, identifier(scim_user_id))
