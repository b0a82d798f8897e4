"""Opaque bearer secrets, `<prefix>_<lookup id>_<secret>_<checksum>`: API keys and refresh tokens.

The prefix lets secret scanners find one that leaked, and the checksum lets a typo be refused without a
database look-up. The lookup id is public: it finds the row and may be logged. It begins with the tag of the tenant
whose secret it is, by which every cell's processes know where that is at home. Only the SHA-256 digest of the
whole text is stored. A fast hash is right here, unlike for passwords: a uniformly random secret of 196 bits
cannot be guessed.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from uuid import UUID

from backend.tenancy import TAG_LENGTH, tenant_tag

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LOOKUP_ID_LENGTH = 12  # a tag, and 29 bits that tell apart what a tenant has; all of it is no secret
_SECRET_LENGTH = 33  # 196 bits
_CHECKSUM_LENGTH = 6  # a CRC-32 in base 62


class MalformedSecret(ValueError):
    """The text is not one that was ever minted: wrong prefix, length, alphabet or checksum."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A freshly minted secret; the plaintext is shown once, and only lookup id and digest are stored."""

    plaintext: str = field(repr=False)
    lookup_id: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class ParsedSecret:
    """A well-formed secret as presented; whether it is a live one, only the stored digest can tell."""

    lookup_id: str
    digest: bytes

    @property
    def tag(self) -> str:
        """The tag of the tenant whose it is, in all that were minted since there are tags."""
        return self.lookup_id[:TAG_LENGTH]

    def matches(self, stored_digest: bytes) -> bool:
        """Compares with a stored digest in constant time."""
        return hmac.compare_digest(self.digest, stored_digest)


class SecretFormat:
    """Mints and parses the secrets of one prefix."""

    def __init__(self, prefix: str) -> None:
        """Fixes the prefix, without its underscore."""
        self._prefix = prefix
        self.scanner_pattern = (
            rf"\b{prefix}_[0-9A-Za-z]{{{_LOOKUP_ID_LENGTH}}}"
            rf"_[0-9A-Za-z]{{{_SECRET_LENGTH}}}_[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}}\b"
        )
        self._shape = re.compile(self.scanner_pattern)

    def mint(self, tenant_id: UUID | None = None) -> NewSecret:
        """Makes a new secret from the system's random source, of a tenant or of the operator."""
        tag = "" if tenant_id is None else tenant_tag(tenant_id)
        lookup_id = tag + _random_base62(_LOOKUP_ID_LENGTH - len(tag))
        body = f"{self._prefix}_{lookup_id}_{_random_base62(_SECRET_LENGTH)}"
        plaintext = f"{body}_{_checksum(body)}"
        return NewSecret(plaintext, lookup_id, _digest(plaintext))

    def parse(self, text: str) -> ParsedSecret:
        """Returns what looks the secret up and proves it; raises MalformedSecret."""
        if not self._shape.fullmatch(text):
            raise MalformedSecret
        body, checksum = text.rsplit("_", 1)
        if checksum != _checksum(body):
            raise MalformedSecret
        _, lookup_id, _ = body.split("_")
        return ParsedSecret(lookup_id, _digest(text))

    def claims(self, text: str) -> bool:
        """Tells whether the text starts like one of these secrets, well-formed or not."""
        return text.startswith(f"{self._prefix}_")


_ANY_SECRET = re.compile(rf"[a-z]{{2,4}}_([0-9A-Za-z]{{{TAG_LENGTH}}})[0-9A-Za-z]+_")


def tag_of_secret(text: str) -> str | None:
    """Returns the tag in what looks like a secret of any prefix; whether it is one, only who parses it says."""
    found = _ANY_SECRET.match(text)
    return found[1] if found else None


def _digest(plaintext: str) -> bytes:
    return hashlib.sha256(plaintext.encode("ascii")).digest()


def _random_base62(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def _checksum(body: str) -> str:
    """Returns the CRC-32 of the text in base 62. It catches slips and authenticates nothing."""
    remainder = zlib.crc32(body.encode("ascii"))
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        remainder, digit = divmod(remainder, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
