"""Copies a tenant's files from cell to cell, encrypted as they are, and reads each at its new place against its hash."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

from backend.audit import key_encryption
from backend.audit.key_encryption import KeyName, WrappedKeyInvalid
from backend.database import Queries
from backend.operation.moving.cells import OpenCell
from backend.operation.service import OperatorError
from backend.review.exports.parts import file_of_part
from backend.settings import payload_keys
from backend.storage.encryption import DamagedObject
from backend.storage.objects import ObjectMissing
from backend.storage.service import FileKeys, FileVault, TenantKey, object_name

queries = Queries.beside(__file__)


async def check_keys(source: OpenCell, target: OpenCell, tenant_id: UUID) -> None:
    """Raises OperatorError when the target's processes could not open what the tenant's keys are wrapped with."""
    secrets = payload_keys(target.settings)
    try:
        if (row := await source.database.fetchrow(queries.file_key, tenant_id)) is not None:
            FileKeys(*secrets).unwrap(row["id"], row["wrapped"])
        if (row := await source.database.fetchrow(queries.data_key, tenant_id)) is not None:
            async with key_encryption.opened(target.settings, secrets) as encryption:
                await encryption.unwrap(KeyName(tenant_id, row["id"]), row["wrapped"])
    except WrappedKeyInvalid:
        raise OperatorError(
            f"{target.name} cannot open the tenant's keys: add the payload key of {source.name} to its payload_other_keys"
        ) from None


async def copy_files(
    source: OpenCell, target: OpenCell, tenant_id: UUID, copied: set[UUID], progress: Callable[[str, int, int], None]
) -> None:
    """Copies files that are not in `copied` yet, and adds them; raises OperatorError for one that is damaged or missing.

    A file that was deleted meanwhile is passed over, or deleted where it was copied to.
    """
    row = await source.database.fetchrow(queries.file_key, tenant_id)
    if row is None:
        return
    secret = FileKeys(*payload_keys(target.settings)).unwrap(row["id"], row["wrapped"])
    key, vault = TenantKey(tenant_id, secret), FileVault(target.store, FileKeys(*payload_keys(target.settings)))
    files = await _files(source, tenant_id)
    for file_id in copied - set(files):
        await target.store.delete(object_name(tenant_id, file_id))
        copied.remove(file_id)
    for number, (file_id, sha256) in enumerate(sorted(files.items()), 1):
        if file_id not in copied and not await _copy(source, target, vault, key, file_id, sha256):
            if file_id in await _files(source, tenant_id):
                raise OperatorError(f"the file {file_id} is missing from the store of {source.name}")
            continue
        copied.add(file_id)
        progress("copying files", number, len(files))


async def share_files(one: OpenCell, other: OpenCell, tenant_id: UUID) -> bool:
    """Tells whether two cells keep files in one place, whatever their settings say."""
    name = object_name(tenant_id, uuid7())
    await one.store.write(name, _nothing())
    try:
        async for _ in other.store.read(name):
            pass
    except ObjectMissing:
        return False
    finally:
        await one.store.delete(name)
    return True


async def _nothing() -> AsyncIterator[bytes]:
    yield b"whose"


async def delete_files(cell: OpenCell, tenant_id: UUID) -> int:
    """Removes the files of an old copy; returns how many."""
    files = await _files(cell, tenant_id)
    for file_id in files:
        await cell.store.delete(object_name(tenant_id, file_id))
    return len(files)


async def delete_missing_files(cell: OpenCell, home: OpenCell, tenant_id: UUID) -> None:
    """Removes the files of an old copy that are at home no longer."""
    for file_id in set(await _files(cell, tenant_id)) - set(await _files(home, tenant_id)):
        await cell.store.delete(object_name(tenant_id, file_id))


async def _copy(
    source: OpenCell, target: OpenCell, vault: FileVault, key: TenantKey, file_id: UUID, sha256: bytes
) -> bool:
    """Copies one file and reads it where it is now; False when there is none."""
    name = object_name(key.tenant_id, file_id)
    try:
        await target.store.write(name, source.store.read(name))
        async for _ in vault.read(key, file_id, sha256):
            pass
    except ObjectMissing:
        return False
    except DamagedObject:
        raise OperatorError(f"the file {file_id} is not what it was when it was uploaded") from None
    return True


async def _files(cell: OpenCell, tenant_id: UUID) -> dict[UUID, bytes]:
    """Returns what a tenant keeps in the file store, with the hash of each."""
    files: dict[UUID, bytes] = {}
    for row in await cell.database.fetch(queries.files, tenant_id):
        files[row["id"]] = row["sha256"]
        for part in orjson.loads(row["parts"] or "[]"):
            files[file_of_part(row["id"], part["number"])] = bytes.fromhex(part["sha256"])
    return files
