"""Secrets of tenants at rest: AES-256-GCM under a key that is derived from the tenant's own, which the database never sees.

So they end with the tenant's key, and follow it when the key that wraps it is exchanged. One that was sealed for another use,
thing, tenant or place does not open there.
"""

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backend.storage.service import TenantKey

_NONCE_BYTES = 12


class DamagedSecret(Exception):
    """What is stored is not what was sealed, or not under this key."""


def seal(key: TenantKey, use: str, things: tuple[UUID, ...], secret: bytes, place: str = "") -> bytes:
    """Returns a secret as it is stored, for one use, the things that it belongs to, and the place where it is shown."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(key, use).encrypt(nonce, secret, _bound_to(key, things, place))


def unseal(key: TenantKey, use: str, things: tuple[UUID, ...], sealed: bytes, place: str = "") -> bytes:
    """Returns a stored secret; raises DamagedSecret."""
    nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return _cipher(key, use).decrypt(nonce, body, _bound_to(key, things, place))
    except (InvalidTag, ValueError) as error:
        raise DamagedSecret from error


def _cipher(key: TenantKey, use: str) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), 32, salt=None, info=use.encode()).derive(key.secret))


def _bound_to(key: TenantKey, things: tuple[UUID, ...], place: str) -> bytes:
    """Returns ids of one length each, and the place last, so that no two say the same."""
    return b"".join(thing.bytes for thing in (key.tenant_id, *things)) + place.encode()
