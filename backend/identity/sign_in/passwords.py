"""Passwords, kept as argon2id hashes."""

import os
import unicodedata

from anyio import CapacityLimiter, to_thread
from passlib.context import CryptContext

# The first parameter set of the OWASP Password Storage Cheat Sheet; about 50 ms on a server core.
MEMORY_KIB = 47_104
PASSES = 1
LANES = 1

# PCI DSS 4.0.1, requirement 8.3.6.
MIN_CHARACTERS = 12
MAX_BYTES = 1024
_TOO_LONG = f"A password has at most {MAX_BYTES} bytes."

# Every hash in progress holds MEMORY_KIB and a core. Without a bound, a burst of logins takes the memory and
# the processor of everybody else.
_CONCURRENT_HASHES = CapacityLimiter(min(4, os.cpu_count() or 1))

_ARGON2ID = CryptContext(
    schemes=["argon2"],
    argon2__type="ID",
    argon2__memory_cost=MEMORY_KIB,
    argon2__time_cost=PASSES,
    argon2__parallelism=LANES,
)

# No known password has this hash, and checking one against it costs what checking a real one costs.
DUMMY_HASH = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${'A' * 22}${'A' * 43}"


class UnacceptablePassword(ValueError):
    """The password cannot be used; the message says why and never repeats it."""


def hash_password(password: str) -> str:
    """Returns the argon2id hash of a new password in PHC string format, with a salt of its own.

    Raises UnacceptablePassword when it has fewer than 12 characters, more than 1,024 bytes, a NUL character
    or a lone surrogate.
    """
    if len(password) < MIN_CHARACTERS:
        message = f"A password has at least {MIN_CHARACTERS} characters."
        raise UnacceptablePassword(message)
    return str(_ARGON2ID.hash(_secret(password)))


def verify_password(password: str, stored_hash: str) -> bool:
    """Tells whether the password is the one that was hashed; an unacceptable one takes the same time.

    Raises ValueError when `stored_hash` is no argon2 hash: a damaged row is a fault and not a wrong password.
    """
    try:
        secret = _secret(password)
    except UnacceptablePassword:
        return verify_against_nothing()
    return bool(_ARGON2ID.verify(secret, stored_hash))


def verify_against_nothing(password: str = "") -> bool:
    """Refuses after the time of verify_password, so that an unknown user answers no sooner than a known."""
    try:
        secret = _secret(password)
    except UnacceptablePassword:
        secret = b""
    _ARGON2ID.verify(secret, DUMMY_HASH)
    return False


async def hash_password_async(password: str) -> str:
    """Runs hash_password in one of a few threads, off the event loop."""
    return await to_thread.run_sync(hash_password, password, limiter=_CONCURRENT_HASHES)


async def verify_password_async(password: str, stored_hash: str) -> bool:
    """Runs verify_password in one of a few threads, off the event loop."""
    return await to_thread.run_sync(verify_password, password, stored_hash, limiter=_CONCURRENT_HASHES)


async def verify_against_nothing_async(password: str) -> bool:
    """Runs verify_against_nothing in one of a few threads, off the event loop."""
    return await to_thread.run_sync(verify_against_nothing, password, limiter=_CONCURRENT_HASHES)


def _secret(password: str) -> bytes:
    """Returns the bytes to hash, in NFC: keyboards spell one accented letter differently (RFC 8265)."""
    if len(password) > MAX_BYTES:  # before normalisation, whose cost grows with the length
        raise UnacceptablePassword(_TOO_LONG)
    if "\0" in password:
        message = "A password holds no NUL character."
        raise UnacceptablePassword(message)
    try:
        secret = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError as error:
        message = "A password holds only complete Unicode characters."
        raise UnacceptablePassword(message) from error
    if len(secret) > MAX_BYTES:
        raise UnacceptablePassword(_TOO_LONG)
    return secret
