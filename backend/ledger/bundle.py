"""Writes export bundles, in the format that the verifier describes and checks."""

import base64
import contextlib
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import orjson

from backend.audit.details import timestamp
from backend.ledger.merkle import Frontier, leaf_hash
from backend.ledger.verifier import (
    CHECKPOINTS,
    DECLARATIONS,
    ERASURES,
    EVENTS,
    HANDOVERS,
    MANIFEST,
    MAX_LINE_BYTES,
    MAX_RATIO,
    PROOF,
    RATIO_APPLIES_FROM,
    SCHEMA,
    SCHEMA_OF_SIGNED,
    UNSEALED,
)

_BUFFER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class BundleScope:
    """What a bundle covers: the leaves in `leaves`, all of them if `frontier` (the one before them) is given.

    `begin` and `end` are the period that was asked for. `revealed` promises every payload, as text or as erased.
    """

    tenant: str
    begin: datetime
    end: datetime
    leaves: range
    frontier: Frontier | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    revealed: bool = False

    def __post_init__(self) -> None:
        if self.leaves.step != 1 or self.leaves.start > self.leaves.stop:
            raise ValueError("the leaves of a bundle are a range of step 1")
        if self.frontier is not None and (self.filters or self.frontier.size != self.leaves.start):
            raise ValueError("a complete bundle has no filters and begins at its frontier")

    def manifest(self, events: int, *, proven: bool) -> dict[str, Any]:
        """Returns the content of manifest.json; `proven` if a checkpoint is not signed by itself."""
        return {
            "schema": SCHEMA if proven else SCHEMA_OF_SIGNED,
            "tenant": self.tenant,
            "complete": self.frontier is not None,
            "revealed": self.revealed,
            "from": timestamp(self.begin),
            "to": timestamp(self.end),
            "filters": dict(self.filters),
            "first_leaf": self.leaves.start,
            "end_leaf": self.leaves.stop,
            "frontier": self.frontier.to_hex() if self.frontier else [],
            "events": events,
        }


@dataclass(frozen=True, slots=True)
class RevealedPayload:
    """A payload's text, with the salt that its commitment was made with."""

    name: str
    salt: bytes
    text: str

    def as_json(self) -> dict[str, Any]:
        """Returns the member of an event's line."""
        return {"name": self.name, "salt": base64.b64encode(self.salt).decode(), "text": self.text}


@dataclass(frozen=True, slots=True)
class ErasedPayload:
    """A payload that an `erasure:executed` event destroyed."""

    name: str

    def as_json(self) -> dict[str, Any]:
        """Returns the member of an event's line."""
        return {"name": self.name, "erased": True}


