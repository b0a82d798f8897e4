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
NEEDED = {
    "s3": frozenset({"access_key", "secret_key"}), "imap": frozenset({"username", "password"}),
    "graph": frozenset({"client_id", "client_secret"}),
}  # fmt: skip
"""What sources of these kinds are always asked with; others may be asked without."""
_PORTS = {"http": 80, "https": 443, "imaps": 993}


def origin_of(url: str) -> str:
    """Returns scheme, host and port of an address that may be asked, each always said."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS.get(parts.scheme)}"


def origins_of(address: str) -> frozenset[str]:
    """Returns the origins of the addresses of a source."""
    return frozenset(map(origin_of, address.split()))


def seal(key: TenantKey, source_id: UUID, place: str, credentials: Mapping[str, str]) -> bytes:
    """Returns credentials as they are stored, for one place."""
    return sealing.seal(key, _USE, (source_id,), orjson.dumps(credentials), place)


def unseal(key: TenantKey, source_id: UUID, place: str, sealed: bytes) -> Mapping[str, str]:
    """Returns stored credentials; raises SourceFailed for those that do not open."""
    try:
        opened: Mapping[str, str] = orjson.loads(sealing.unseal(key, _USE, (source_id,), sealed, place))
    except (sealing.DamagedSecret, ValueError) as error:
        detail = "The stored credentials are not for this address, or are damaged; give them anew."
        raise SourceFailed("credentials_damaged", detail) from error
    return opened


def place_of(kind: str, address: str, options: Mapping[str, str]) -> str:
    """Returns what credentials are for; raises SourceFailed for several origins, each of which would be sent them.

    Where a directory grants tokens, the secret goes there.
    """
    origins = origins_of(address)
    if len(origins) != 1:
        raise SourceFailed("credentials_damaged", "Credentials are for one server, and these addresses are on several.")
    (origin,) = origins
    authority = options.get("authority")
    return f"{kind} {origin}" if authority is None else f"{kind} {origin} {authority}"
