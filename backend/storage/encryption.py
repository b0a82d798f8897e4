"""Encrypts streams of any length in constant memory: AES-256-GCM over segments, whose order and end are authenticated.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance", 2015): a nonce counts the segments and marks the last one, so that none can be exchanged, repeated,
left out or cut off. Each stream has a key of its own, derived by HKDF from the data key, a random salt and its name.

Format: `AFS1`, 32 bytes of salt, then segments of 64 KiB, each with its 16-byte tag; the last one is shorter or empty.
"""

import os
from collections.abc import AsyncIterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"AFS1"
SALT_BYTES = 32
SEGMENT_BYTES = 64 * 1024
_TAG_BYTES = 16
_HEADER_BYTES = len(MAGIC) + SALT_BYTES


class DamagedObject(Exception):
    """The stored bytes are not what was stored, or not under the name under which they were."""


async def encrypt(plain: AsyncIterator[bytes], data_key: bytes, name: str) -> AsyncIterator[bytes]:
    """Yields the encrypted stream."""
    salt = os.urandom(SALT_BYTES)
    cipher = _cipher(data_key, salt, name)
    yield MAGIC + salt
    number, waiting = 0, bytearray()
    async for piece in plain:
        waiting += piece
        while len(waiting) >= SEGMENT_BYTES:
            yield cipher.encrypt(_nonce(number, last=False), bytes(waiting[:SEGMENT_BYTES]), None)
            del waiting[:SEGMENT_BYTES]
            number += 1
    yield cipher.encrypt(_nonce(number, last=True), bytes(waiting), None)


async def decrypt(sealed: AsyncIterator[bytes], data_key: bytes, name: str) -> AsyncIterator[bytes]:
    """Yields the plain stream, each segment once it is authentic; raises DamagedObject."""
    waiting = bytearray()
    cipher: AESGCM | None = None
    number = 0
    async for piece in sealed:
        waiting += piece
        if cipher is None and len(waiting) >= _HEADER_BYTES:
            if not waiting.startswith(MAGIC):
                raise DamagedObject(name)
            cipher = _cipher(data_key, bytes(waiting[len(MAGIC) : _HEADER_BYTES]), name)
            del waiting[:_HEADER_BYTES]
        # A whole segment is never the last one.
        while cipher is not None and len(waiting) >= SEGMENT_BYTES + _TAG_BYTES:
            yield _opened(cipher, _nonce(number, last=False), bytes(waiting[: SEGMENT_BYTES + _TAG_BYTES]), name)
            del waiting[: SEGMENT_BYTES + _TAG_BYTES]
            number += 1
    if cipher is None:
        raise DamagedObject(name)
    yield _opened(cipher, _nonce(number, last=True), bytes(waiting), name)


def _cipher(data_key: bytes, salt: bytes, name: str) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), 32, salt=salt, info=b"affidavit stream " + name.encode()).derive(data_key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _opened(cipher: AESGCM, nonce: bytes, segment: bytes, name: str) -> bytes:
    try:
        return cipher.decrypt(nonce, segment, None)
    except (InvalidTag, ValueError) as error:
        raise DamagedObject(name) from error
