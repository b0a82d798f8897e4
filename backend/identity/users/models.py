"""Bodies of users and their roles."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, SecretStr

from backend.identity.callers.permissions import Role
from backend.identity.sign_in.passwords import MIN_CHARACTERS
from backend.schema import ApiModel, Text

DisplayName = Annotated[Text, Field(min_length=1, max_length=200, examples=["Dana Analyst"])]
Roles = Annotated[list[Role], Field(max_length=10, examples=[["analyst"]])]


class NewUser(ApiModel):
    """A user to create."""

    username: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._@+-]{0,127}$", examples=["dana"])]
    display_name: DisplayName | None = None
    password: Annotated[
        SecretStr,
        Field(
            max_length=1024, examples=["correct horse battery staple"], json_schema_extra={"minLength": MIN_CHARACTERS}
        ),
    ]
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
    status: Literal["active", "disabled"]
    roles: list[str]
    created_at: datetime


class UserPage(ApiModel):
    """The tenant's users."""

    users: list[UserView]
    next_cursor: UUID | None = Field(description="Pass as `cursor` for the next page; null at the end.")
