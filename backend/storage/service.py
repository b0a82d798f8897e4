"""The rules of storing files: encrypted under a key of their tenant, hashed on the way in, checked on the way out."""

import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from uuid_utils.compat import uuid7

from backend.audit.key_encryption import NONCE_BYTES, WrappedKeyInvalid, derived
from backend.database import Connection, Queries
from backend.settings import Settings
from backend.storage.encryption import DamagedObject, decrypt, encrypt
from backend.storage.objects import LocalStore, ObjectStore
from backend.storage.s3 import S3Store

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is stored whole; `sha256` and `size` in bytes are of its plain content."""

    id: UUID
    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True)
class TenantKey:
    """The key under which all files of a tenant are encrypted; destroying it destroys them."""

    tenant_id: UUID
    secret: bytes


class FileKeys:
    """Wraps the keys of tenants' files under the first of several secrets, and unwraps what any of them wrapped."""

    def __init__(self, *secrets: str) -> None:
        self._wrapping = [AESGCM(derived(secret, "affidavit storage key encryption")) for secret in secrets]

    def wrap(self, key_id: UUID, key: bytes) -> bytes:
        """Returns a key encrypted and bound to its id."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._wrapping[0].encrypt(nonce, key, key_id.bytes)

    def unwrap(self, key_id: UUID, wrapped: bytes) -> bytes:
        """Returns a key; raises WrappedKeyInvalid."""
        for wrapping in self._wrapping:
            try:
                return wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], key_id.bytes)
            except (InvalidTag, ValueError):
                continue
        raise WrappedKeyInvalid

    def renewed(self, key_id: UUID, wrapped: bytes) -> bytes | None:
        """Returns the key as the first secret wraps it; None when that has wrapped it already. Raises WrappedKeyInvalid."""
        try:
            self._wrapping[0].decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], key_id.bytes)
        except (InvalidTag, ValueError):
            return self.wrap(key_id, self.unwrap(key_id, wrapped))
        return None


class FileVault:
    """Stores and returns files of tenants."""

    def __init__(self, store: ObjectStore, keys: "FileKeys") -> None:
        self._keys = keys
        self._store = store

    async def key(self, connection: Connection, tenant_id: UUID) -> TenantKey:
        """Returns the key of the tenant that the transaction is bound to, made at first use."""
        row = await connection.fetchrow(queries.data_key)
        if row is None:
            key_id = uuid7()
            wrapped = self._keys.wrap(key_id, AESGCM.generate_key(256))
            await connection.execute(queries.add_data_key, tenant_id, key_id, wrapped)
            row = await connection.fetchrow(queries.data_key)
        assert row is not None
        return TenantKey(tenant_id, self._keys.unwrap(row["id"], row["wrapped"]))

    async def store(self, key: TenantKey, content: AsyncIterator[bytes], file_id: UUID | None = None) -> StoredFile:
        """Stores a file as it arrives; when `content` raises, nothing is stored."""
        file_id = file_id or uuid7()
        digest, size = hashlib.sha256(), 0

        async def hashed() -> AsyncIterator[bytes]:
            nonlocal size
            async for piece in content:
                digest.update(piece)
                size += len(piece)
                yield piece

        name = object_name(key.tenant_id, file_id)
        await self._store.write(name, encrypt(hashed(), key.secret, name))
        return StoredFile(file_id, digest.digest(), size)

    async def read(self, key: TenantKey, file_id: UUID, sha256: bytes) -> AsyncIterator[bytes]:
        """Yields a file; raises DamagedObject at what was changed, and at the end of what has another hash."""
        name, digest = object_name(key.tenant_id, file_id), hashlib.sha256()
        async for piece in decrypt(self._store.read(name), key.secret, name):
            digest.update(piece)
            yield piece
        if digest.digest() != sha256:
            raise DamagedObject(name)

    async def delete(self, tenant_id: UUID, file_id: UUID) -> None:
        """Removes a file for good."""
        await self._store.delete(object_name(tenant_id, file_id))


def object_name(tenant_id: UUID, file_id: UUID) -> str:
    """Returns the key of a file in the object store, which begins with its tenant."""
    return f"{tenant_id}/{file_id}"


def archives_from_settings(settings: Settings) -> ObjectStore:
    """Returns where months of the audit log go that left it: a bucket, or else a local folder."""
    if settings.archive_bucket:
        return S3Store(settings.archive_bucket, settings.archive_bucket_url)
    return LocalStore(settings.archive_folder or settings.home_folder / "archives")


def store_from_settings(settings: Settings) -> ObjectStore:
    """Returns the bucket that is configured, or else a local folder."""
    if settings.storage_bucket:
        return S3Store(settings.storage_bucket, settings.storage_bucket_url)
    return LocalStore(settings.storage_folder or settings.home_folder / "files")
