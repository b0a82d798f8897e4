"""Bodies of users and their roles."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr

from backend.identity.callers.permissions import Role
from backend.identity.sign_in.passwords import MIN_CHARACTERS
from backend.identity.users import names
from backend.schema import ApiModel, Text

DisplayName = Annotated[Text, Field(min_length=1, max_length=200, examples=["Dana Analyst"])]
Roles = Annotated[list[Role], Field(max_length=10, examples=[["analyst"]])]
Status = Literal["active", "disabled", "deleted"]
UserName = Annotated[
    Text,
    AfterValidator(names.new),
    Field(
        min_length=1,
        max_length=names.MAX_CHARACTERS,
        description="Letters, digits and . _ @ + - '; case does not matter, and is not kept. Each word is in one alphabet.",
        examples=["dana@bank.example"],
    ),
]


class NewUser(ApiModel):
    """A user to create."""

    username: UserName
    display_name: DisplayName | None = None
    password: Annotated[
        SecretStr,
        Field(
            max_length=1024, examples=["correct horse battery staple"], json_schema_extra={"minLength": MIN_CHARACTERS}
        ),
    ] | None = Field(
        default=None,
        description="A first password; without one, the answer holds a one-time link with which the user chooses its own. "
        "The user counts as whoever made it until another administrator vouches for it.",
    )  # fmt: skip
    roles: Roles = Field(default_factory=list)


class UserChange(ApiModel):
    """What of a user is to change; what is not named stays."""

    display_name: DisplayName | None = None
    status: Literal["active", "disabled"] | None = None


class RoleAssignment(ApiModel):
    """All roles that a user is to have."""

    roles: Roles


class UserView(ApiModel):
    """A user of the tenant."""

    id: UUID
    username: str
    display_name: str
    status: Status
    roles: list[str]
    created_at: datetime
    second_factor: bool = Field(description="Whether the user signs in with a second factor.")
    counts_as: UUID | None = Field(
        description="The administrator who made the user, or whose link set its password. The user counts as this person, "
        "and reads no more, until another administrator vouches for it."
    )


class PasswordLink(ApiModel):
    """A link with which a user chooses a password, once; the only time that it is shown."""

    link: str = Field(description="For the user; whoever opens it first sets the password, and that is on record.")
    token: str = Field(description="What `POST /auth/reset` takes.")
    expires_at: datetime


class CreatedUser(UserView):
    """A new user, with the link to choose a password where it was given none."""

    invitation: PasswordLink | None = None


class UserPage(ApiModel):
    """The tenant's users."""

    users: list[UserView]
    next_cursor: UUID | None = Field(description="Pass as `cursor` for the next page; null at the end.")


class RoleView(ApiModel):
    """A role and what it permits."""

    role: Role
    permissions: list[str]
    given_by: Literal["administrators", "operator"] = Field(
        description="Administrators do not make those who review them: the operator does, or the identity provider."
    )


class RoleList(ApiModel):
    """All roles."""

    roles: list[RoleView]
