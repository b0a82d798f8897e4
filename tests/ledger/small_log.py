"""A small log, sealed as the service seals, from which tests make bundles: honest ones and others."""

import hmac
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from backend.audit.canonical import canonical_json
from backend.ledger import verifier
from backend.ledger.bundle import BundleScope, BundleWriter, ErasedPayload, RevealedPayload
from backend.ledger.checkpoints import Checkpoint, SigningKey, log_origin, sign_checkpoint
from backend.ledger.merkle import Frontier, leaf_hash
from backend.ledger.verifier import Kind, Report, verify
from tests.ledger.rfc9162 import consistency_proof, inclusion_proof

TENANT = "0193a000-0000-7000-8000-00000000000a"
START = datetime(2026, 11, 1, tzinfo=UTC)
KEY = SigningKey.generate("affidavit.example")
PUBLIC = str(KEY.verifier_key)


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def commitment(salt: bytes, text: str) -> dict[str, Any]:
    return {"commitment": hmac.digest(salt, text.encode(), "sha256").hex(), "bytes": len(text.encode())}


@dataclass
class SmallLog:
    """Events one second apart, a checkpoint after every fifth; everything deterministic but the key."""

    key: SigningKey = KEY
    tenant: str = TENANT
    envelopes: list[str] = field(default_factory=list)
    texts: dict[tuple[int, str], tuple[bytes, str]] = field(default_factory=dict)
    notes: list[tuple[int, str]] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(7))
    frontier: Frontier = field(default_factory=Frontier)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    clock: float = 0
    extends: Callable[[str, str], Sequence[bytes] | None] = field(default=lambda _before, _note: None)

    def identifier(self, seconds: float) -> str:
        stamp = f"{milliseconds(at(seconds)):012x}"
        noise = f"{self.random.getrandbits(60):015x}"
        return f"{stamp[:8]}-{stamp[8:]}-7{noise[:3]}-8{noise[3:6]}-{noise[6:].zfill(12)}"

    def append(self, action: str, texts: Mapping[str, str] | None = None, /, **members: Any) -> str:
        """Appends an event and returns its id."""
        self.clock += 1
        leaf, identifier = len(self.envelopes), self.identifier(self.clock)
        envelope: dict[str, Any] = {
            "id": identifier,
            "tenant": self.tenant,
            "action": action,
            "time": at(self.clock).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "request_id": f"r{leaf}",
            "v": 1,
        }
        for name, text in (texts or {}).items():
            salt = self.random.randbytes(32)
            self.texts[leaf, name] = (salt, text)
            envelope.setdefault("payloads", {})[name] = commitment(salt, text)
        self.append_text(canonical_json({**envelope, **members}))
        return identifier

    def append_text(self, text: str) -> None:
        self.envelopes.append(text)
        for node in self.frontier.append(leaf_hash(text.encode())):
            self.nodes[node.level, node.position] = node.hash

    def turn(self, question: str = "Is it so?", answer: str = "It is.", **members: Any) -> str:
        turn = self.identifier(self.clock + 1)
        self.append("prompt:submitted", {"prompt": question}, turn=turn)
        self.append("answer:returned", {"answer": answer}, turn=turn, **members)
        return turn

    def seal(self) -> None:
        self.clock += 1
        self.notes.append((len(self.envelopes), self.note(len(self.envelopes), self.frontier.root(), self.clock)))

    def note(self, size: int, root: bytes, seconds: float, *keys: SigningKey) -> str:
        checkpoint = Checkpoint(log_origin(self.key.name, self.tenant), size, root, milliseconds(at(seconds)))
        return sign_checkpoint(checkpoint, *(keys or (self.key,)))

    def node(self, level: int, position: int) -> bytes:
        return self.nodes[level, position]

    def inclusion(self, leaf: int, size: int) -> list[bytes]:
        return inclusion_proof(leaf, size, self.node)

    def consistency(self, first: int, second: int) -> list[bytes]:
        return consistency_proof(first, second, self.node) if 0 < first < second else []

    def frontier_at(self, size: int) -> Frontier:
        frontier = Frontier()
        for text in self.envelopes[:size]:
            frontier.append(leaf_hash(text.encode()))
        return frontier

    def payloads(self, leaf: int, erased: Iterable[tuple[int, str]] = ()) -> list[RevealedPayload | ErasedPayload]:
        return [
            ErasedPayload(name) if (at_leaf, name) in set(erased) else RevealedPayload(name, salt, text)
            for (at_leaf, name), (salt, text) in self.texts.items()
            if at_leaf == leaf
        ]

    def scope(self, leaves: range, *, complete: bool = True, revealed: bool = True, **changes: Any) -> BundleScope:
        frontier = self.frontier_at(leaves.start) if complete else None
        members = {
            "begin": START,
            "end": at(self.clock),
            "filters": {} if complete else {"action": "x"},
            **changes,
        }
        return BundleScope(self.tenant, leaves=leaves, frontier=frontier, revealed=revealed, **members)

    def complete(self, leaves: range | None = None, erased: Sequence[tuple[int, str]] = (), **scope: Any) -> bytes:
        """Returns the bundle of all events in `leaves`, with every checkpoint."""
        leaves = range(len(self.envelopes)) if leaves is None else leaves
        stream = BytesIO()
        with BundleWriter(stream, self.scope(leaves, **scope)) as bundle:
            for leaf in leaves:
                bundle.add_event(leaf, self.envelopes[leaf], payloads=self.payloads(leaf, erased))
            self._add_checkpoints(bundle, [each for each in self.notes if each[0] >= leaves.start], leaves.stop)
        return stream.getvalue()

    def filtered(self, chosen: Iterable[int], **scope: Any) -> bytes:
        """Returns the bundle of some events, each with its proof."""
        chosen, stream = list(chosen), BytesIO()
        with BundleWriter(stream, self.scope(range(len(self.envelopes)), complete=False, **scope)) as bundle:
            for leaf in chosen:
                size = next(size for size, _ in self.notes if size > leaf)
                bundle.add_event(
                    leaf, self.envelopes[leaf], payloads=self.payloads(leaf), proof=self.inclusion(leaf, size)
                )
            self._add_checkpoints(bundle, self.notes, 0)
        return stream.getvalue()

    def _add_checkpoints(self, bundle: BundleWriter, notes: Sequence[tuple[int, str]], recomputed: int) -> None:
        """Adds checkpoints with their proofs, which need none up to the size to which the verifier computes the log anew."""
        before, previous = 0, ""
        for size, note in notes:
            path = self.consistency(before, size) if before and size > recomputed else None
            bundle.add_checkpoint(note, path, self.extends(previous, note))
            before, previous = size, note


