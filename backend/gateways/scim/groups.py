"""Groups of SCIM 2.0: who is in which decides who has which role."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import Response
from scim2_models import Context, PatchOp

from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.gateways.front_door import DoorRouter
from backend.gateways.scim import description
from backend.gateways.scim.bounds import aside, check_operations
from backend.gateways.scim.conversion import group_resource, members_of
from backend.gateways.scim.description import asks, shows
from backend.gateways.scim.errors import PREFIX, RESPONSES
from backend.gateways.scim.filters import Readers, conditions
from backend.gateways.scim.resources import Group
from backend.gateways.scim.responses import ScimResponse, created, identifier, page, parameters, shown, window
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
from backend.identity.callers.caller import Caller
from backend.identity.provisioning import groups, service
from backend.identity.provisioning.models import GroupQuery
from backend.provided import Provided
from backend.settings import Settings
from backend.tenancy import Tenancy

router = DoorRouter(
    prefix=PREFIX, tags=["scim"], route_class=ScimRoute, responses=RESPONSES, default_response_class=ScimResponse
)

_FILTERS: Readers = {
    "id": ("id", identifier), "displayname": ("name", str), "externalid": ("external_id", str),
    "members": ("member", identifier), "members.value": ("member", identifier),
}  # fmt: skip


@router.get("/Groups", summary="List groups", responses=shows(description.GROUPS))
async def list_groups(
    tenancy: Provided[Tenancy], settings: Provided[Settings], caller: Provider, filter: Filter = None,  # noqa: A002 - RFC 7644
    start_index: StartIndex = 1, count: Count = None, attributes: Attributes = None,
    excluded_attributes: ExcludedAttributes = None,
) -> ScimResponse:  # fmt: skip
    """Returns groups that the provider keeps here, oldest first. Leave out the members of large ones: they are not read then."""
    wanted, part = GroupQuery(**conditions(filter, Group, _FILTERS)), window(start_index, count)
    with_members = _asks_for_members(attributes, excluded_attributes)
    async with tenancy.transaction(caller.claims()) as connection:
        found, total = await groups.find_groups(connection, caller, wanted, part, with_members=with_members)
    resources = [group_resource(group, settings.public_url) for group in found]
    return page(Group, resources, total, part, attributes, excluded_attributes)


@router.post(
    "/Groups", status_code=HTTPStatus.CREATED, summary="Create a group",
    responses=shows(description.GROUP, HTTPStatus.CREATED), openapi_extra=asks(description.NEW_GROUP),
)  # fmt: skip
async def create_group(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], settings: Provided[Settings], body: JsonBody, caller: Provider,
    attributes: Attributes = None, excluded_attributes: ExcludedAttributes = None,
) -> ScimResponse:  # fmt: skip
    """Makes a group. Its members get the role that it stands for, if the operator said one when it trusted the provider."""
    wanted = await aside(partial(Group.model_validate, body, scim_ctx=Context.RESOURCE_CREATION_REQUEST))
    assert wanted.display_name is not None  # required
    async with tenancy.transaction(caller.claims()) as connection:
        group = await groups.create_group(
            connection, caller, recorder, wanted.display_name, wanted.external_id, members_of(wanted.members)
        )
        return created(group_resource(group, settings.public_url), attributes, excluded_attributes)


@router.get("/Groups/{scim_group_id}", summary="One group", responses=shows(description.GROUP))
async def get_group(
    tenancy: Provided[Tenancy], settings: Provided[Settings], scim_group_id: ResourceId, caller: Provider,
    attributes: Attributes = None, excluded_attributes: ExcludedAttributes = None,
) -> ScimResponse:  # fmt: skip
    """Returns a group that the provider keeps here."""
    with_members = _asks_for_members(attributes, excluded_attributes)
    async with tenancy.transaction(caller.claims()) as connection:
        group = await groups.get_group(connection, caller, identifier(scim_group_id), with_members=with_members)
    resource = group_resource(group, settings.public_url)
    return ScimResponse(shown(resource, Context.RESOURCE_QUERY_RESPONSE, attributes, excluded_attributes))


@router.put(
    "/Groups/{scim_group_id}", summary="Replace a group",
    responses=shows(description.GROUP), openapi_extra=asks(description.NEW_GROUP),
)  # fmt: skip
async def replace_group(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], settings: Provided[Settings], scim_group_id: ResourceId,
    body: JsonBody, caller: Provider, attributes: Attributes = None, excluded_attributes: ExcludedAttributes = None,
) -> ScimResponse:  # fmt: skip
    """Keeps what the body says in place of what was kept; its members' roles follow at once."""
    replacement = await aside(partial(Group.model_validate, body, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST))
    async with tenancy.transaction(caller.claims()) as connection:
        changed = await _changed_group(connection, caller, recorder, settings, scim_group_id, replacement)
        return ScimResponse(shown(changed, Context.RESOURCE_REPLACEMENT_RESPONSE, attributes, excluded_attributes))


@router.patch(
    "/Groups/{scim_group_id}", summary="Change a group",
    responses=shows(description.GROUP), openapi_extra=asks(description.GROUP_PATCH),
)  # fmt: skip
async def patch_group(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], settings: Provided[Settings], scim_group_id: ResourceId,
    body: JsonBody, caller: Provider, attributes: Attributes = None, excluded_attributes: ExcludedAttributes = None,
) -> ScimResponse:  # fmt: skip
    """Applies operations, all or none; the roles of those who come and go follow at once."""
    check_operations(body)
    patch = await aside(partial(PatchOp[Group].model_validate, body, scim_ctx=Context.RESOURCE_PATCH_REQUEST))
    async with tenancy.transaction(caller.claims()) as connection:
        changed = await _changed_group(connection, caller, recorder, settings, scim_group_id, patch, body)
        return ScimResponse(shown(changed, Context.RESOURCE_PATCH_RESPONSE, attributes, excluded_attributes))


@router.delete(
    "/Groups/{scim_group_id}", status_code=HTTPStatus.NO_CONTENT, summary="Delete a group", response_class=Response
)
async def delete_group(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], scim_group_id: ResourceId, caller: Provider
) -> None:
    """Deletes a group. Its members lose the role that it stood for, unless another of their groups stands for it."""
    async with tenancy.transaction(caller.claims()) as connection:
        await groups.delete_group(connection, caller, recorder, identifier(scim_group_id))


async def _changed_group(
    connection: Connection, caller: Caller, recorder: Recorder, settings: Settings, scim_group_id: str,
    change: Group | PatchOp[Group], operations: Mapping[str, Any] | None = None,
) -> Group:  # fmt: skip
    await service.one_change_at_a_time(connection, caller)
    group = await groups.get_group(connection, caller, identifier(scim_group_id))
    check_operations(operations or {}, len(group.members))
    resource = group_resource(group, settings.public_url)
    if isinstance(change, Group):
        await aside(change.replace, resource)
        resource = change
    else:
        await aside(change.patch, resource)
    assert resource.display_name is not None  # required
    group = await groups.change_group(
        connection, caller, recorder, group, resource.display_name, resource.external_id, members_of(resource.members)
    )
    return group_resource(group, settings.public_url)


def _asks_for_members(attributes: str | None, excluded: str | None) -> bool:
    """Tells whether members are to be returned: a provider that looks a group up does not want thousands of them."""
    wanted = parameters(Group, attributes, excluded)
    named = {str(path).lower().partition(".")[0] for path in wanted.attributes or ()}
    left_out = {str(path).lower() for path in wanted.excluded_attributes or ()}
    return "members" not in left_out and (not named or "members" in named)
