"""What sources prove themselves with, at rest and opened for a run.

They are for one server: what was sealed for another origin, source, kind of source or tenant does not open, whoever changed the
address and however.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from backend.sources.connector import SourceFailed
from backend.storage import sealing
from backend.storage.service import TenantKey

_USE = "affidavit source credentials"
_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Returns scheme, host and port of an address that may be asked, each always said."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS.get(parts.scheme)}"


def origins_of(address: str) -> frozenset[str]:
    """Returns the origins of the addresses of a source."""
    return frozenset(map(origin_of, address.split()))


def seal(key: TenantKey, source_id: UUID, kind: str, address: str, credentials: Mapping[str, str]) -> bytes:
    """Returns credentials as they are stored, for the one origin of an address."""
    return sealing.seal(key, _USE, (source_id,), orjson.dumps(credentials), _place(kind, address))


def unseal(key: TenantKey, source_id: UUID, kind: str, address: str, sealed: bytes | None) -> Mapping[str, str]:
    """Returns stored credentials, of which there may be none; raises SourceFailed for those that do not open."""
    if sealed is None:
        return {}
    try:
        opened: Mapping[str, str] = orjson.loads(sealing.unseal(key, _USE, (source_id,), sealed, _place(kind, address)))
    except (sealing.DamagedSecret, ValueError) as error:
        detail = "The stored credentials are not for this address, or are damaged; give them anew."
        raise SourceFailed("credentials_damaged", detail) from error
    return opened


def _place(kind: str, address: str) -> str:
    """Returns what credentials are for; raises ValueError for several origins, each of which would be sent them."""
    (origin,) = origins_of(address)
    return f"{kind} {origin}"