def example_log(turns: int = 8) -> SmallLog:
    """Returns a log of `turns` turns and as many other events, sealed after every second turn."""
    log = SmallLog()
    for number in range(turns):
        log.append("retrieval:executed", {"query": f"What about {number}? é \u2028"}, score=number)
        log.turn(f"Prompt {number}\n", f"Answer {number} \x1f \U0001f600")
        if number % 2:
            log.seal()
    return log


Change = Callable[[bytes], bytes | None]


def contents(bundle: bytes) -> dict[str, bytes]:
    """Returns the members of a bundle by name."""
    with zipfile.ZipFile(BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Returns an archive of these members."""
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return target.getvalue()


def rewritten(bundle: bytes, changes: Mapping[str, Change]) -> bytes:
    """Returns the bundle with some members changed, or left out where the change returns None."""
    changed = {name: changes[name](old) if name in changes else old for name, old in contents(bundle).items()}
    return zipped((name, content) for name, content in changed.items() if content is not None)


def saved(tmp_path: Path, bundle: bytes) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(bundle)
    return path


def judged(tmp_path: Path, bundle: bytes, **options: object) -> Report:
    return verify(saved(tmp_path, bundle), PUBLIC, **options)  # type: ignore[arg-type]


def said(report: Report, *kinds: Kind) -> list[str]:
    """Returns the findings of these kinds, as they are printed but for the kind."""
    return [f"{found.subject}: {found.detail}" for found in report.findings if found.kind in kinds]


def convicted(report: Report) -> list[str]:
    return [str(found) for found in report.findings if found.kind in verifier.CONVICTING]
