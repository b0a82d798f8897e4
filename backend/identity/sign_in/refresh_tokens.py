"""Refresh tokens: `afr_<lookup id>_<secret>_<checksum>`, each used once and kept only as a SHA-256 digest."""

from uuid import UUID

from backend.identity.bearer_secrets import MalformedSecret as MalformedRefreshToken
from backend.identity.bearer_secrets import NewSecret as NewRefreshToken
from backend.identity.bearer_secrets import ParsedSecret as ParsedRefreshToken
from backend.identity.bearer_secrets import SecretFormat

__all__ = [
    "SCANNER_PATTERN",
    "MalformedRefreshToken",
    "NewRefreshToken",
    "ParsedRefreshToken",
    "mint",
    "parse",
]

_FORMAT = SecretFormat("afr")

# For secret scanners: \bafr_[0-9A-Za-z]{12}_[0-9A-Za-z]{33}_[0-9A-Za-z]{6}\b
SCANNER_PATTERN = _FORMAT.scanner_pattern


def mint(tenant_id: UUID) -> NewRefreshToken:
    """Makes a new refresh token of a tenant."""
    return _FORMAT.mint(tenant_id)


def parse(text: str) -> ParsedRefreshToken:
    """Returns lookup id and digest of a presented token; raises MalformedRefreshToken."""
    return _FORMAT.parse(text)
