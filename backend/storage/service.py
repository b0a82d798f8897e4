"""The rules of storing files: encrypted under a key of their tenant, hashed on the way in, checked on the way out."""

import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from uuid_utils.compat import uuid7

from backend.audit.key_encryption import NONCE_BYTES
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


class FileVault:
    """Stores and returns files of tenants."""

    def __init__(self, store: ObjectStore, secret: str) -> None:
        """`secret` wraps the tenants' keys."""
        material = HKDF(hashes.SHA256(), 32, salt=None, info=b"affidavit storage key encryption")
        self._wrapping = AESGCM(material.derive(secret.encode()))
        self._store = store

    async def key(self, connection: Connection, tenant_id: UUID) -> TenantKey:
        """Returns the key of the tenant that the transaction is bound to, made at first use."""
        row = await connection.fetchrow(queries.data_key)
        if row is None:
            key_id = uuid7()
            await connection.execute(queries.add_data_key, tenant_id, key_id, self._new(key_id))
            row = await connection.fetchrow(queries.data_key)
        assert row is not None
        wrapped: bytes = row["wrapped"]
        key_id = row["id"]
        return TenantKey(tenant_id, self._wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], key_id.bytes))

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

    def _new(self, key_id: UUID) -> bytes:
        nonce, key = os.urandom(NONCE_BYTES), AESGCM.generate_key(256)
        return nonce + self._wrapping.encrypt(nonce, key, key_id.bytes)


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
