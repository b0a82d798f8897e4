"""Encrypted texts of events: AES-256-GCM under a data key per tenant, data subject and month, wrapped by a key of ours.

The envelope commits to a text by HMAC-SHA-256 under a random salt that is encrypted with the text. Not to the ciphertext:
AES-GCM does not commit to its key. Destroying the data key leaves a commitment that nobody can test guesses against.
"""

import hashlib
import hmac
import os
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from uuid_utils.compat import uuid7

from backend.database import Connection, Queries

SALT_BYTES = 32
NONCE_BYTES = 12
_CACHED_KEYS = 10_000

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class DataKey:
    """An unwrapped key and the id that payloads refer to."""

    id: UUID
    key: bytes


@dataclass(frozen=True, slots=True)
class SealedPayload:
    """A payload ready to be stored, and the commitment that its envelope holds."""

    name: str
    key_id: UUID
    ciphertext: bytes
    commitment: str
    size: int


def commit(salt: bytes, text: str) -> str:
    """Returns the commitment to a text: hex HMAC-SHA-256 keyed with the salt."""
    return hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()


class PayloadVault:
    """Encrypts and decrypts payloads; holds the key-encryption key and recently used data keys."""

    def __init__(self, secret: str) -> None:
        material = HKDF(hashes.SHA256(), 32, salt=None, info=b"affidavit payload key encryption").derive(
            secret.encode()
        )
        self._wrapping = AESGCM(material)
        self._known: OrderedDict[tuple[UUID, UUID, date], DataKey] = OrderedDict()

    async def data_key(self, connection: Connection, tenant_id: UUID, subject_id: UUID, month: date) -> DataKey:
        """Returns the data key of a subject and month, made at first use, in the open transaction."""
        scope = (tenant_id, subject_id, month)
        if (known := self._known.get(scope)) is not None:
            self._known.move_to_end(scope)
            return known
        row = await connection.fetchrow(queries.data_key, *scope)
        if row is None:
            key_id, key = uuid7(), AESGCM.generate_key(256)
            await connection.execute(
                queries.add_data_key, tenant_id, key_id, subject_id, month, self._wrap(key_id, key)
            )
            row = await connection.fetchrow(queries.data_key, *scope)
        assert row is not None
        data_key = DataKey(row["id"], self._unwrap(row["id"], row["wrapped"]))
        # A key of this very transaction will never have existed if that is rolled back.
        if row["committed"]:
            self._remember(scope, data_key)
        return data_key

    def forget(self, tenant_id: UUID, subject_id: UUID) -> None:
        """Drops the remembered keys of a subject, since they were destroyed."""
        for scope in [known for known in self._known if known[:2] == (tenant_id, subject_id)]:
            del self._known[scope]

    def encrypt(self, data_key: DataKey, event_id: UUID, name: str, text: str) -> SealedPayload:
        """Encrypts one payload of an event."""
        salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
        encoded = text.encode()
        ciphertext = nonce + AESGCM(data_key.key).encrypt(nonce, salt + encoded, _bound_to(event_id, name))
        return SealedPayload(name, data_key.id, ciphertext, commit(salt, text), len(encoded))

    def decrypt(self, key_id: UUID, wrapped: bytes, event_id: UUID, name: str, ciphertext: bytes) -> tuple[bytes, str]:
        """Returns salt and text of a payload; raises cryptography's InvalidTag when any part was changed."""
        key = self._unwrap(key_id, wrapped)
        nonce, body = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
        plain = AESGCM(key).decrypt(nonce, body, _bound_to(event_id, name))
        return plain[:SALT_BYTES], plain[SALT_BYTES:].decode()

    def _wrap(self, key_id: UUID, key: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, key, key_id.bytes)

    def _unwrap(self, key_id: UUID, wrapped: bytes) -> bytes:
        return self._wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], key_id.bytes)

    def _remember(self, scope: tuple[UUID, UUID, date], data_key: DataKey) -> None:
        self._known[scope] = data_key
        if len(self._known) > _CACHED_KEYS:
            self._known.popitem(last=False)


def _bound_to(event_id: UUID, name: str) -> bytes:
    """Returns what a ciphertext is bound to, so that payloads cannot be exchanged."""
    return event_id.bytes + name.encode()
