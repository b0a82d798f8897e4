"""Bodies of second factors."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from backend.schema import ApiModel, Text

Code = Annotated[
    Text,
    Field(min_length=6, max_length=40, description="A code of the authenticator app, or a recovery code.", examples=["123456"]),
]  # fmt: skip


class SecondFactor(ApiModel):
    """The caller's second factor."""

    confirmed_at: datetime | None = Field(description="Since when signing in asks for it; null for who has none.")
    required: bool = Field(description="Whether the tenant asks everybody for one who signs in with a password.")


class Enrolment(ApiModel):
    """What an authenticator app needs; the only time that it is shown."""

    secret: str = Field(description="To be typed into an app, in base 32.")
    address: str = Field(description="The same as an `otpauth:` address, for a QR code.")


class ShownCode(ApiModel):
    """A code that the caller shows."""

    code: Code


class RecoveryCodes(ApiModel):
    """Codes that each stand in for the app once; the only time that they are shown."""

    recovery_codes: list[str]


class SignInRule(ApiModel):
    """What a tenant asks of everybody who signs in with a password."""

    second_factor_required: bool = Field(
        description="Whoever has no second factor can then do nothing but set one up. "
        "To stop asking, another person must ask for the same."
    )
