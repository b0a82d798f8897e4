"""Verifies an exported audit log offline: `python verifier.py BUNDLE --key PUBKEY`.

This file stands alone, on purpose: whoever is handed it can read it and run it, with Python 3.11 and the
`cryptography` package and nothing of the service that made the export. It trusts only the public key, and the
checkpoints that a reviewer kept (`--checkpoints`), which alone can tell a rewritten history from the true one
if the signing key was stolen.

A bundle is a zip archive of these members, each stored (which verifies fastest) or deflated. JSON is UTF-8 without floats;
every line ends in a newline; hashes are lowercase hexadecimal; times are RFC 3339, UTC, with six decimals and `Z`.

manifest.json     what the export says of itself, one object with exactly these members:
  schema          "affidavit-bundle/1"
  tenant          the tenant's id
  complete        true: every leaf from first_leaf to end_leaf is here; false: only events that match `filters`
  revealed        true: every payload is here or marked as erased; false: payloads may be left out
  from, to        the period that was asked for
  filters         an object, empty when complete
  first_leaf      index of the first leaf; when complete and not 0, the size of the first checkpoint
  end_leaf        index after the last leaf; when complete, the size of a checkpoint
  frontier        when complete: the roots of the perfect subtrees before first_leaf, largest first; else []
  events          number of lines of events.ndjson

checkpoints.ndjson, oldest first, one line each
  {"checkpoint": C}                        C: the signed note (C2SP tlog-checkpoint with a line `time <Unix ms>`)
  {"checkpoint": C, "consistency": [h…]}   with the RFC 6962 proof from the checkpoint of the line before; needed
                                           unless both sizes lie within the leaves of a complete export
  The first is the newest signed no later than `from` (unless first_leaf is 0); the last cover all events.

events.ndjson, in the order of the log, one line each, members in this order and no spaces between them
  {"leaf":N,"envelope":E}                  E: the sealed text itself, whose UTF-8 bytes are the leaf
    ,"payloads":[P…]                       P: {"name","salt","text"} with salt in base64, or {"name","erased":true}
    ,"proof":[h…]                          inclusion in the first checkpoint here that covers N; unless complete
    ,"hash":h                              the hash that was sealed, if E no longer has it
  {"leaf":N,"hash":h}                      a sealed leaf whose event is gone

erasures.ndjson (may be absent): lines as above, of `erasure:executed` and `audit:archived` events outside the
  exported ones, which account for payloads erased and leaves archived; their proofs lead to the last checkpoint.

declarations.ndjson (may be absent), one line each: {"declaration": D}. D: a signed note like a checkpoint, of the origin
  NAME/restored/TENANT, with what was left of the log in a restored database, and two more lines: `lost <leaves> <root>
  <Unix ms>`, the newest checkpoint that was lost, and `reason <text>`. Kept checkpoints of what was lost are then no fork.

unsealed.ndjson (may be absent), one line each: {"envelope": E}, events of the period that were in no leaf when the
  export was made.

Members of an envelope that are read: id (UUID version 7), tenant, action, time; turn, which ties a
`prompt:submitted` to its `answer:*`; payloads, {name: {"commitment": hex HMAC-SHA-256(salt, text), "bytes": n}};
erased, [{"event": id, "payloads": [name…]}], in an `erasure:executed`; archive, {"first_leaf", "end_leaf", "sha256"
of the bundle that holds these leaves, "month"}, in an `audit:archived`.

Several bundles are verified together: the parts of one export, or an export and the archives that it points to.
"""

import argparse
import base64
import hmac
import io
import json
import re
import sys
import time
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache, partial
from hashlib import file_digest, sha256
from itertools import accumulate
from operator import add, sub
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SCHEMA = "affidavit-bundle/1"
MANIFEST, CHECKPOINTS, EVENTS, ERASURES = ("manifest.json", "checkpoints.ndjson", "events.ndjson", "erasures.ndjson")
DECLARATIONS, UNSEALED = "declarations.ndjson", "unsealed.ndjson"

TOLERANCE = 120_000
"""Milliseconds by which a time may contradict the order of the log: open transactions and unequal clocks."""
TURN_LIMIT = 300_000
"""Milliseconds that an answer may take; a prompt this old when the export ends ought to have one."""
ARCHIVED_AFTER = 365 * 86_400_000
"""Milliseconds for which every event is kept in the log: what is younger cannot have left for an archive."""

MAX_LINE_BYTES = 8 * 2**20
MAX_MANIFEST_BYTES = 2**20

MAX_RATIO, RATIO_APPLIES_FROM = 200, 2**30  # A bomb costs time, not memory: members are streams.
MAX_SHOWN = 1000  # Findings of one kind; more are counted, not listed.
MAX_TRACKED = 5_000_000  # Ids, open turns or erased payloads held in memory at once.
MAX_READ_BYTES = 2**23  # At once, of the archive file.
_CHUNK = 2**18


class BadBundle(Exception):
    """The bundle cannot be read any further."""


# --- Findings ------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a finding says. NOTE explains; LOST says what a declaration admits; INVALID, MISSING and GAP convict."""

    OK = "OK"
    NOTE = "NOTE"
    ERASED = "ERASED"
    ARCHIVED = "ARCHIVED"
    LOST = "LOST"
    MISSING = "MISSING"
    GAP = "GAP"
    INVALID = "INVALID"


OK, NOTE, ERASED, ARCHIVED, LOST, MISSING, GAP, INVALID = Kind
CONVICTING = (INVALID, MISSING, GAP)


class Finding(NamedTuple):
    """One line of the report."""

    kind: Kind
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind:<7} {self.subject}: {self.detail}"


@dataclass
class Report:
    """What the verification found; `counts` also counts what was too much to list.

    `tenant` and `leaves` are what the bundle covers; `archives` the hashes of the bundles that it points to.
    """

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[Kind] = field(default_factory=Counter)
    events: int = 0
    tenant: str = ""
    leaves: range = range(0)
    archives: set[str] = field(default_factory=set)

    def add(self, kind: Kind, subject: str, detail: str) -> None:
        """Adds a finding; beyond MAX_SHOWN of a kind it is only counted."""
        self.counts[kind] += 1
        if self.counts[kind] <= MAX_SHOWN:
            self.findings.append(Finding(kind, subject, detail))

    @property
    def ok(self) -> bool:
        """True if nothing convicts and something was proved."""
        return not any(self.counts[kind] for kind in CONVICTING) and self.counts[OK] > 0

    def lines(self) -> Iterator[str]:
        """Yields one line per finding, as they were found."""
        yield from map(str, self.findings)
        for kind, count in self.counts.items():
            if count > MAX_SHOWN:
                yield str(Finding(kind, "report", f"{count - MAX_SHOWN} more that are not listed"))


