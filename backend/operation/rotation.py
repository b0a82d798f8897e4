"""Exchanging keys while the service runs: what is wrapped by an earlier key is wrapped anew, and context keys come and go.

Every process reads what an earlier key wrapped, so nothing here is urgent, and nothing that was done is done again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from backend.audit import key_encryption
from backend.audit.key_encryption import KeyEncryptions, KeyName, WrappedKeyInvalid
from backend.database import Connection, Queries, fetch_rows
from backend.errors import Unauthenticated
from backend.identity.sign_in.seal import Seal, client_secret_seal, second_factor_seal
from backend.operation.service import OperatorError
from backend.settings import Settings
from backend.storage.service import FileKeys
from backend.tenancy import ContextSigner

queries = Queries(Path(__file__).with_name("rotation.sql"))
_FIRST = UUID(int=0)


class Wrapping(StrEnum):
    """By which key something is wrapped."""

    CURRENT = "current"
    EARLIER = "earlier"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What one kind of secret is, and how it is wrapped anew: `renew` returns None for what the current key wrapped."""

    name: str
    listed: str
    replaced: str
    renew: Callable[[UUID, UUID, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class WrappedRow:
    """One secret, as it is wrapped now."""

    tenant_id: UUID
    id: UUID
    wrapped: Any


@dataclass(frozen=True, slots=True)
class ContextKeyRow:
    """A key that contexts are verified with, and until when."""

    id: str
    created_at: datetime
    retired_at: datetime | None


def kinds(texts: KeyEncryptions, files: FileKeys, clients: Seal, factors: Seal) -> list[Wrapped]:
    """Returns all that is kept wrapped."""

    async def text(tenant_id: UUID, key_id: UUID, wrapped: bytes) -> bytes | None:
        return await texts.renewed(KeyName(tenant_id, key_id), wrapped)

    async def file(_: UUID, key_id: UUID, wrapped: bytes) -> bytes | None:
        return files.renewed(key_id, wrapped)

    def sealed(seal: Seal) -> Callable[[UUID, UUID, str], Awaitable[str | None]]:
        async def renewed(_: UUID, __: UUID, closed: str) -> str | None:
            return seal.renewed(closed)

        return renewed

    return [
        Wrapped("keys of texts", queries.data_keys, queries.rewrap_data_key, text),
        Wrapped("keys of files", queries.file_keys, queries.rewrap_file_key, file),
        Wrapped("client secrets", queries.client_secrets, queries.rewrap_client_secret, sealed(clients)),
        Wrapped("second factors", queries.second_factors, queries.rewrap_second_factor, sealed(factors)),
    ]


@asynccontextmanager
async def all_wrapped(
    settings: Settings, owner_url: str, secrets: tuple[str, ...]
) -> AsyncIterator[tuple[Connection, list[Wrapped]]]:
    """Opens the owner's connection and all that is kept wrapped, under the first of these payload keys from now on."""
    owner = await asyncpg.connect(owner_url)
    try:
        async with key_encryption.opened(settings, secrets) as texts:
            yield owner, kinds(texts, FileKeys(*secrets), client_secret_seal(*secrets), second_factor_seal(*secrets))
    finally:
        await owner.close()


async def rewrap(
    owner: Connection, kind: Wrapped, progress: Callable[[int], None], *, only_count: bool = False
) -> Mapping[Wrapping, int]:
    """Wraps anew what an earlier key wrapped, 500 in a transaction, and returns how much was wrapped by which key.

    Can be interrupted at any time and run again. Raises AuditUnavailable when a KMS or Vault is away.
    """
    found = dict.fromkeys(Wrapping, 0)
    after = (_FIRST, _FIRST)
    while rows := await fetch_rows(owner, WrappedRow, kind.listed, *after):
        async with owner.transaction():
            for row in rows:
                found[await _rewrap_one(owner, kind, row, only_count=only_count)] += 1
        after = (rows[-1].tenant_id, rows[-1].id)
        progress(sum(found.values()))
    return found


async def _rewrap_one(owner: Connection, kind: Wrapped, row: WrappedRow, *, only_count: bool) -> Wrapping:
    try:
        renewed = await kind.renew(row.tenant_id, row.id, row.wrapped)
    except (WrappedKeyInvalid, Unauthenticated):
        return Wrapping.UNKNOWN
    if renewed is None:
        return Wrapping.CURRENT
    if not only_count:
        await owner.execute(kind.replaced, row.tenant_id, row.id, row.wrapped, renewed)
    return Wrapping.EARLIER


async def add_context_key(owner: Connection, signer: ContextSigner) -> str:
    """Adds a key with which contexts are verified, and returns its id."""
    key_id, inner_pad, outer_pad = signer.padded_key()
    await owner.execute(queries.add_context_key, key_id, inner_pad, outer_pad)
    return key_id


async def retire_context_key(owner: Connection, key_id: str) -> datetime:
    """Ends a context key in two minutes, when no context that it signed holds any more; raises OperatorError for the last."""
    retired: datetime | None = await owner.fetchval(queries.retire_context_key, key_id)
    if retired is None:
        raise OperatorError(f"{key_id} is no context key that is in use beside another")
    return retired


async def context_keys(owner: Connection) -> list[ContextKeyRow]:
    """Returns the context keys that verify, oldest first."""
    return await fetch_rows(owner, ContextKeyRow, queries.context_keys)
