"""One-time links with which a user chooses a password: `afp_<lookup id>_<secret>_<checksum>`, kept only as a digest."""

from uuid import UUID

from backend.identity.bearer_secrets import MalformedSecret as MalformedResetToken
from backend.identity.bearer_secrets import NewSecret, ParsedSecret, SecretFormat

__all__ = ["LIFETIME_SECONDS", "MalformedResetToken", "address", "mint", "parse"]

LIFETIME_SECONDS = 24 * 3600
_FORMAT = SecretFormat("afp")


def mint(tenant_id: UUID) -> NewSecret:
    """Makes a new token of a tenant."""
    return _FORMAT.mint(tenant_id)


def parse(text: str) -> ParsedSecret:
    """Returns lookup id and digest of a presented token; raises MalformedResetToken."""
    return _FORMAT.parse(text)


def address(public_url: str, secret: NewSecret) -> str:
    """Returns the link: the token stands behind the `#`, which browsers send to nobody."""
    return f"{public_url}/console/reset#token={secret.plaintext}"
