"""Signed checkpoints of a log: C2SP signed-note and tlog-checkpoint, with Ed25519 signatures (type 0x01).

    affidavit.example/0193…     origin: the signing key's name and the tenant
    1208                        number of leaves
    pFzU0b1x…=                  root hash, base64
    time 1795500000123          extension line: when it was signed, milliseconds since 1970 UTC

    — affidavit.example 9kPe…=  base64 of key id (4 bytes) and signature of the text above the empty line

So is the log over all tenants signed; a tenant's own checkpoint is proven by that: see `backend/ledger/rounds.py`.

The time rides in an extension line, which the specification allows and other readers pass over. A public key
is handed out as one line `name+keyid+base64`, the specification's verifier key.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from backend.ledger import verifier
from backend.ledger.merkle import HASH_BYTES

MAX_NOTE_LENGTH = 64 * 1024
_ED25519 = b"\x01"
_LINES = 5  # Four of content, and what split() leaves behind the final newline.
_KEY_ID_BYTES = 4
_NAME = re.compile(r"[^\s+\x00-\x1f]+")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_TIME_LINE = re.compile(r"time (0|[1-9][0-9]{0,18})")


class InvalidNote(ValueError):
    """The text is not a well-formed note, or not one that the given keys vouch for."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to: its first `size` leaves have the root `root`. `time` is in Unix milliseconds."""

    origin: str
    size: int
    root: bytes
    time: int

    def __post_init__(self) -> None:
        if not self.origin or not self.origin.isprintable():
            raise InvalidNote("the origin is empty or not printable")
        if not 0 <= self.size < 2**63 or not 0 <= self.time < 2**63 or len(self.root) != HASH_BYTES:
            raise InvalidNote("size, time or root is out of range")

    @property
    def text(self) -> str:
        """The note text, which signatures cover, with its final newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\ntime {self.time}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a note text, passing over extension lines after the time; raises InvalidNote."""
        lines = text.split("\n")
        if len(lines) < _LINES or lines.pop() or not all(lines):
            raise InvalidNote("a checkpoint is origin, size, root and time, one a line")
        origin, size, root, time = lines[:4]
        moment = _TIME_LINE.fullmatch(time)
        if moment is None or not _DECIMAL.fullmatch(size):
            raise InvalidNote("the size or the time of the checkpoint is malformed")
        return cls(origin, int(size), _decode(root), int(moment[1]))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A named Ed25519 public key."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidNote("a key name is not empty and holds neither spaces nor '+'")
        if len(self.public) != HASH_BYTES:
            raise InvalidNote("an Ed25519 public key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """The four bytes that mark this key's signatures."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Reads the line that `str` writes; raises InvalidNote for any other spelling."""
        name, _, rest = line.strip().partition("+")
        _, _, encoded = rest.partition("+")
        key = cls(name, _decode(encoded)[1:])
        if str(key) != line.strip():
            raise InvalidNote("not an Ed25519 verifier key, or its key id is not its own")
        return key

    def verifies(self, text: str, signature: bytes) -> bool:
        """Tells whether `signature` over `text` is this key's."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A named Ed25519 private key."""

    name: str
    private: Ed25519PrivateKey

    @classmethod
    def generate(cls, name: str) -> Self:
        """Returns a new random key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, name: str, pem: bytes, password: bytes | None = None) -> Self:
        """Reads what `pem` wrote; raises ValueError or TypeError when the file or the password is wrong."""
        private = load_pem_private_key(pem, password)
        if not isinstance(private, Ed25519PrivateKey):
            raise InvalidNote("the checkpoint key is not an Ed25519 key")
        return cls(name, private)

    def pem(self, password: bytes | None = None) -> bytes:
        """Returns the key as PKCS #8 PEM. Whoever stores it keeps everyone else from reading it."""
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    @property
    def verifier_key(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw())

    def signature_line(self, text: str) -> str:
        """Returns the signature line over `text`, with its newline."""
        signature = self.verifier_key.key_id + self.private.sign(text.encode())
        return f"— {self.name} {base64.b64encode(signature).decode()}\n"


def log_origin(key_name: str, log: str) -> str:
    """Returns the origin of one log (a tenant's id, or the name of the log over all tenants) of a service."""
    return f"{key_name}/{log}"


def sign_checkpoint(checkpoint: Checkpoint, *keys: SigningKey) -> str:
    """Returns the signed note of a checkpoint, with a signature line of each key."""
    return sign_text(checkpoint.text, *keys)


def sign_text(text: str, *keys: SigningKey) -> str:
    """Returns the signed note of a text that ends in a newline, with a signature line of each key."""
    return f"{text}\n{''.join(key.signature_line(text) for key in keys)}"


def open_checkpoint(note: str, keys: Iterable[VerifierKey]) -> Checkpoint:
    """Returns the checkpoint in `note` if at least one of `keys` signed it, or what proves it.

    Raises InvalidNote otherwise, and also when a signature that names one of the keys does not verify.
    Signatures of unknown keys (witnesses, rotated keys) are passed over, as the specification asks.
    """
    if f"\n\n{verifier.PROOF}\n" in note:
        return open_kept(note, keys)[0]
    text, signatures = _split(note)
    known = {(key.name, key.key_id): key for key in keys}
    verified = 0
    for name, key_id, signature in signatures:
        key = known.get((name, key_id))
        if key is None:
            continue
        if not key.verifies(text, signature):
            raise InvalidNote(f"the signature of {name} does not verify")
        verified += 1
    if not verified:
        raise InvalidNote("none of the given keys signed this note")
    return Checkpoint.parse(text)


def open_kept(text: str, keys: Iterable[VerifierKey]) -> list[Checkpoint]:
    """Returns all that a signed note, a proof or a round vouches for, the signed one last.

    Raises InvalidNote unless one of `keys` signed it and it proves everything else.
    """
    try:
        opened = verifier.open_text(text, verifier.Keys("\n".join(map(str, keys))))
    except ValueError as error:
        raise InvalidNote(str(error)) from None
    for one in opened.checkpoints:
        if one.signer is None:
            raise InvalidNote(one.fault or "none of the given keys signed this note")
    found = dict.fromkeys((*opened.checkpoints, *opened.views[:1]))
    return [Checkpoint(one.origin, one.size, one.root, one.time) for one in found]


def _split(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Returns the text of a note and its signatures as (key name, key id, signature)."""
    if len(note) > MAX_NOTE_LENGTH or any(character < " " and character != "\n" for character in note):
        raise InvalidNote("the note is too long or contains control characters")
    head, separator, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not separator or lines.pop() or not lines:
        raise InvalidNote("a note is a text, an empty line, and signature lines")
    return head + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    match = _SIGNATURE_LINE.fullmatch(line)
    if match is None:
        raise InvalidNote("malformed signature line")
    signature = _decode(match[2])
    if len(signature) <= _KEY_ID_BYTES:
        raise InvalidNote("a signature is too short")
    return match[1], signature[:_KEY_ID_BYTES], signature[_KEY_ID_BYTES:]


def _decode(text: str) -> bytes:
    """Decodes base64 in its only canonical spelling."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidNote("malformed base64") from None
    if base64.b64encode(decoded).decode() != text:
        raise InvalidNote("base64 is not in its canonical form")
    return decoded
