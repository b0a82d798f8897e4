"""Users and groups as SCIM 2.0 has them (RFC 7643): those attributes that this service keeps, and no others.

What else a provider sends is taken and dropped, so that its usual mappings work and no more of a person is kept than is needed.
"""

from typing import Annotated, Any, ClassVar

from pydantic import Field
from scim2_models import (
    URN,
    CaseExact,
    ComplexAttribute,
    Mutability,
    Reference,
    Required,
    Resource,
    ScimPolicy,
    Uniqueness,
)

from backend.schema import Text

# What Microsoft Entra ID and Okta do beside the letter of RFC 7644.
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)

_MOST_ADDRESSES = 10

Short = Annotated[Text, Field(max_length=256)]


class PersonName(ComplexAttribute):
    """The parts of a person's name."""

    formatted: Short | None = None
    """The whole name, as it is shown."""

    given_name: Short | None = None
    """The given name."""

    family_name: Short | None = None
    """The family name."""


class EmailAddress(ComplexAttribute):
    """An address of a person."""

    value: Annotated[Text, Field(max_length=320)] | None = None
    """The address."""

    type: Short | None = Field(None, examples=["work", "home", "other"])
    """What it is for."""

    primary: bool | None = None
    """Whether it is the preferred one."""


class MembershipOfUser(ComplexAttribute):
    """A group that a user is in."""

    value: Annotated[str | None, Mutability.read_only, CaseExact.true] = None
    """The group's id."""

    ref: Annotated[Reference["Group"] | None, Mutability.read_only] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """The group's address."""

    display: Annotated[str | None, Mutability.read_only] = None
    """The group's name."""


class User(Resource[Any]):
    """A person who signs in through the provider."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    external_id: Annotated[Text, Field(min_length=1, max_length=255), CaseExact.true] | None = None
    """The provider's own id. Who signs in with it as `sub`, or as `oid`, is this user."""

    user_name: Annotated[Annotated[Text, Field(max_length=128)] | None, Uniqueness.server, Required.true] = None
    """The name of the user in its tenant; case does not matter."""

    name: PersonName | None = None
    """The parts of the person's name."""

    display_name: Annotated[Text, Field(max_length=200)] | None = None
    """The name that others read."""

    active: bool | None = None
    """Whether the user may sign in."""

    emails: Annotated[list[EmailAddress] | None, Field(max_length=_MOST_ADDRESSES)] = None
    """The person's addresses."""

    groups: Annotated[list[MembershipOfUser] | None, Mutability.read_only] = None
    """The groups that the user is in; change the groups."""

    Name: ClassVar[type[ComplexAttribute]] = PersonName


class MemberOfGroup(ComplexAttribute):
    """A user who is in a group."""

    value: Annotated[Short | None, Mutability.immutable, CaseExact.true] = None
    """The user's id."""

    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """The user's address."""

    type: Annotated[Short | None, Mutability.immutable] = Field(None, examples=["User"])
    """`User`: groups hold no groups here."""


class Group(Resource[Any]):
    """A group of the provider. The operator said which role it stands for, by its name or the provider's own id."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    external_id: Annotated[Text, Field(min_length=1, max_length=255), CaseExact.true] | None = None
    """The provider's own id."""

    display_name: Annotated[Annotated[Text, Field(min_length=1, max_length=256)] | None, Required.true] = None
    """The name of the group."""

    members: list[MemberOfGroup] | None = None
    """The users who are in it."""
