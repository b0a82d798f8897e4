"""Between SCIM's resources and what the service keeps of them."""

from collections.abc import Sequence
from uuid import UUID

from scim2_models import Context, Meta, Reference

from backend.errors import InvalidInput
from backend.gateways.scim.errors import PREFIX
from backend.gateways.scim.resources import Group, MemberOfGroup, MembershipOfUser, User
from backend.identity.provisioning.models import Person, ProvisionedGroup, ProvisionedUser

# Kept as the provider says it; the others have columns of their own.
_KEPT = {"active", "name", "displayName", "emails"}
_LONGEST_NAME = 200


def user_resource(user: ProvisionedUser, public_url: str) -> User:
    """Returns a user as SCIM shows it."""
    groups = [
        MembershipOfUser(value=str(group.id), ref=_address(public_url, "Groups", group.id), display=group.name)
        for group in user.groups
    ]
    resource = User.model_validate(dict(user.attributes))
    resource.id, resource.external_id, resource.user_name = str(user.id), user.external_id, user.user_name
    # Who never said is not told, unless somebody here has disabled the user.
    resource.active = user.active if resource.active is not None or not user.active else None
    resource.groups = groups or None
    resource.meta = Meta(
        resource_type="User", created=user.created_at, last_modified=user.changed_at,
        location=_address(public_url, "Users", user.id),
    )  # fmt: skip
    return resource


def person_of(resource: User, *, active: bool = True) -> Person:
    """Returns what a resource says of a user; `active` is whether one is of whom it does not say so."""
    assert resource.user_name is not None  # required
    dumped = resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    named = resource.name and (
        resource.name.formatted or " ".join(filter(None, (resource.name.given_name, resource.name.family_name)))
    )
    shown = resource.display_name or named or resource.user_name
    return Person(
        user_name=resource.user_name, external_id=resource.external_id,
        active=active if resource.active is None else resource.active,
        display_name=shown[:_LONGEST_NAME], attributes={name: dumped[name] for name in sorted(_KEPT & dumped.keys())},
    )  # fmt: skip


def group_resource(group: ProvisionedGroup, public_url: str) -> Group:
    """Returns a group as SCIM shows it."""
    members = [
        MemberOfGroup(value=str(member), ref=_address(public_url, "Users", member), type="User")
        for member in group.members
    ]
    return Group(
        id=str(group.id), external_id=group.external_id, display_name=group.name, members=members or None,
        meta=Meta(
            resource_type="Group", created=group.created_at, last_modified=group.changed_at,
            location=_address(public_url, "Groups", group.id),
        ),
    )  # fmt: skip


def members_of(members: Sequence[MemberOfGroup] | None) -> set[UUID]:
    """Returns the users that a group names; raises InvalidInput for what cannot be one."""
    try:
        return {UUID(member.value) for member in members or () if member.value is not None}
    except ValueError as error:
        raise InvalidInput("members: one of them is no id of a user", reason="scim:member") from error


def _address(public_url: str, kind: str, identifier: UUID) -> Reference:  # type: ignore[type-arg]
    return Reference(f"{public_url}{PREFIX}/{kind}/{identifier}")
