"""API keys: `afd_<lookup id>_<secret>_<checksum>`, shown once and kept only as a SHA-256 digest.

Secret scanners find them with SCANNER_PATTERN and can discard false hits by recomputing the checksum.
"""

from uuid import UUID

from backend.identity.bearer_secrets import MalformedSecret as MalformedKey
from backend.identity.bearer_secrets import NewSecret as NewKey
from backend.identity.bearer_secrets import ParsedSecret as ParsedKey
from backend.identity.bearer_secrets import SecretFormat

__all__ = ["SCANNER_PATTERN", "MalformedKey", "NewKey", "ParsedKey", "looks_like_api_key", "mint", "parse"]

_FORMAT = SecretFormat("afd")

# For secret scanners: \bafd_[0-9A-Za-z]{12}_[0-9A-Za-z]{33}_[0-9A-Za-z]{6}\b
SCANNER_PATTERN = _FORMAT.scanner_pattern


def mint(tenant_id: UUID) -> NewKey:
    """Makes a new API key of a tenant."""
    return _FORMAT.mint(tenant_id)


def parse(text: str) -> ParsedKey:
    """Returns lookup id and digest of a presented key; raises MalformedKey when none such was ever minted."""
    return _FORMAT.parse(text)


def looks_like_api_key(text: str) -> bool:
    """Tells whether a bearer credential is meant as an API key and not as a JWT; it may be malformed."""
    return _FORMAT.claims(text)
