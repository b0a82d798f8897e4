"""Encrypted texts of events: AES-256-GCM under a data key per tenant, data subject and month, itself wrapped.

The envelope commits to a text by HMAC-SHA-256 under a random salt that is encrypted with the text. Not to the ciphertext:
AES-GCM does not commit to its key. Destroying the data key leaves a commitment that nobody can test guesses against.
"""

import asyncio
import hashlib
import hmac
import os
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from uuid_utils.compat import uuid7

from backend.audit.key_encryption import NONCE_BYTES, KeyEncryption, KeyName
from backend.database import Connection, Queries

SALT_BYTES = 32
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


class PayloadInvalid(ValueError):
    """A stored payload or its key was changed."""


def commit(salt: bytes, text: str) -> str:
    """Returns the commitment to a text: hex HMAC-SHA-256 keyed with the salt."""
    return hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()


class PayloadVault:
    """Encrypts payloads; remembers data keys for some seconds, so that few texts wait for a KMS.

    A key that another process destroys meanwhile encrypts nothing that is kept: the database refuses payloads under a key
    that is not there. No key is remembered for longer, whether it is used or not.
    """

    def __init__(self, key_encryption: KeyEncryption, remembered_seconds: float = 300.0) -> None:
        self._key_encryption = key_encryption
        self._seconds = remembered_seconds
        self._known: OrderedDict[tuple[UUID, UUID, date], DataKey] = OrderedDict()

    async def data_key(self, connection: Connection, tenant_id: UUID, subject_id: UUID, month: date) -> DataKey:
        """Returns the data key of a subject and month, made at first use, in the open transaction.

        Raises AuditUnavailable and WrappedKeyInvalid.
        """
        scope = (tenant_id, subject_id, month)
        if (known := self._known.get(scope)) is not None:
            return known
        row = await connection.fetchrow(queries.data_key, month)
        if row is None:
            made = DataKey(uuid7(), AESGCM.generate_key(256))
            wrapped = await self._key_encryption.wrap(KeyName(tenant_id, made.id), made.key)
            await connection.execute(queries.add_data_key, tenant_id, made.id, subject_id, month, wrapped)
            row = await connection.fetchrow(queries.data_key, month)
            assert row is not None
            if row["id"] == made.id:
                # Not remembered: it will never have existed if this transaction is rolled back.
                return made
        data_key = DataKey(row["id"], await self._key_encryption.unwrap(KeyName(tenant_id, row["id"]), row["wrapped"]))
        # A savepoint may have made it in this very transaction.
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

    def reader(self, tenant_id: UUID) -> "PayloadReader":
        """Returns a reader of the tenant's payloads."""
        return PayloadReader(self._key_encryption, tenant_id)

    @property
    def remembered(self) -> int:
        """How many keys are remembered."""
        return len(self._known)

    def _remember(self, scope: tuple[UUID, UUID, date], data_key: DataKey) -> None:
        self._known[scope] = data_key
        if len(self._known) > _CACHED_KEYS:
            self._known.popitem(last=False)
        # By its id, since the timer would itself remember the key.
        asyncio.get_running_loop().call_later(self._seconds, self._expire, scope, data_key.id)

    def _expire(self, scope: tuple[UUID, UUID, date], key_id: UUID) -> None:
        known = self._known.get(scope)
        if known is not None and known.id == key_id:
            del self._known[scope]


class PayloadReader:
    """Decrypts payloads of one tenant; unwraps each data key once, and forgets it with the reading."""

    def __init__(self, key_encryption: KeyEncryption, tenant_id: UUID) -> None:
        self._key_encryption = key_encryption
        self._tenant_id = tenant_id
        self._keys: OrderedDict[tuple[UUID, bytes], AESGCM] = OrderedDict()

    async def decrypt(
        self, key_id: UUID, wrapped: bytes, event_id: UUID, name: str, ciphertext: bytes
    ) -> tuple[bytes, str]:
        """Returns salt and text of a payload; raises PayloadInvalid, and AuditUnavailable without the key."""
        try:
            key = await self._key(key_id, wrapped)
            nonce, body = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
            plain = key.decrypt(nonce, body, _bound_to(event_id, name))
            return plain[:SALT_BYTES], plain[SALT_BYTES:].decode()
        except (InvalidTag, ValueError) as error:
            raise PayloadInvalid from error

    async def _key(self, key_id: UUID, wrapped: bytes) -> AESGCM:
        if (known := self._keys.get((key_id, wrapped))) is not None:
            return known
        key = AESGCM(await self._key_encryption.unwrap(KeyName(self._tenant_id, key_id), wrapped))
        self._keys[key_id, wrapped] = key
        if len(self._keys) > _CACHED_KEYS:
            self._keys.popitem(last=False)
        return key


def _bound_to(event_id: UUID, name: str) -> bytes:
    """Returns what a ciphertext is bound to, so that payloads cannot be exchanged."""
    return event_id.bytes + name.encode()
