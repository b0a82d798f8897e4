"""Secrets of endpoints at rest. One of another endpoint, or of another tenant, does not open in its place."""

from uuid import UUID

from backend.storage import sealing
from backend.storage.service import TenantKey

_USE = "affidavit webhook secret"


def seal(key: TenantKey, endpoint_id: UUID, secret_id: UUID, secret: bytes) -> bytes:
    """Returns a secret as it is stored."""
    return sealing.seal(key, _USE, (endpoint_id, secret_id), secret)


def unseal(key: TenantKey, endpoint_id: UUID, secret_id: UUID, sealed: bytes) -> bytes:
    """Returns a stored secret; raises DamagedSecret."""
    return sealing.unseal(key, _USE, (endpoint_id, secret_id), sealed)
