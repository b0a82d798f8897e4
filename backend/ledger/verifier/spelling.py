"""JSON, hashes and times, each in one spelling only."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from backend.ledger.verifier.findings import shown

_HASH = re.compile(r"[0-9a-f]{64}")
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_SECOND = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.")
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


def _refuse_number(text: str) -> None:
    raise ValueError(f"the number {shown(text)} is not an integer")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object names a member twice")
    return members


# Checking each object of each envelope for repeated names would halve the speed, and could reveal only what the
# log itself had sealed; of a repeated name the last counts, as in PostgreSQL's jsonb.
ENVELOPES = json.JSONDecoder(parse_float=_refuse_number, parse_constant=_refuse_number)
_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_refuse_number, parse_constant=_refuse_number)


def object_of(text: str) -> dict[str, Any]:
    """Reads a JSON object in which no name stands twice; raises ValueError."""
    try:
        value = _STRICT.decode(text)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004
    return value


def members_of(text: str, allowed: set[str], *required: str) -> dict[str, Any]:
    """Reads an object of these members; raises ValueError."""
    members = object_of(text)
    if not members or not set(required) <= members.keys() <= allowed:
        raise ValueError("missing or unexpected members")
    return members


def hash_of(text: object) -> bytes:
    """Reads a hash; raises ValueError."""
    if not isinstance(text, str) or not _HASH.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a hash")
    return bytes.fromhex(text)


def hashes_of(value: object) -> list[bytes]:
    """Reads a list of hashes; raises ValueError."""
    if not isinstance(value, list) or len(value) > 128:
        raise ValueError("a list of hashes is expected")
    return [hash_of(item) for item in value]


def base64_of(text: object) -> bytes:
    """Reads canonical base64; raises ValueError."""
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("base64 is expected")
    decoded = base64.b64decode(text, validate=True)
    if base64.b64encode(decoded).decode() != text:
        raise ValueError("base64 is not in its canonical form")
    return decoded


def milliseconds_of(text: object) -> int:
    """Reads a time as Unix milliseconds; raises ValueError."""
    if not isinstance(text, str) or len(text) != 27 or text[26] != "Z":
        raise ValueError(f"{shown(text)} is not a time")
    fraction = text[20:26]
    if not fraction.isdecimal() or not fraction.isascii():
        raise ValueError(f"{shown(text)} is not a time")
    return second_of(text[:20].encode()) + int(fraction[:3])


@lru_cache(maxsize=16)
def second_of(text: bytes) -> int:
    """Reads a time up to the point behind its seconds as Unix milliseconds; raises ValueError."""
    if not _SECOND.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a time")
    return (datetime.fromisoformat(text[:19].decode() + "Z") - _EPOCH) // _MILLISECOND


def moment_of(milliseconds: int) -> str:
    """Returns Unix milliseconds as people read them."""
    try:
        return (_EPOCH + milliseconds * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"{milliseconds} ms"
