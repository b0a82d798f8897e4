"""Signed checkpoints (C2SP signed-note, tlog-checkpoint), and declarations of what was lost."""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from backend.ledger.verifier.bundle_format import TOLERANCE
from backend.ledger.verifier.spelling import base64_of

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_STAMP = re.compile(r"time (0|[1-9][0-9]{0,18})")
_SIGNATURE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_ED25519 = b"\x01"


class OpenedCheckpoint(NamedTuple):
    """A tree head; `signer` is None when none of the given keys vouches for it. Time in Unix ms.

    Of a checkpoint that is not signed by itself, `proven_by` is the signed one of the log of all, and `fault` says why
    that does not prove it. `log` is by what a log of all checkpoints differs from those of other cells.
    """

    origin: str
    size: int
    root: bytes
    time: int
    signer: str | None = None
    log: str = ""
    proven_by: "OpenedCheckpoint | None" = None
    fault: str = ""


FOREVER = 2**63


class Trusted(NamedTuple):
    """For what a key is trusted: notes that it dated from `since` to `until`, in Unix ms."""

    since: int = 0
    until: int = FOREVER


class Keys:
    """The public keys that may have signed, from lines `name+keyid+base64`; handovers add others."""

    def __init__(self, lines: str) -> None:
        self._keys: dict[tuple[str, bytes], tuple[Ed25519PublicKey, Trusted]] = {}
        for line in filter(None, map(str.strip, lines.splitlines())):
            self.add(line, Trusted())
        if not self._keys:
            raise ValueError("no key is given")

    def add(self, line: str, trusted: Trusted) -> None:
        """Trusts one more key; raises ValueError when its line is malformed."""
        name, expected, public = _key_of(line)
        self._keys[name, expected] = Ed25519PublicKey.from_public_bytes(public), trusted

    def trusts(self, line: str, when: int) -> bool:
        """Tells whether a key is trusted for what is dated `when`."""
        name, identifier, _ = _key_of(line)
        known = self._keys.get((name, identifier))
        return known is not None and known[1].since <= when <= known[1].until

    def signer(self, text: str, signature_lines: Iterable[str], when: int) -> str | None:
        """Returns the name of a key that signed `text`, dated `when`; None if none did, or one that is named did not."""
        signer = None
        for line in signature_lines:
            match = _SIGNATURE.fullmatch(line)
            if match is None:
                raise ValueError("malformed signature line")
            name, signature = match[1], base64_of(match[2])
            key, trusted = self._keys.get((name, signature[:4]), (None, Trusted()))
            if key is not None and trusted.since <= when <= trusted.until:
                try:
                    key.verify(signature[4:], text.encode())
                except InvalidSignature:
                    return None
                signer = name
        return signer


def _key_of(line: str) -> tuple[str, bytes, bytes]:
    """Returns name, id and public key of a line; raises ValueError."""
    name, _, rest = line.partition("+")
    identifier, _, encoded = rest.partition("+")
    public = base64_of(encoded)
    expected = sha256(name.encode() + b"\n" + public).digest()[:4]
    if not name or public[:1] != _ED25519 or len(public) != 33 or identifier != expected.hex():
        raise ValueError("not an Ed25519 verifier key (name+keyid+base64)")
    return name, expected, public[1:]


def open_note(note: object, keys: Keys) -> OpenedCheckpoint:
    """Reads a signed note; raises ValueError when malformed. The caller judges the signer."""
    head, separator, tail = text_of(note).rpartition("\n\n")
    signatures = tail.split("\n")
    if not separator or signatures.pop() or not signatures:
        raise ValueError("a checkpoint is origin, size, root, time, an empty line and signatures")
    opened = open_head(head)
    return opened._replace(signer=keys.signer(head + "\n", signatures, opened.time))


def text_of(note: object) -> str:
    """Returns a note; raises ValueError for anything but lines of text."""
    if not isinstance(note, str) or any(character < " " and character != "\n" for character in note):
        raise ValueError("a signed note is expected")
    return note


def open_head(head: str) -> OpenedCheckpoint:
    """Reads what signatures cover, without its final newline, and passes over lines after the time; raises ValueError."""
    lines = head.split("\n")
    if len(lines) < 4 or not all(lines):
        raise ValueError("a checkpoint is origin, size, root, time, an empty line and signatures")
    origin, size, root, stamp = lines[:4]
    moment, decoded = _STAMP.fullmatch(stamp), base64_of(root)
    if not _SIZE.fullmatch(size) or moment is None or len(decoded) != 32:
        raise ValueError("size, root or time of the checkpoint is malformed")
    log = next((line.removeprefix("log ") for line in lines[4:] if line.startswith("log ")), "")
    return OpenedCheckpoint(origin, int(size), decoded, int(moment[1]), log=log)


class Declaration(NamedTuple):
    """What the operator declared that a restored database has lost: all from `left` to `newest`, both of the old history."""

    left: OpenedCheckpoint
    newest: OpenedCheckpoint
    reason: str

    def explains(self, kept: OpenedCheckpoint) -> bool:
        """Tells whether a kept checkpoint is one of those that were lost."""
        return self.left.size < kept.size <= self.newest.size and kept.time <= self.left.time


_LOST = re.compile(r"lost (0|[1-9][0-9]{0,18}) (\S+) (0|[1-9][0-9]{0,18})")


def open_declaration(note: object, keys: Keys) -> Declaration:
    """Reads a declaration; raises ValueError when malformed. The caller judges the signer."""
    left = open_note(note, keys)
    lines = str(note).split("\n")
    lost, reason = _LOST.fullmatch(lines[4]), lines[5] if len(lines) > 5 else ""
    if lost is None or not reason.startswith("reason ") or len(root := base64_of(lost[2])) != 32:
        raise ValueError("a declaration says what was lost, and the reason")
    newest = left._replace(size=int(lost[1]), root=root, time=int(lost[3]))
    if newest.size <= left.size or newest.time > left.time + TOLERANCE:
        raise ValueError("a declaration says that nothing was lost, or something of later")
    return Declaration(left, newest, reason.removeprefix("reason "))
