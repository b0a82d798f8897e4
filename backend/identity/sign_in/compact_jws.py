"""The strict reading of a signed token's compact form, before any library sees it.

python-jose (see tokens.py), like many, tolerates padding, white space and foreign characters in the encoded parts, so that
one token has many spellings. Here each token has one.
"""

import base64
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_CHARACTERS = 4096
_COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class Refusal(StrEnum):
    """Why a token was refused; for the log, never for the caller."""

    TOO_LARGE = "token:too_large"
    NOT_COMPACT = "token:not_compact"
    BAD_HEADER = "token:bad_header"
    BAD_ALGORITHM = "token:bad_algorithm"
    BAD_TYPE = "token:bad_type"
    UNKNOWN_KEY = "token:unknown_key"
    BAD_SIGNATURE = "token:bad_signature"
    BAD_CLAIMS = "token:bad_claims"
    WRONG_ISSUER = "token:wrong_issuer"
    WRONG_AUDIENCE = "token:wrong_audience"
    WRONG_NONCE = "token:wrong_nonce"
    EXPIRED = "token:expired"
    NOT_YET_VALID = "token:not_yet_valid"


class InvalidToken(Exception):
    """The token is refused, for `reason`."""

    def __init__(self, reason: Refusal) -> None:
        """Keeps the reason, which is also the message."""
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CompactJws:
    """The decoded parts of a well-formed token. Nothing in it is verified yet."""

    header: dict[str, Any]
    payload: bytes
    signature: bytes


def split(token: str, *, max_characters: int = MAX_CHARACTERS) -> CompactJws:
    """Returns the parts of a token in its only correct spelling; raises InvalidToken."""
    if len(token) > max_characters:
        raise InvalidToken(Refusal.TOO_LARGE)
    if not _COMPACT_FORM.fullmatch(token):
        raise InvalidToken(Refusal.NOT_COMPACT)
    header, payload, signature = map(_from_base64url, token.split("."))
    return CompactJws(json_object(header, Refusal.BAD_HEADER), payload, signature)


def json_object(octets: bytes, refusal: Refusal) -> dict[str, Any]:
    """Parses a JSON object; raises InvalidToken, also for NaN and for members that are named twice.

    Parsers disagree on which of two equal names counts: one could check the first, another use the second.
    """
    try:
        parsed = json.loads(octets.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # 4,096 characters can nest too deeply to parse
        raise InvalidToken(refusal) from error
    if not isinstance(parsed, dict):
        raise InvalidToken(refusal)
    return parsed


def to_base64url(octets: bytes) -> str:
    """Encodes without padding (RFC 7515, appendix C)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _from_base64url(part: str) -> bytes:
    """Decodes one part and refuses spellings that decode alike but differ in their unused last bits."""
    try:
        octets = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError as error:
        raise InvalidToken(Refusal.NOT_COMPACT) from error
    if to_base64url(octets) != part:
        raise InvalidToken(Refusal.NOT_COMPACT)
    return octets


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) != len(members):
        message = "A member is named twice."
        raise ValueError(message)
    return unique


def _no_constant(name: str) -> object:
    message = f"{name} is no JSON number."
    raise ValueError(message)
