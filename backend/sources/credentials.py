"""What sources prove themselves with, at rest and opened for a run. One of another source or tenant does not open."""

from collections.abc import Mapping
from uuid import UUID

import orjson

from backend.sources.connector import SourceFailed
from backend.storage import sealing
from backend.storage.service import TenantKey

_USE = "affidavit source credentials"


def seal(key: TenantKey, source_id: UUID, credentials: Mapping[str, str]) -> bytes:
    """Returns credentials as they are stored."""
    return sealing.seal(key, _USE, (source_id,), orjson.dumps(credentials))


def unseal(key: TenantKey, source_id: UUID, sealed: bytes | None) -> Mapping[str, str]:
    """Returns stored credentials, of which there may be none; raises SourceFailed for those that do not open."""
    if sealed is None:
        return {}
    try:
        opened: Mapping[str, str] = orjson.loads(sealing.unseal(key, _USE, (source_id,), sealed))
    except sealing.DamagedSecret as error:
        raise SourceFailed("credentials_damaged", "The stored credentials do not open; give them anew.") from error
    return opened
