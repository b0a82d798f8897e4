"""One-time codes by time (RFC 6238), and codes that stand in for one once. Pure: nothing is kept here."""

import hashlib
import hmac
import os
import secrets
from base64 import b32encode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP_SECONDS = 30
DRIFT_STEPS = 1  # a telephone's clock and ours differ, and typing takes a while
DIGITS = 6
ISSUER = "Affidavit"
RECOVERY_CODES = 10

_SECRET_BYTES = 20  # of SHA-1, which every authenticator app knows
_RECOVERY_GROUPS, _GROUP_CHARACTERS = 4, 4
_RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # 79 bits in a code, and nothing that is read as something else


def new_secret() -> bytes:
    """Makes what an authenticator app and the service share."""
    return os.urandom(_SECRET_BYTES)


def spelt(secret: bytes) -> str:
    """Returns a secret as people type it into an app."""
    return b32encode(secret).decode("ascii")


def address(secret: bytes, account: str) -> str:
    """Returns the `otpauth:` address that an app reads from a QR code."""
    return _totp(secret).get_provisioning_uri(account, ISSUER)


def step_of(secret: bytes, code: str, now: float) -> int | None:
    """Returns the time step that a code belongs to; None for a code that is wrong at `now`, in seconds since the epoch."""
    current, totp = int(now) // STEP_SECONDS, _totp(secret)
    steps = range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1)
    presented = code.encode(errors="replace")
    right = [step for step in steps if hmac.compare_digest(totp.generate(step * STEP_SECONDS), presented)]
    return right[0] if right else None


def looks_like_step(code: str) -> bool:
    """Tells whether somebody shows a code of an app, and not a recovery code."""
    return len(code) == DIGITS and code.isascii() and code.isdigit()


def new_recovery_codes() -> list[str]:
    """Makes the codes for who has lost the app."""
    return ["-".join(_group() for _ in range(_RECOVERY_GROUPS)) for _ in range(RECOVERY_CODES)]


def recovery_digest(code: str) -> bytes:
    """Returns what is stored of a recovery code, however its groups and case are typed. A random code needs no slow hash."""
    spelling = "".join(character for character in code.lower() if character.isalnum())
    return hashlib.sha256(spelling.encode(errors="replace")).digest()


def _group() -> str:
    return "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(_GROUP_CHARACTERS))


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303 - of RFC 6238; collisions do not matter to an HMAC