class BundleWriter:
    """Writes a bundle to a stream that need not be seekable, holding a few hundred KiB.

    Events, checkpoints and erasures may come in any order, but each kind in one go. Leaving the context after an
    exception leaves an archive without a directory, which nothing can read.
    """

    def __init__(self, stream: BinaryIO, scope: BundleScope, *, compress: bool = False) -> None:
        # Inflating would take a verifier a third of its time again; compressed, a bundle has about a quarter of the size.
        # Level 1 is three times as fast as the default, and the archive a quarter larger.
        method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
        self._zip = zipfile.ZipFile(stream, "w", method, compresslevel=1)
        self._scope, self._events, self._proven = scope, 0, False
        self._member, self._output = "", io.BufferedWriter(cast("io.RawIOBase", io.BytesIO()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            with contextlib.suppress(OSError):
                self._output.close()
            self._zip.fp = None  # Or else ZipFile would write the directory when it is collected.
            return
        for name in {EVENTS, CHECKPOINTS} - set(self._zip.namelist()) - {self._member}:
            self._begin(name)
        self._begin(MANIFEST)
        self._output.write(orjson.dumps(self._scope.manifest(self._events, proven=self._proven)))
        self._output.close()
        self._zip.close()
        self._refuse_what_looks_like_a_bomb()

    def add_event(
        self,
        leaf: int,
        envelope: str,
        *,
        sealed_hash: bytes | None = None,
        payloads: Iterable[RevealedPayload | ErasedPayload] = (),
        proof: Sequence[bytes] | None = None,
    ) -> None:
        """Adds the event of a leaf: its envelope as stored, what is revealed of it, and its inclusion proof.

        `sealed_hash` is the leaf hash in the log; an envelope that no longer has it will be named by the verifier.
        """
        parts = [f'{{"leaf":{leaf},"envelope":{envelope}']
        if payloads := list(payloads):
            parts.append(f'"payloads":{orjson.dumps([payload.as_json() for payload in payloads]).decode()}')
        if proof is not None:
            parts.append(f'"proof":{_hex_list(proof)}')
        if sealed_hash is not None and sealed_hash != leaf_hash(envelope.encode()):
            parts.append(f'"hash":"{sealed_hash.hex()}"')
        self._line(EVENTS, ",".join(parts) + "}")
        self._events += 1

    def add_missing(self, leaf: int, sealed_hash: bytes) -> None:
        """Adds a leaf that was sealed but whose event is gone, so that the leaves around it can be proved."""
        self._line(EVENTS, f'{{"leaf":{leaf},"hash":"{sealed_hash.hex()}"}}')
        self._events += 1

    def add_checkpoint(
        self, note: str, consistency: Sequence[bytes] | None = None, extends: Sequence[bytes] | None = None
    ) -> None:
        """Adds a checkpoint, signed or with its proof, and its consistency proof from the one added before.

        `extends` proves that the log of all checkpoints that it is in extends what it was at the last one before of that log.
        """
        self._proven |= f"\n\n{PROOF}\n" in note
        members: dict[str, Any] = {"checkpoint": note}
        if consistency is not None:
            members["consistency"] = [element.hex() for element in consistency]
        if extends is not None:
            members["extends"] = [element.hex() for element in extends]
        self._line(CHECKPOINTS, orjson.dumps(members).decode())

    def add_erasure(self, leaf: int, envelope: str, proof: Sequence[bytes]) -> None:
        """Adds an `erasure:executed` event from outside the export, proved in the last checkpoint."""
        self._line(ERASURES, f'{{"leaf":{leaf},"envelope":{envelope},"proof":{_hex_list(proof)}}}')

    def add_declaration(self, note: str) -> None:
        """Adds a signed declaration of what the log has lost."""
        self._line(DECLARATIONS, orjson.dumps({"declaration": note}).decode())

    def add_handover(self, note: str) -> None:
        """Adds a signed handover of one key to another."""
        self._line(HANDOVERS, orjson.dumps({"handover": note}).decode())

    def add_unsealed(self, envelope: str) -> None:
        """Adds an event of the period that is in no leaf."""
        self._line(UNSEALED, f'{{"envelope":{envelope}}}')

    def _line(self, member: str, line: str) -> None:
        encoded = line.encode()
        if len(encoded) > MAX_LINE_BYTES or b"\n" in encoded:
            raise ValueError(f"a line of {member} is too long, or not one line")
        if member != self._member:
            self._begin(member)
        self._output.write(encoded + b"\n")

    def _begin(self, member: str) -> None:
        self._output.close()
        if member in self._zip.namelist():
            raise ValueError(f"{member} was written before")
        self._member = member
        handle = cast("io.RawIOBase", self._zip.open(member, "w", force_zip64=True))
        self._output = io.BufferedWriter(handle, _BUFFER_BYTES)

    def _refuse_what_looks_like_a_bomb(self) -> None:
        for member in self._zip.infolist():
            if member.file_size > max(RATIO_APPLIES_FROM, MAX_RATIO * member.compress_size):
                raise ValueError(f"{member.filename} is so repetitive that verifiers refuse it: write it uncompressed")


def _hex_list(hashes: Iterable[bytes]) -> str:
    return orjson.dumps([element.hex() for element in hashes]).decode()
