"""Bearers of a tenant's provider: `afs_<lookup id>_<secret>_<checksum>`, shown once and good for `/scim/v2` alone."""

from uuid import UUID

from backend.identity.bearer_secrets import NewSecret, ParsedSecret, SecretFormat

_FORMAT = SecretFormat("afs")

# For secret scanners: \bafs_[0-9A-Za-z]{12}_[0-9A-Za-z]{33}_[0-9A-Za-z]{6}\b
SCANNER_PATTERN = _FORMAT.scanner_pattern


def mint(tenant_id: UUID) -> NewSecret:
    """Makes a new bearer of a tenant."""
    return _FORMAT.mint(tenant_id)


def parse(text: str) -> ParsedSecret:
    """Returns lookup id and digest of a presented bearer; raises MalformedSecret when none such was ever minted."""
    return _FORMAT.parse(text)


def looks_like_bearer(text: str) -> bool:
    """Tells whether a credential is meant as one of these; it may be malformed."""
    return _FORMAT.claims(text)
