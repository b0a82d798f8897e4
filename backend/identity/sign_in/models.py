"""Bodies of signing in, and what callers may know about themselves."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, SecretStr

from backend.identity.sign_in.passwords import MIN_CHARACTERS
from backend.schema import ApiModel, Text

SecretText = Annotated[SecretStr, Field(max_length=1024)]
NewPassword = Annotated[
    SecretStr,
    Field(max_length=1024, examples=["correct horse battery staple"], json_schema_extra={"minLength": MIN_CHARACTERS}),
]


class TokenPair(ApiModel):
    """An access token and the refresh token that replaces it once."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a token type
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str


class TenantSummary(ApiModel):
    """The caller's tenant."""

    id: UUID
    slug: str


class Me(ApiModel):
    """Who is calling and what they may do."""

    id: UUID
    kind: Literal["user", "key"]
    name: str
    tenant: TenantSummary
    roles: list[str]
    permissions: list[str]
    lacks_second_factor: bool = Field(
        description="Whether the tenant asks for a second factor that the caller has yet to set up: until then it may do nothing."
    )
    readable_collections: list[str]
    writable_collections: list[str]


class PasswordChange(ApiModel):
    """The caller's password and the one that is to replace it."""

    old_password: SecretText
    new_password: NewPassword


class PasswordReset(ApiModel):
    """What a one-time link holds, and the password that its user chooses."""

    token: Annotated[Text, Field(max_length=256, description="What stands behind `#token=` in the link.")]
    password: NewPassword


class Session(ApiModel):
    """A sign-in whose tokens still work."""

    id: UUID
    current: bool = Field(description="Whether this request belongs to it.")
    created_at: datetime
    expires_at: datetime
    method: Literal["password", "oidc", "reset"]
    second_factor: bool
    source_address: str | None = Field(description="From where it was opened.")
    client: str | None = Field(default=None, description="The program that acts in it, if the caller allowed one.")


class SessionList(ApiModel):
    """The caller's sign-ins, newest first."""

    sessions: list[Session]