def _shown(value: object) -> str:
    """Returns a value of the bundle fit for a terminal: ASCII, quoted, no control characters, short."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


# --- Merkle tree (RFC 6962, RFC 9162) ------------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    """Returns the hash of a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that leaves are appended to, as the roots of its perfect subtrees, largest first."""

    def __init__(self, size: int = 0, subtrees: Iterable[bytes] = ()) -> None:
        self.size = size
        self._subtrees = list(subtrees)
        if len(self._subtrees) != size.bit_count():
            raise BadBundle("the frontier does not fit the first leaf")

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Appends leaf hashes."""
        push, pop, size = self._subtrees.append, self._subtrees.pop, self.size
        for leaf in leaves:
            node, position = leaf, size
            while position & 1:
                node = sha256(b"\x01" + pop() + node).digest()
                position >>= 1
            push(node)
            size += 1
        self.size = size

    def root(self) -> bytes:
        """Returns the root hash."""
        if not self._subtrees:
            return sha256().digest()
        root = self._subtrees[-1]
        for subtree in reversed(self._subtrees[:-1]):
            root = node_hash(subtree, root)
        return root


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tells whether `path` leads from leaf hash `index` to the root of `size` leaves (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last = index, size - 1
    for sibling in path:
        if not last:
            return False
        if position & 1 or position == last:
            leaf = node_hash(sibling, leaf)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and leaf == root


def verify_consistency(first: int, second: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Tells whether `path` proves the first tree a prefix of the second (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and old_root == new_root
    nodes = [*path] if first & (first - 1) else [old_root, *path]
    if not nodes:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = nodes[0]
    for sibling in nodes[1:]:
        if not last:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


# --- JSON, hashes and times, each in one spelling only ---------------------------------------------------------

_HASH = re.compile(r"[0-9a-f]{64}")
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_SECOND = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.")
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


def _refuse_number(text: str) -> None:
    raise ValueError(f"the number {_shown(text)} is not an integer")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object names a member twice")
    return members


# Checking each object of each envelope for repeated names would halve the speed, and could reveal only what the
# log itself had sealed; of a repeated name the last counts, as in PostgreSQL's jsonb.
_ENVELOPES = json.JSONDecoder(parse_float=_refuse_number, parse_constant=_refuse_number)
_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_refuse_number, parse_constant=_refuse_number)


def _object(text: str) -> dict[str, Any]:
    try:
        value = _STRICT.decode(text)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004
    return value


def _members(text: str, allowed: set[str], *required: str) -> dict[str, Any]:
    members = _object(text)
    if not members or not set(required) <= members.keys() <= allowed:
        raise ValueError("missing or unexpected members")
    return members


def _hash(text: object) -> bytes:
    if not isinstance(text, str) or not _HASH.fullmatch(text):
        raise ValueError(f"{_shown(text)} is not a hash")
    return bytes.fromhex(text)


def _hashes(value: object) -> list[bytes]:
    if not isinstance(value, list) or len(value) > 128:
        raise ValueError("a list of hashes is expected")
    return [_hash(item) for item in value]


def _base64(text: object) -> bytes:
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("base64 is expected")
    decoded = base64.b64decode(text, validate=True)
    if base64.b64encode(decoded).decode() != text:
        raise ValueError("base64 is not in its canonical form")
    return decoded


def _milliseconds(text: object) -> int:
    if not isinstance(text, str) or len(text) != 27 or text[26] != "Z":
        raise ValueError(f"{_shown(text)} is not a time")
    fraction = text[20:26]
    if not fraction.isdecimal() or not fraction.isascii():
        raise ValueError(f"{_shown(text)} is not a time")
    return _second(text[:20].encode()) + int(fraction[:3])


@lru_cache(maxsize=16)
def _second(text: bytes) -> int:
    if not _SECOND.fullmatch(text):
        raise ValueError(f"{_shown(text)} is not a time")
    return (datetime.fromisoformat(text[:19].decode() + "Z") - _EPOCH) // _MILLISECOND


def _moment(milliseconds: int) -> str:
    try:
        return (_EPOCH + milliseconds * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"{milliseconds} ms"


# --- Signed checkpoints (C2SP signed-note, tlog-checkpoint) ------------------------------------------------------

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_STAMP = re.compile(r"time (0|[1-9][0-9]{0,18})")
_SIGNATURE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_ED25519 = b"\x01"


class Checkpoint(NamedTuple):
    """A signed tree head; `signer` is None when none of the given keys vouches for it. Time in Unix ms."""

    origin: str
    size: int
    root: bytes
    time: int
    signer: str | None


class Keys:
    """The public keys that may have signed, from lines `name+keyid+base64`."""

    def __init__(self, lines: str) -> None:
        self._keys: dict[tuple[str, bytes], Ed25519PublicKey] = {}
        for line in filter(None, map(str.strip, lines.splitlines())):
            name, _, rest = line.partition("+")
            identifier, _, encoded = rest.partition("+")
            public = _base64(encoded)
            expected = sha256(name.encode() + b"\n" + public).digest()[:4]
            if not name or public[:1] != _ED25519 or identifier != expected.hex():
                raise ValueError("not an Ed25519 verifier key (name+keyid+base64)")
            self._keys[name, expected] = Ed25519PublicKey.from_public_bytes(public[1:])
        if not self._keys:
            raise ValueError("no key is given")

    def signer(self, text: str, signature_lines: Iterable[str]) -> str | None:
        """Returns the name of a key that signed `text`; None if none did, or one that is named did not."""
        signer = None
        for line in signature_lines:
            match = _SIGNATURE.fullmatch(line)
            if match is None:
                raise ValueError("malformed signature line")
            name, signature = match[1], _base64(match[2])
            key = self._keys.get((name, signature[:4]))
            if key is not None:
                try:
                    key.verify(signature[4:], text.encode())
                except InvalidSignature:
                    return None
                signer = name
        return signer


def open_checkpoint(note: object, keys: Keys) -> Checkpoint:
    """Reads a note; raises ValueError when malformed. The caller judges the signer."""
    if not isinstance(note, str) or any(character < " " and character != "\n" for character in note):
        raise ValueError("a signed note is expected")
    head, separator, tail = note.rpartition("\n\n")
    signatures, lines = tail.split("\n"), head.split("\n")
    if not separator or signatures.pop() or not signatures or len(lines) < 4 or not all(lines):
        raise ValueError("a checkpoint is origin, size, root, time, an empty line and signatures")
    origin, size, root, stamp = lines[:4]
    moment, decoded = _STAMP.fullmatch(stamp), _base64(root)
    if not _SIZE.fullmatch(size) or moment is None or len(decoded) != 32:
        raise ValueError("size, root or time of the checkpoint is malformed")
    signer = keys.signer(head + "\n", signatures)
    return Checkpoint(origin, int(size), decoded, int(moment[1]), signer)


class Declaration(NamedTuple):
    """What the operator declared that a restored database has lost: all from `left` to `newest`, both of the old history."""

    left: Checkpoint
    newest: Checkpoint
    reason: str

    def explains(self, kept: Checkpoint) -> bool:
        """Tells whether a kept checkpoint is one of those that were lost."""
        return self.left.size < kept.size <= self.newest.size and kept.time <= self.left.time


_LOST = re.compile(r"lost (0|[1-9][0-9]{0,18}) (\S+) (0|[1-9][0-9]{0,18})")


def open_declaration(note: object, keys: Keys) -> Declaration:
    """Reads a declaration; raises ValueError when malformed. The caller judges the signer."""
    left = open_checkpoint(note, keys)
    lines = str(note).split("\n")
    lost, reason = _LOST.fullmatch(lines[4]), lines[5] if len(lines) > 5 else ""
    if lost is None or not reason.startswith("reason ") or len(root := _base64(lost[2])) != 32:
        raise ValueError("a declaration says what was lost, and the reason")
    newest = left._replace(size=int(lost[1]), root=root, time=int(lost[3]))
    if newest.size <= left.size or newest.time > left.time + TOLERANCE:
        raise ValueError("a declaration says that nothing was lost, or something of later")
    return Declaration(left, newest, reason.removeprefix("reason "))


# --- The archive, which may be hostile -----------------------------------------------------------------------


class _BoundedFile(io.FileIO):
    """A file that refuses to be read in one piece, as zipfile would do with an archive's huge directory."""

    def read(self, size: int | None = -1) -> bytes:
        limit = MAX_READ_BYTES
        content = super().read(limit + 1 if size is None or size < 0 else min(size, limit + 1))
        if len(content) > limit:
            raise BadBundle("the archive has an oversized directory")
        return content


class Archive:
    """The members of a bundle, read as streams; nothing is ever extracted."""

    def __init__(self, path: str | Path, progress: Callable[[float], None] = lambda _: None) -> None:
        self._progress = progress
        self._file = _BoundedFile(path)
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._members = {info.filename: info for info in self._zip.infolist()}
            self._refuse_unexpected()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def _refuse_unexpected(self) -> None:
        if len(self._members) != len(self._zip.infolist()):
            raise BadBundle("the archive names a member twice")
        optional = {ERASURES, DECLARATIONS, UNSEALED}
        allowed = {MANIFEST, CHECKPOINTS, EVENTS} | optional
        for name, info in self._members.items():
            if name not in allowed:
                raise BadBundle(f"the archive has an unexpected member {_shown(name)}")
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadBundle(f"{name} is encrypted or compressed in an unknown way")
            if info.file_size > max(RATIO_APPLIES_FROM, MAX_RATIO * info.compress_size):
                raise BadBundle(f"{name} would expand more than {MAX_RATIO} times")
        for name in allowed - optional - self._members.keys():
            raise BadBundle(f"{name} is missing")

    def text(self, name: str, limit: int) -> str:
        """Returns a whole member."""
        with self._zip.open(name) as stream:
            content = stream.read(limit + 1)
            # Reading to the end is what checks the member's CRC.
            if len(content) > limit or stream.read(1):
                raise BadBundle(f"{name} is larger than {limit} bytes")
        return content.decode()

    def lines(self, name: str) -> Iterator[bytes]:
        """Yields the lines of a member without their newlines; an absent one has none."""
        if name in self._members:
            with self._zip.open(name) as stream:
                for block in _whole_lines(name, iter(lambda: stream.read(_CHUNK), b"")):
                    yield from _lines_of(block)

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yields a member in blocks of whole lines, and tells the progress."""
        with self._zip.open(name) as stream:
            yield from _whole_lines(name, self._chunks(stream, self._members[name].file_size))

    def _chunks(self, stream: IO[bytes], size: int) -> Iterator[bytes]:
        read = 0
        while chunk := stream.read(_CHUNK):
            yield chunk
            read += len(chunk)
            self._progress(read / size)


def _whole_lines(name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields blocks that end where a line ends."""
    rest = b""
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            yield rest + chunk[:end]
            rest = b""
        rest += chunk[end:]
        if len(rest) > MAX_LINE_BYTES:
            raise BadBundle(f"{name} has a line longer than {MAX_LINE_BYTES} bytes")
    if rest:
        raise BadBundle(f"{name} ends within a line")


def _lines_of(block: bytes) -> list[bytes]:
    lines = block.split(b"\n")
    lines.pop()
    return lines


class Manifest(NamedTuple):
    """What the export says of itself; none of it is signed, all that can be is held against the log."""

    tenant: str
    complete: bool
    revealed: bool
    begin: int
    end: int
    filters: dict[str, Any]
    first_leaf: int
    end_leaf: int
    frontier: list[bytes]
    events: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads manifest.json; raises ValueError."""
        members = _object(text)
        types = {
            "schema": str, "tenant": str, "complete": bool, "revealed": bool, "from": str, "to": str, "filters": dict,
            "first_leaf": int, "end_leaf": int, "frontier": list, "events": int,
        }  # fmt: skip
        if members.keys() != types.keys() or any(type(members[name]) is not types[name] for name in types):
            raise ValueError(f"exactly these members are expected: {', '.join(types)}")
        if members.pop("schema") != SCHEMA:
            raise ValueError(f"the schema is not {SCHEMA}")
        begin, end = _milliseconds(members.pop("from")), _milliseconds(members.pop("to"))
        manifest = cls(begin=begin, end=end, **members)._replace(frontier=_hashes(members["frontier"]))
        if not 0 <= manifest.first_leaf <= manifest.end_leaf < 2**63 or begin > end:
            raise ValueError("the range is malformed")
        if manifest.complete and manifest.filters:
            raise ValueError("a complete export has no filters")
        if not manifest.complete and manifest.frontier:
            raise ValueError("a filtered export has no frontier")
        return manifest


Entry = tuple[int, dict[str, Any] | None, bytes | None, dict[str, Any]]
"""One line of events.ndjson: leaf index, envelope, the hash of the envelope, and the line's other members."""

PlainEvent = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]
"""Leaf index, envelope, action, id, `p` if there are payloads, tenant, second, millisecond, turn; empty if absent."""

_HEAD = re.compile(r'\{"leaf":(0|[1-9][0-9]{0,18}),("envelope":)?')
_NO_OTHERS: dict[str, Any] = {}


def parse_entry(line: bytes, expected: int = 0) -> Entry:
    """Reads a line and hashes its envelope, fastest if the leaf is the one expected; raises ValueError."""
    text, prefix = line.decode(), f'{{"leaf":{expected},"envelope":'
    if text.startswith(prefix):
        leaf, start = expected, len(prefix)
    else:
        head = _HEAD.match(text)
        if head is None:
            raise ValueError("the line does not begin with a leaf index")
        leaf, start = int(head[1]), head.end()
        if not head[2]:
            return leaf, None, None, _members("{" + text[start:], {"hash", "proof"}, "hash")
    try:
        envelope, end = _ENVELOPES.raw_decode(text, start)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    if not isinstance(envelope, dict):
        raise ValueError("the envelope is not an object")  # noqa: TRY004 - one kind of error for bad input.
    # The exact bytes that were sealed, whatever their JSON means.
    sealed = line[start:end] if len(text) == len(line) else text[start:end].encode()
    computed = sha256(b"\x00" + sealed).digest()
    if text[end:] == "}":
        return leaf, envelope, computed, _NO_OTHERS
    if text[end : end + 1] != ",":
        raise ValueError("the line goes on after the envelope")
    return leaf, envelope, computed, _members("{" + text[end + 1 :], {"payloads", "proof", "hash"})


# --- Plain events, read by the block -------------------------------------------------------------------------------

# The service writes envelopes as canonical JSON, so that nearly all are plain: names in order, no spaces, no escapes.
# Where no texts come with them, one pattern finds what is read of a whole block of them, in about half the time that a
# decoder takes to make objects of everything. It matches only what JSON reads the same. A block that holds anything else,
# or of which anything has to be reported, is read line by line.

_STRING, _INTEGER, _BOOLEAN = '"[^"]*+"', "(?:-?[1-9][0-9]{0,15}+|0)", "(?:true|false)"
_STRINGS = rf"\[(?:{_STRING}(?:,{_STRING})*+)?+\]"


def _alike(sample: str) -> str:
    """Returns the pattern of objects that have the names of the sample, and values of the same kinds."""
    pattern = re.escape(sample).replace('""', _STRING).replace("0", _INTEGER).replace("true", _BOOLEAN)
    return pattern.replace(rf"\[{_STRING}\]", _STRINGS)


# Most of what envelopes hold, by depth: known names take fewer steps than any names.
_FREQUENT = {
    3: [
        _alike(
            '{"collection_count":0,"collections":[""],"id":"","kind":"","permissions":[""],"roles":[""],"session":""}'
        )
    ],
    1: [
        _alike('{"bytes":0,"commitment":""}'),
        _alike('{"doc_id":"","id":"","rank":0,"score_micros":0,"sha256":"","used":true,"version":0}'),
    ],
}


def _value(depth: int) -> str:
    """Returns the pattern of a JSON value without spaces and escapes, of at most `depth` nested objects and arrays."""
    kinds = [_STRING]
    if depth:
        inner = _value(depth - 1)
        kinds += _FREQUENT.get(depth, [])
        kinds += [rf"\{{(?:{_STRING}:{inner}(?:,{_STRING}:{inner})*+)?+\}}", rf"\[(?:{inner}(?:,{inner})*+)?+\]"]
    return f"(?:{'|'.join([*kinds, _INTEGER, _BOOLEAN])})"


# Every member that is read for any event has to be named here.
_UNREAD = rf'(?:"(?!(?:action|archive|erased|id|payloads|tenant|time|turn)")[^"]*+":{_value(3)},)*+'
_PLAIN_LINE = re.compile(
    (
        rf'^\{{"leaf":(0|[1-9][0-9]{{0,18}}),"envelope":(\{{"action":"([^"]*+)",{_UNREAD}"id":"({_UUID7.pattern})",{_UNREAD}'
        rf'(?:"(p)ayloads":(?=\{{"){_value(2)},)?{_UNREAD}"tenant":"([^"]*+)",'
        r'"time":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.)([0-9]{3})[0-9]{3}Z",'
        r'(?:"turn":"([^"]++)",)?"v":1\})\}\n'
    ).encode(),
    re.MULTILINE,
)
_PRINTABLE = bytes(range(0x20, 0x7F)).replace(b"\\", b"")
# Before 3.11.5 possessive groups could match what their patterns do not allow (CPython issue 106052).
_POSSESSIVE_IS_SOUND = sys.version_info >= (3, 11, 5)


def plain_events(block: bytes) -> list[PlainEvent]:
    """Returns the events of a block of whole lines, or none unless all of them are plain."""
    if not _POSSESSIVE_IS_SOUND:
        return []
    events = _PLAIN_LINE.findall(block)
    # Each match begins with a line and ends with one. If nothing but their newlines is left without what is printable,
    # they are all the lines, and hold no escapes, control characters or letters beyond ASCII.
    return events if len(events) == len(block.translate(None, _PRINTABLE)) else []


# --- The log: leaves under signed checkpoints --------------------------------------------------------------------


class Checkpoints:
    """Reads the checkpoints in order and judges each: its signature, its log, and the step from the one before."""

    def __init__(self, manifest: Manifest, lines: Iterator[bytes], keys: Keys, report: Report) -> None:
        self._manifest, self._lines, self._keys, self._report = manifest, lines, keys, report
        self._signers, self._count, self.faults = set[str](), 0, 0
        self.first: Checkpoint | None = None
        self.last: Checkpoint | None = None

    def read(self) -> Checkpoint | None:
        """Returns the next checkpoint, None after the last; raises BadBundle if it is malformed."""
        line = next(self._lines, None)
        if line is None:
            return None
        self._count += 1
        try:
            members = _members(line.decode(), {"checkpoint", "consistency"}, "checkpoint")
            checkpoint = open_checkpoint(members["checkpoint"], self._keys)
            proof = _hashes(members["consistency"]) if "consistency" in members else None
        except ValueError as error:
            raise BadBundle(f"checkpoint {self._count} cannot be read: {error}") from error
        self._judge(checkpoint)
        if self.last is not None:
            self._judge_step(self.last, checkpoint, proof)
        self.first, self.last = self.first or checkpoint, checkpoint
        return checkpoint

    def finish(self) -> None:
        """Reports on all, if none was at fault."""
        if not self.faults and self.first and self.last:
            signers, sizes = ", ".join(map(_shown, sorted(self._signers))), f"{self.first.size} to {self.last.size}"
            self._report.add(OK, "checkpoints", f"{self._count} signed by {signers}, sizes {sizes}, consistent")

    def _judge(self, checkpoint: Checkpoint) -> None:
        if checkpoint.signer is None:
            self._fault(f"of size {checkpoint.size} is not signed by the given key")
        elif checkpoint.origin != f"{checkpoint.signer}/{self._manifest.tenant}":
            self._fault(f"is of the log {_shown(checkpoint.origin)}, not of this tenant's")
        else:
            self._signers.add(checkpoint.signer)
        if not checkpoint.size and checkpoint.root != Tree().root():
            self._fault("is of size 0, but its root is not that of the empty tree")

    def _judge_step(self, old: Checkpoint, new: Checkpoint, proof: list[bytes] | None) -> None:
        if new.size < old.size:
            self._fault(f"shrinks the log from {old.size} to {new.size} leaves")
        elif new.size == old.size and new.root != old.root:
            self._fault(f"contradicts the one before: two roots were signed at size {new.size}")
        elif new.size == old.size or not old.size:
            if proof:
                self._fault("has a consistency proof where none can be")
        elif proof is None:
            if not self._is_recomputed(old, new):
                self._fault("has no consistency proof")
        elif not verify_consistency(old.size, new.size, old.root, new.root, proof):
            self._fault(f"of size {new.size} is not consistent with the one before, of size {old.size}")
        if new.time < old.time - TOLERANCE:
            self._fault(f"is dated {_moment(new.time)}, before its predecessor of {_moment(old.time)}")

    def _is_recomputed(self, old: Checkpoint, new: Checkpoint) -> bool:
        return self._manifest.complete and self._manifest.first_leaf <= old.size and new.size <= self._manifest.end_leaf

    def _fault(self, detail: str) -> None:
        self.faults += 1
        self._report.add(INVALID, f"checkpoint {self._count}", detail)


class Kept:
    """Compares the checkpoints that a reviewer kept with the history that the bundle shows."""

    def __init__(self, checkpoints: Iterable[Checkpoint], declarations: Sequence[Declaration], report: Report) -> None:
        self._report = report
        kept = [one for one in checkpoints if not any(declared.explains(one) for declared in declarations)]
        kept += [declared.left for declared in declarations if declared.left.size]
        self._waiting = deque(sorted(kept, key=lambda checkpoint: (checkpoint.size, checkpoint.time)))
        for declared in declarations:
            lost = f"{declared.left.size} to {declared.newest.size - 1}"
            detail = (
                f"were lost by a restore, as was declared at {_moment(declared.left.time)}: {_shown(declared.reason)}"
            )
            report.add(LOST, f"leaves {lost}", detail)
        self._agreeing = self._incomparable = 0

    @property
    def next_size(self) -> int:
        """How many leaves a tree has with which there is one to compare; beyond every size if there is none."""
        return self._waiting[0].size if self._waiting else 2**63

    def compare(self, size: int, root: bytes, when: int | None = None) -> None:
        """Compares those up to `size` with a root, and with the time at which it was signed if it was."""
        while self.next_size <= size:
            kept = self._waiting.popleft()
            if kept.size == size and kept.root == root:
                self._agreeing += 1
            elif kept.size == size:
                self._report.add(INVALID, "history", f"forks: a kept checkpoint has another root at size {size}")
            elif when is not None and kept.time > when + TOLERANCE:
                self._report.add(INVALID, "history", f"forks: it had {kept.size} leaves still at {_moment(kept.time)}")
            else:
                self._incomparable += 1

    def finish(self, last: Checkpoint) -> None:
        """Compares those beyond the last checkpoint of the bundle, and reports."""
        for kept in self._waiting:
            if kept.time < last.time - TOLERANCE:
                before, after = f"{kept.size} leaves at {_moment(kept.time)}", f"later only {last.size}"
                self._report.add(INVALID, "history", f"was rolled back: it had {before}, {after}")
            else:
                self._incomparable += 1
        if self._agreeing:
            self._report.add(OK, "history", f"agrees with {self._agreeing} kept checkpoints")
        if self._incomparable:
            self._report.add(NOTE, "history", f"cannot be compared with {self._incomparable} kept checkpoints")


class Log:
    """Holds each leaf against the checkpoints, reading both in the order of the log.

    Of a complete export the tree is computed again, leaf by leaf, and its root compared at every checkpoint. In
    a filtered one each leaf brings its inclusion proof. `before` and `after` are the checkpoints on either side of
    the latest leaf, `until` is the time (Unix ms) of the last checkpoint within the export.
    """

    def __init__(self, manifest: Manifest, checkpoints: Checkpoints, kept: Kept, report: Report) -> None:
        self._manifest, self._checkpoints, self._kept, self._report = manifest, checkpoints, kept, report
        self._tree = Tree(manifest.first_leaf, manifest.frontier)
        self.next_leaf = self._proved = manifest.first_leaf
        # False once the tree cannot have the signed roots any more, so that one fault is reported once.
        self._intact = True
        self.until = 0
        self.before: Checkpoint | None = None
        self.after = checkpoints.read()

    def place(self, leaf: int, hashed: bytes, proof: list[bytes] | None) -> None:
        """Takes the next leaf."""
        if leaf != self.next_leaf:
            self._jump(leaf)
        self.next_leaf = leaf + 1
        while self.after is not None and self.after.size <= leaf:
            self._pass(self.after)
        if self.after is None or not self._manifest.first_leaf <= leaf < self._manifest.end_leaf:
            self._fault(f"leaf {leaf}", "is outside the exported range or beyond the last checkpoint")
        elif self._manifest.complete:
            self._grow((hashed,))
        elif not verify_inclusion(hashed, leaf, self.after.size, proof or [], self.after.root):
            self._fault(f"leaf {leaf}", f"is not in the tree that was signed at size {self.after.size}")

    def room(self) -> int:
        """Returns how many leaves of a complete export can be placed at once: those before there is something to compare."""
        while self.after is not None and self.after.size <= self.next_leaf:
            self._pass(self.after)
        due = self.after.size if self.after else 0
        return min(due, self._manifest.end_leaf, self._kept.next_size) - self.next_leaf

    def place_all(self, hashes: Sequence[bytes]) -> None:
        """Takes the next leaves of a complete export, for which there is room."""
        self.next_leaf += len(hashes)
        self._grow(hashes)

    def finish(self) -> Checkpoint:
        """Reads the checkpoints that are left, reports on all, and returns the last one."""
        next_leaf, end_leaf = self.next_leaf, self._manifest.end_leaf
        if self._manifest.complete and next_leaf < end_leaf:
            self._intact = False
            self._report.add(MISSING, "events", f"leaves {next_leaf} to {end_leaf - 1} are not in the bundle")
        while self.after is not None:
            self._pass(self.after)
        if self.before is None:
            raise BadBundle(f"{CHECKPOINTS} is empty")
        self._kept.finish(self.before)
        self._checkpoints.finish()
        if self._intact and not self._checkpoints.faults:
            self._report.add(OK, "events", f"{self._report.events} are in the signed log")
        if not self._manifest.complete:
            filters = _shown(self._manifest.filters)
            self._report.add(NOTE, "completeness", f"is NOT proved: events were chosen by {filters}")
        elif self._intact:
            self._report_completeness()
        return self.before

    def _grow(self, hashes: Sequence[bytes]) -> None:
        self._tree.extend(hashes)
        if self._intact and self._kept.next_size <= self._tree.size:
            self._kept.compare(self._tree.size, self._tree.root())

    def _jump(self, leaf: int) -> None:
        if leaf < self.next_leaf:
            self._fault(f"leaf {leaf}", "is repeated or out of order")
        elif self._manifest.complete:
            self._intact = False
            self._report.add(GAP, "events", f"leaves {self.next_leaf} to {leaf - 1} are not in the bundle")

    def _pass(self, passed: Checkpoint) -> None:
        """Moves on to the next checkpoint, holding the tree against this one if their sizes are equal."""
        if self._manifest.complete and self._intact and passed.size == self._tree.size:
            if self._tree.root() == passed.root:
                self._proved = passed.size
            else:
                new = passed.size > self._proved
                leaves = f"leaves {self._proved} to {passed.size - 1}" if new else f"leaves before {passed.size}"
                rest = "; nothing is proved from there on"
                self._fault("events", f"{leaves} do not hash to the root signed at size {passed.size}{rest}")
        if passed.size <= self._manifest.end_leaf:
            self.until = passed.time
        self._kept.compare(passed.size, passed.root, passed.time)
        self.before, self.after = passed, self._checkpoints.read()

    def _report_completeness(self) -> None:
        first_leaf, end_leaf, first = self._manifest.first_leaf, self._manifest.end_leaf, self._checkpoints.first
        if self._proved != end_leaf or first is None:
            self._report.add(GAP, "completeness", f"no checkpoint of size {end_leaf} covers leaves from {self._proved}")
        elif first_leaf and (first.size != first_leaf or first.time > self._manifest.begin):
            self._report.add(GAP, "completeness", "no checkpoint shows what was sealed before the period began")
        elif self.until < self._manifest.end:
            self._report.add(GAP, "completeness", f"is proved until {_moment(self.until)}, before the period ends")
        elif not self._checkpoints.faults:
            since = f"from {_moment(first.time)}" if first_leaf else "from the beginning"
            leaves = f"leaves {first_leaf} to {end_leaf - 1}" if first_leaf < end_leaf else "there is none"
            until = _moment(self.until)
            self._report.add(OK, "completeness", f"every leaf sealed {since} until {until} is here: {leaves}")

    def _fault(self, subject: str, detail: str) -> None:
        self._intact = False
        self._report.add(INVALID, subject, detail)


# --- What events say of each other -------------------------------------------------------------------------------


class Clock:
    """Refuses times that contradict the order of the log by more than TOLERANCE."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.latest = 0

    def check(self, leaf: int, identifier: str, when: int, log: Log) -> None:
        """Compares an event's time with its id, with earlier events, and with the checkpoints on either side."""
        made = int(identifier[:8] + identifier[9:13], 16)
        contradiction = None
        if abs(made - when) > TOLERANCE:
            contradiction = f"its id, which was made at {_moment(made)}"
        elif log.after is not None and when > log.after.time + TOLERANCE:
            contradiction = f"the checkpoint that sealed it at {_moment(log.after.time)}"
        elif when < self.latest - TOLERANCE:
            contradiction = f"an earlier event of {_moment(self.latest)}"
        elif log.before is not None and when < log.before.time - TOLERANCE:
            contradiction = f"the checkpoint of {_moment(log.before.time)}, which does not have it yet"
        elif when > self.latest:
            self.latest = when
        if contradiction is not None:
            self._report.add(INVALID, f"leaf {leaf}", f"clock: {_moment(when)} contradicts {contradiction}")

    def follow(self, identifiers: Sequence[bytes], times: Sequence[int], log: Log) -> list[int]:
        """Returns the latest time after each of the next events; nothing, and changes nothing, if one is contradicted."""
        made = [int(identifier[:8] + identifier[9:13], 16) for identifier in identifiers]
        latest = list(accumulate(times, max, initial=self.latest))
        since = log.before.time if log.before else 0
        until = log.after.time if log.after else 0
        if (
            max(map(abs, map(sub, made, times))) > TOLERANCE
            or min(times) < since - TOLERANCE
            or max(times) > until + TOLERANCE
            or max(map(sub, latest, times)) > TOLERANCE
        ):
            return []
        self.latest = latest[-1]
        return latest[1:]


class Identifiers:
    """Refuses repeated ids, in memory that grows with the rate of events and not with their number.

    An id that is used again either follows closely, and is still remembered, or is caught by the clock: it tells
    when it was made, and may differ from an event's time by TOLERANCE, as that may from the latest time.
    """

    _SPAN = TOLERANCE
    _SPANS = 4  # Three tolerances lie between two uses of one id at most, and the fourth span is being filled.

    def __init__(self, report: Report) -> None:
        self._report = report
        self._seen = set[bytes]()
        self._spans: deque[list[bytes]] = deque([[]])
        self._began = 0

    def check(self, leaf: int, identifier: bytes, latest: int) -> None:
        """Compares an id with those of the recent past, which ends at `latest` (Unix ms)."""
        if latest - self._began >= self._SPAN:
            self._begin_span(latest)
        if identifier in self._seen:
            self._report.add(INVALID, f"leaf {leaf}", f"has the id {identifier.decode()} of an earlier event")
        else:
            self._seen.add(identifier)
            self._spans[-1].append(identifier)
            self._refuse_too_many()

    def check_all(self, leaves: range, identifiers: Sequence[bytes], latest: Sequence[int]) -> None:
        """Compares ids in their order, each with those before it."""
        new = set(identifiers)
        if len(new) == len(identifiers) and self._seen.isdisjoint(new) and latest[-1] - self._began < self._SPAN:
            self._seen |= new
            self._spans[-1].extend(identifiers)
            self._refuse_too_many()
            return
        for leaf, identifier, moment in zip(leaves, identifiers, latest, strict=True):
            self.check(leaf, identifier, moment)

    def _refuse_too_many(self) -> None:
        if len(self._seen) > MAX_TRACKED:
            raise BadBundle(f"more than {MAX_TRACKED} events within {self._SPANS * self._SPAN} ms")

    def _begin_span(self, latest: int) -> None:
        self._began = latest
        self._spans.append([])
        if len(self._spans) > self._SPANS:
            self._seen.difference_update(self._spans.popleft())


_TURN_ACTIONS = frozenset({b"prompt:submitted", b"answer:returned", b"answer:refused", b"answer:aborted"})


class Turns:
    """Ties each prompt to its answer; `began` is when the export began, None if with the log itself."""

    ACTIONS = frozenset({"prompt:submitted", "answer:returned", "answer:refused", "answer:aborted"})

    def __init__(self, report: Report, began: int | None) -> None:
        self._report, self._began = report, began
        self._open: dict[str, tuple[int, int]] = {}
        self._answered = 0

    def check(self, leaf: int, action: str, envelope: dict[str, Any], when: int) -> None:
        """Opens a turn at a prompt and closes it at its answer."""
        if action not in self.ACTIONS:
            return
        turn = envelope.get("turn")
        if not isinstance(turn, str):
            raise ValueError("a prompt or answer names no turn")  # noqa: TRY004
        if action == "prompt:submitted":
            if turn in self._open:
                self._report.add(INVALID, f"leaf {leaf}", "is a second prompt of the same turn")
            self._open[turn] = (leaf, when)
            if len(self._open) > MAX_TRACKED:
                raise BadBundle(f"more than {MAX_TRACKED} prompts without an answer")
        elif self._open.pop(turn, None) is not None:
            self._answered += 1
        elif self._began is None or when > self._began + TURN_LIMIT:
            self._report.add(MISSING, f"leaf {leaf}", f"is an answer ({action}) without a prompt")

    def miss(self, when: int) -> None:
        """Takes note of an event that is gone, which can have been the prompt of an answer that is here."""
        self._began = max(self._began or 0, when)

    def finish(self, end: int) -> None:
        """Reports the turns that are still open at `end`, when the export ends."""
        running = 0
        for leaf, when in self._open.values():
            if when > end - TURN_LIMIT:
                running += 1
            else:
                self._report.add(MISSING, f"leaf {leaf}", f"is a prompt of {_moment(when)} without an answer")
        if running:
            self._report.add(NOTE, "turns", f"{running} had begun shortly before the export ends")
        if self._answered:
            self._report.add(OK, "turns", f"{self._answered} prompts have their answer")


# --- Events that left for an archive -----------------------------------------------------------------------------

_DAY = 86_400_000


class _Archive(NamedTuple):
    """What an `audit:archived` event says; `leaf` and `when` are its own."""

    first: int
    end: int
    month: str
    sha256: str
    leaf: int
    when: int


class Archives:
    """Ties the leaves whose events are gone to the `audit:archived` events that account for them."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._missing: list[tuple[int, int, int]] = []
        self._archives: list[_Archive] = []

    def miss(self, leaf: int, sealed: int) -> None:
        """Remembers a leaf without its event, sealed by a checkpoint of `sealed` (Unix ms); those of one day as one."""
        first, end, when = self._missing[-1] if self._missing else (leaf, leaf, sealed)
        if self._missing and end == leaf and when // _DAY == sealed // _DAY:
            self._missing.pop()
        else:
            first = leaf
        self._missing.append((first, leaf + 1, max(when, sealed) if first < leaf else sealed))
        if len(self._missing) > MAX_TRACKED:
            raise BadBundle(f"more than {MAX_TRACKED} gaps")

    def execute(self, leaf: int, envelope: dict[str, Any]) -> None:
        """Takes the word of an `audit:archived` event for what was sealed before it; raises ValueError if malformed."""
        said = envelope.get("archive")
        if (
            not isinstance(said, dict)
            or type(said.get("first_leaf")) is not int
            or type(said.get("end_leaf")) is not int
        ):
            raise ValueError("what was archived is malformed")
        digest = _hash(said.get("sha256")).hex()
        if not 0 <= said["first_leaf"] <= said["end_leaf"] <= leaf:
            raise ValueError("leaves were archived that were not sealed before")
        when = _milliseconds(envelope["time"])
        self._archives.append(
            _Archive(said["first_leaf"], said["end_leaf"], str(said.get("month")), digest, leaf, when)
        )

    def finish(self) -> None:
        """Reports each archive that accounts for leaves, and each leaf that none accounts for."""
        self._archives.sort()
        for first, end, sealed in self._missing:
            for leaf in self._unaccounted(first, end, sealed):
                self._report.add(MISSING, f"leaf {leaf}", "was sealed, but its event is gone")

    def _unaccounted(self, first: int, end: int, sealed: int) -> Iterator[int]:
        for archive in self._archives:
            if first < archive.end and archive.first < end and archive.when - sealed >= ARCHIVED_AFTER:
                yield from range(first, archive.first)
                first = archive.end
                self._rely_on(archive)
        yield from range(first, end)

    def _rely_on(self, archive: _Archive) -> None:
        if archive.sha256 not in self._report.archives:
            self._report.archives.add(archive.sha256)
            leaves, month = f"leaves {archive.first} to {archive.end - 1}", _shown(archive.month)
            where = f"left, as leaf {archive.leaf} says, for the archive of {month} with SHA-256 {archive.sha256}"
            self._report.add(ARCHIVED, leaves, where)


# --- Payloads and their erasure ----------------------------------------------------------------------------------


class Erasures:
    """Ties each payload that is marked as erased to the event that erased it."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._marked: dict[tuple[str, str], int] = {}

    def mark(self, leaf: int, identifier: str, name: str) -> None:
        """Remembers a payload that the export says was erased."""
        self._marked[identifier, name] = leaf
        if len(self._marked) > MAX_TRACKED:
            raise BadBundle(f"more than {MAX_TRACKED} erased payloads")

    def execute(self, leaf: int, envelope: dict[str, Any]) -> None:
        """Accounts for the payloads that an `erasure:executed` event lists; raises ValueError if malformed."""
        erased = envelope.get("erased", [])
        if not isinstance(erased, list):
            raise ValueError("the list of erased payloads is malformed")  # noqa: TRY004
        for item in erased:
            if not isinstance(item, dict) or not isinstance(item.get("payloads"), list):
                raise ValueError("the list of erased payloads is malformed")  # noqa: TRY004
            for name in item["payloads"]:
                self._account(leaf, str(envelope["id"]), str(item.get("event")), str(name))

    def finish(self) -> None:
        """Reports the marks that no erasure accounts for."""
        for (identifier, name), leaf in self._marked.items():
            payload = f"payload {_shown(name)} of {identifier}"
            self._report.add(MISSING, f"leaf {leaf}", f"{payload} is marked as erased, but no erasure lists it")

    def _account(self, leaf: int, erasure: str, identifier: str, name: str) -> None:
        marked = self._marked.get((identifier, name))
        if marked is not None and marked < leaf:
            del self._marked[identifier, name]
            payload = f"payload {_shown(name)} of {identifier}"
            self._report.add(ERASED, f"leaf {marked}", f"{payload} was erased by {erasure} (leaf {leaf})")


class Payloads:
    """Holds the texts that were revealed against the commitments in their envelopes."""

    def __init__(self, report: Report, erasures: Erasures, *, all_revealed: bool) -> None:
        self._report, self._erasures, self._all_revealed = report, erasures, all_revealed
        self._matching = self._withheld = 0

    def check(self, leaf: int, identifier: str, envelope: dict[str, Any], revealed: object) -> None:
        """Compares an event's payloads with its commitments; raises ValueError if either is malformed."""
        commitments = envelope.get("payloads", {})
        if not isinstance(commitments, dict) or not isinstance(revealed, list):
            raise ValueError("payloads are malformed")  # noqa: TRY004
        if not revealed and not self._all_revealed:
            self.withhold(bool(commitments))
            return
        seen = set[str]()
        for payload in revealed:
            name = payload.get("name") if isinstance(payload, dict) else None
            if not isinstance(name, str) or name in seen or name not in commitments:
                raise ValueError(f"payload {_shown(name)} is repeated, or not one of the event's")
            seen.add(name)
            if payload.keys() == {"name", "erased"} and payload["erased"] is True:
                self._erasures.mark(leaf, identifier, name)
            elif payload.keys() == {"name", "salt", "text"}:
                self._compare(leaf, name, payload, commitments[name])
            else:
                raise ValueError(f"payload {_shown(name)} is malformed")
        absent = commitments.keys() - seen
        self.withhold(bool(absent))
        for name in absent if self._all_revealed else ():
            self._report.add(MISSING, f"leaf {leaf}", f"payload {_shown(name)} of {identifier} is absent")

    def withhold(self, events: int) -> None:
        """Counts events of which not all texts are here."""
        self._withheld += events

    def finish(self) -> None:
        """Reports how many texts match, and how many the export leaves out."""
        if self._matching:
            self._report.add(OK, "payloads", f"{self._matching} match their commitments")
        if self._withheld and not self._all_revealed:
            self._report.add(
                NOTE, "payloads", f"those of {self._withheld} events are not, or not all, part of the export"
            )

    def _compare(self, leaf: int, name: str, payload: dict[str, Any], commitment: object) -> None:
        salt, text = _base64(payload["salt"]), payload["text"]
        if not isinstance(commitment, dict) or not isinstance(text, str) or not 16 <= len(salt) <= 64:
            raise ValueError(f"payload {_shown(name)} is malformed")
        encoded = text.encode()
        computed = hmac.digest(salt, encoded, "sha256").hex()
        if computed == commitment.get("commitment") and len(encoded) == commitment.get("bytes"):
            self._matching += 1
        else:
            self._report.add(INVALID, f"leaf {leaf}", f"payload {_shown(name)} is not the text that was committed to")


# --- The whole verification --------------------------------------------------------------------------------------

_ACCOUNTING = frozenset({"erasure:executed", "audit:archived"})


class Verification:
    """One pass over a bundle, in memory that does not grow with its length."""

    def __init__(self, archive: Archive, keys: Keys, notes: Iterable[str], report: Report) -> None:
        self._archive, self._keys, self._report = archive, keys, report
        try:
            self._manifest = Manifest.parse(archive.text(MANIFEST, MAX_MANIFEST_BYTES))
        except ValueError as error:
            raise BadBundle(f"{MANIFEST}: {error}") from error
        checkpoints = Checkpoints(self._manifest, archive.lines(CHECKPOINTS), keys, report)
        notes = list(notes)
        kept = Kept(self._kept(notes), self._declarations(notes), report)
        self._log = Log(self._manifest, checkpoints, kept, report)
        began = checkpoints.first.time if self._manifest.first_leaf and checkpoints.first else None
        self._clock, self._identifiers, self._turns = Clock(report), Identifiers(report), Turns(report, began)
        self._erasures = Erasures(report)
        self._payloads = Payloads(report, self._erasures, all_revealed=self._manifest.revealed)
        self._archives = Archives(report)
        report.tenant = self._manifest.tenant
        report.leaves = range(self._manifest.first_leaf, self._manifest.end_leaf)
        self._lines = 0

    def _kept(self, notes: Iterable[str]) -> Iterator[Checkpoint]:
        """Yields the checkpoints of this log among the notes that the reviewer kept."""
        for note in notes:
            try:
                checkpoint = open_checkpoint(note, self._keys)
            except ValueError as error:
                self._report.add(INVALID, "history", f"a kept checkpoint cannot be read: {error}")
                continue
            if checkpoint.signer is None:
                self._report.add(INVALID, "history", "a kept checkpoint is not signed by the given key")
            elif checkpoint.origin == f"{checkpoint.signer}/{self._manifest.tenant}":
                yield checkpoint

    def _declarations(self, notes: Iterable[str]) -> list[Declaration]:
        """Returns what was declared lost of this log, in the bundle or among the notes that the reviewer kept."""
        found = dict[str, Declaration]()
        for line in self._archive.lines(DECLARATIONS):
            try:
                note = _members(line.decode(), {"declaration"}, "declaration")["declaration"]
                declared = open_declaration(note, self._keys)
            except ValueError as error:
                self._report.add(INVALID, DECLARATIONS, str(error))
                continue
            if declared.left.origin == f"{declared.left.signer}/restored/{self._manifest.tenant}":
                found[note] = declared
            else:
                self._report.add(
                    INVALID, DECLARATIONS, "a declaration is of another log, or not signed by the given key"
                )
        for note in notes:
            try:
                checkpoint = open_checkpoint(note, self._keys)
                if checkpoint.origin == f"{checkpoint.signer}/restored/{self._manifest.tenant}":
                    found[note] = open_declaration(note, self._keys)
            except ValueError:
                continue  # which is said of it as a kept checkpoint
        return sorted(found.values(), key=lambda declared: declared.left.time)

    def _check_unsealed(self, until: int) -> None:
        """Reports events that were in no leaf: those of just before the export's end may have been on their way."""
        young = 0
        for line in self._archive.lines(UNSEALED):
            try:
                envelope = _members(line.decode(), {"envelope"}, "envelope")["envelope"]
                identifier, _, when = self._identity(envelope)
            except (ValueError, AttributeError) as error:
                self._report.add(INVALID, UNSEALED, str(error))
                continue
            if when > until - TOLERANCE:
                young += 1
            else:
                self._report.add(GAP, f"event {identifier}", f"of {_moment(when)} was recorded, but is in no leaf")
        if young:
            self._report.add(NOTE, "events", f"{young} of just before the export's end were not sealed yet")

    def run(self) -> None:
        """Checks everything and reports it."""
        for block in self._archive.blocks(EVENTS):
            self._check_block(block)
        if self._report.events != self._manifest.events:
            count, promised = self._report.events, self._manifest.events
            self._report.add(INVALID, EVENTS, f"has {count} events, the manifest says {promised}")
        last = self._log.finish()
        for entry in self._entries(ERASURES, self._archive.lines(ERASURES)):
            try:
                self._check_erasure(entry, last)
            except ValueError as error:
                self._report.add(INVALID, f"erasure at leaf {entry[0]}", str(error))
        self._check_unsealed(last.time)
        self._erasures.finish()
        self._archives.finish()
        self._payloads.finish()
        if self._manifest.complete:
            self._turns.finish(self._log.until)

    def _check_block(self, block: bytes) -> None:
        events = plain_events(block) if self._manifest.complete and not self._manifest.revealed else []
        lines, done = [] if events else _lines_of(block), 0
        while done < len(events):
            part = slice(done, done + max(1, self._log.room()))
            if not self._takes(events[part]):
                lines = lines or _lines_of(block)
                self._check_lines(lines[part])
            done = part.stop
        self._check_lines(lines[done:])

    def _takes(self, events: Sequence[PlainEvent]) -> bool:
        """Takes the next events at once if nothing is wrong with any; else changes nothing and returns False."""
        numbers, envelopes, actions, identifiers, payloads, tenants, seconds, fractions, turns = zip(
            *events, strict=True
        )
        leaves = range(self._log.next_leaf, self._log.next_leaf + len(events))
        if len(events) > self._log.room() or list(map(int, numbers)) != list(leaves):
            return False
        if set(tenants) != {self._manifest.tenant.encode()} or not _ACCOUNTING.isdisjoint(
            map(bytes.decode, set(actions))
        ):
            return False
        if any(action in _TURN_ACTIONS and not turn for action, turn in zip(actions, turns, strict=True)):
            return False
        try:
            times = list(map(add, map(_second, seconds), map(int, fractions)))
        except ValueError:
            return False
        latest = self._clock.follow(identifiers, times, self._log)
        if not latest:
            return False
        self._log.place_all([sha256(b"\x00" + envelope).digest() for envelope in envelopes])
        self._identifiers.check_all(leaves, identifiers, latest)
        self._payloads.withhold(payloads.count(b"p"))
        for leaf, action, turn, when in zip(leaves, actions, turns, times, strict=True):
            if turn:
                self._turns.check(leaf, action.decode(), {"turn": turn.decode()}, when)
        self._lines += len(events)
        self._report.events += len(events)
        return True

    def _check_lines(self, lines: Sequence[bytes]) -> None:
        for entry in self._entries(EVENTS, lines, self._lines + 1):
            self._report.events += 1
            self._check(entry)
        self._lines += len(lines)

    def _entries(self, name: str, lines: Iterable[bytes], first: int = 1) -> Iterator[Entry]:
        for number, line in enumerate(lines, first):
            try:
                yield parse_entry(line, self._log.next_leaf)
            except ValueError as error:
                self._report.add(INVALID, f"{name} line {number}", str(error))

    def _check(self, entry: Entry) -> None:
        leaf, envelope, computed, others = entry
        try:
            sealed = _hash(others["hash"]) if "hash" in others else computed
            proof = _hashes(others["proof"]) if "proof" in others else None
            self._log.place(leaf, sealed or b"", proof)
            if envelope is None:
                sealed_by = self._log.after.time if self._log.after else 2**63
                self._archives.miss(leaf, sealed_by)
                self._turns.miss(sealed_by)
            elif sealed != computed:
                self._report.add(INVALID, f"leaf {leaf}", "was changed after it was sealed")
            else:
                self._check_envelope(leaf, envelope, others.get("payloads", []))
        except ValueError as error:
            self._report.add(INVALID, f"leaf {leaf}", str(error))

    def _check_envelope(self, leaf: int, envelope: dict[str, Any], revealed: object) -> None:
        identifier, action, when = self._identity(envelope)
        self._clock.check(leaf, identifier, when, self._log)
        self._identifiers.check(leaf, identifier.encode(), self._clock.latest)
        if revealed or "payloads" in envelope:
            self._payloads.check(leaf, identifier, envelope, revealed)
        if self._manifest.complete:
            self._turns.check(leaf, action, envelope, when)
        if action in _ACCOUNTING:
            self._account(leaf, action, envelope)

    def _account(self, leaf: int, action: str, envelope: dict[str, Any]) -> None:
        if action == "erasure:executed":
            self._erasures.execute(leaf, envelope)
        else:
            self._archives.execute(leaf, envelope)

    def _check_erasure(self, entry: Entry, last: Checkpoint) -> None:
        leaf, envelope, computed, others = entry
        if envelope is None or computed is None or others.keys() != {"proof"}:
            raise ValueError("an envelope and a proof are expected, nothing else")
        if not verify_inclusion(computed, leaf, last.size, _hashes(others["proof"]), last.root):
            raise ValueError(f"is not in the tree that was signed at size {last.size}")
        action = self._identity(envelope)[1]
        if action not in _ACCOUNTING:
            raise ValueError("is neither an erasure nor an archiving")
        self._account(leaf, action, envelope)

    def _identity(self, envelope: dict[str, Any]) -> tuple[str, str, int]:
        identifier, action = envelope.get("id"), envelope.get("action")
        if not isinstance(identifier, str) or not _UUID7.fullmatch(identifier) or not isinstance(action, str):
            raise ValueError("the event has no valid id or action")
        if envelope.get("tenant") != self._manifest.tenant:
            raise ValueError(f"the event is of another tenant, {_shown(envelope.get('tenant'))}")
        return identifier, action, _milliseconds(envelope.get("time"))


def verify(
    bundle: str | Path, keys: str, *, known: Iterable[str] = (), progress: Callable[[float], None] = lambda _: None
) -> Report:
    """Verifies a bundle and returns what was found; never raises for anything that a bundle contains.

    `keys` are verifier-key lines (ValueError if malformed), `known` the notes of checkpoints that a reviewer kept
    (those of other logs are passed over); `progress` is told the share that is done, from 0 to 1.
    """
    report, trusted = Report(), Keys(keys)
    try:
        with Archive(bundle, progress) as archive:
            Verification(archive, trusted, known, report).run()
    except BadBundle as error:
        report.add(INVALID, "bundle", str(error))
    except Exception as error:  # noqa: BLE001 - hostile archives make zipfile and zlib raise almost anything.
        report.add(INVALID, "bundle", f"cannot be read: {type(error).__name__}: {_shown(str(error))}")
    return report


def verify_together(
    bundles: Sequence[Path], keys: str, *, known: Iterable[str] = (), progress: Callable[[float], None] = lambda _: None
) -> Report:
    """Verifies bundles of one log, each by itself and against the checkpoints of the others.

    They are the parts of one export, or an export and its archives; what lies between two of them is a GAP.
    """
    whole, known, reports = Report(), list(known), dict[Path, Report]()
    for number, bundle in enumerate(bundles):
        others = [note for other in bundles if other != bundle for note in _notes_of(other)]
        share = partial(_progress_of, progress, number, len(bundles))
        report = reports[bundle] = verify(bundle, keys, known=[*known, *others], progress=share)
        for finding in report.findings:
            whole.add(finding.kind, f"{ascii(bundle.name)[1:-1]}: {finding.subject}", finding.detail)
        whole.counts.update({kind: max(0, count - MAX_SHOWN) for kind, count in report.counts.items()})
        whole.events += report.events
    _report_coverage(reports, whole)
    return whole


def _progress_of(progress: Callable[[float], None], number: int, count: int, share: float) -> None:
    progress((number + share) / count)


def _report_coverage(reports: dict[Path, Report], whole: Report) -> None:
    """Reports which leaves are in none of the bundles, and which archives are among them."""
    if len({report.tenant for report in reports.values()}) > 1:
        whole.add(INVALID, "together", "the bundles are not of one log")
    in_order = sorted(reports.values(), key=lambda report: report.leaves.start)
    end = in_order[0].leaves.start
    for report in in_order:
        if report.leaves.start > end:
            whole.add(GAP, "together", f"leaves {end} to {report.leaves.start - 1} are in none of the bundles")
        end = max(end, report.leaves.stop)
    given = {sha256_of(bundle): bundle.name for bundle in reports if bundle.is_file()}
    for digest in sorted({digest for report in reports.values() for digest in report.archives}):
        if digest in given:
            whole.add(OK, "together", f"the archive with SHA-256 {digest} is {_shown(given[digest])}")
        else:
            whole.add(NOTE, "together", f"the archive with SHA-256 {digest} is not among the bundles")


def sha256_of(path: Path) -> str:
    """Returns the hex SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _notes_of(bundle: Path) -> list[str]:
    """Returns the checkpoints in a bundle; none of one that cannot be read, which its own verification says."""
    try:
        return list(notes_in(bundle)) if zipfile.is_zipfile(bundle) else []
    except Exception:  # noqa: BLE001 - hostile archives make zipfile and zlib raise almost anything.
        return []


# --- Command line ------------------------------------------------------------------------------------------------


class ProgressBar:
    """Draws a bar on stderr while a terminal watches."""

    def __init__(self) -> None:
        self._drawn, self._watched = 0.0, sys.stderr.isatty()

    def draw(self, share: float) -> None:
        """Draws the share that is done, from 0 to 1, at most ten times a second."""
        if self._watched and time.monotonic() - self._drawn > 0.1:
            self._drawn = time.monotonic()
            sys.stderr.write(f"\r[{'#' * int(share * 40):40}] {share:4.0%} ")
            sys.stderr.flush()

    def clear(self) -> None:
        """Takes the bar away."""
        if self._watched:
            sys.stderr.write("\r\x1b[K")


def notes_in(path: Path) -> Iterator[str]:
    """Yields the signed notes in a file (an empty line between two), in each file of a directory, or in a bundle."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield from notes_in(file)
    elif zipfile.is_zipfile(path):
        with Archive(path) as archive:
            yield from (str(_object(line.decode()).get("checkpoint")) for line in archive.lines(CHECKPOINTS))
    else:
        parts = path.read_text(encoding="utf-8").split("\n\n")
        for text, signatures in zip(parts[::2], parts[1::2], strict=True):
            yield f"{text}\n\n{signatures.rstrip()}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line per finding; returns 0 if nothing convicts the bundle, else 1."""
    parser = argparse.ArgumentParser(description="Verifies an exported audit log offline.")
    parser.add_argument("bundle", type=Path, nargs="+", help="a bundle; or parts of an export, or it and its archives")
    parser.add_argument("--key", required=True, help="file with the public key, or the key itself")
    parser.add_argument("--checkpoints", type=Path, help="kept checkpoints: a file, a directory, another bundle")
    options = parser.parse_args(arguments)
    bar = ProgressBar()
    try:
        key = Path(options.key).read_text(encoding="utf-8") if Path(options.key).exists() else options.key
        known = list(notes_in(options.checkpoints)) if options.checkpoints else []
        if len(options.bundle) == 1:
            report = verify(options.bundle[0], key, known=known, progress=bar.draw)
        else:
            report = verify_together(options.bundle, key, known=known, progress=bar.draw)
    except Exception as error:  # noqa: BLE001 - the kept checkpoints may come from a hostile bundle as well.
        sys.stderr.write(f"key or checkpoints cannot be read: {type(error).__name__}: {_shown(str(error))}\n")
        return 1
    bar.clear()
    sys.stdout.writelines(f"{line}\n" for line in report.lines())
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
