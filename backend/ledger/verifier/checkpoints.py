"""The checkpoints of a bundle, and those that a reviewer kept."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from backend.ledger.verifier.bundle_format import TOLERANCE, BadBundle
from backend.ledger.verifier.entries import Manifest
from backend.ledger.verifier.findings import INVALID, LOST, NOTE, OK, Report, shown
from backend.ledger.verifier.proven import Growth, Views, open_checkpoint
from backend.ledger.verifier.signed_notes import Declaration, Keys, OpenedCheckpoint
from backend.ledger.verifier.spelling import hashes_of, members_of, moment_of
from backend.ledger.verifier.tree import Tree, verify_consistency


class Checkpoints:
    """Reads the checkpoints in order and judges each: its signature or proof, its log, and the step from the one before."""

    def __init__(self, manifest: Manifest, lines: Iterator[bytes], keys: Keys, views: Views, report: Report) -> None:
        self._manifest, self._lines, self._keys, self._views, self._report = manifest, lines, keys, views, report
        self._signers, self._count, self._proven, self.faults = set[str](), 0, 0, 0
        self._growth = Growth(report)
        self.first: OpenedCheckpoint | None = None
        self.last: OpenedCheckpoint | None = None

    def read(self) -> OpenedCheckpoint | None:
        """Returns the next checkpoint, None after the last; raises BadBundle if it is malformed."""
        line = next(self._lines, None)
        if line is None:
            return None
        self._count += 1
        try:
            members = members_of(line.decode(), {"checkpoint", "consistency", "extends"}, "checkpoint")
            checkpoint = open_checkpoint(members["checkpoint"], self._keys)
            proof, extends = (
                hashes_of(members[name]) if name in members else None for name in ("consistency", "extends")
            )
        except ValueError as error:
            raise BadBundle(f"checkpoint {self._count} cannot be read: {error}") from error
        self._judge(checkpoint, extends)
        if self.last is not None:
            self._judge_step(self.last, checkpoint, proof)
        self.first, self.last = self.first or checkpoint, checkpoint
        return checkpoint

    def finish(self) -> None:
        """Reports on all, if none was at fault."""
        self.faults += self._growth.finish()
        if not self.faults and self.first and self.last:
            signers, sizes = ", ".join(map(shown, sorted(self._signers))), f"{self.first.size} to {self.last.size}"
            signed = f"{self._count} signed by {signers}"
            if self._proven:
                signed += f", {self._proven} of them with the log of all checkpoints"
            self._report.add(OK, "checkpoints", f"{signed}, sizes {sizes}, consistent")

    def _judge(self, checkpoint: OpenedCheckpoint, extends: list[bytes] | None) -> None:
        if checkpoint.fault:
            self._fault(f"of size {checkpoint.size} {checkpoint.fault}")
        elif checkpoint.signer is None:
            self._fault(f"of size {checkpoint.size} is not signed by the given key")
        elif checkpoint.origin != f"{checkpoint.signer}/{self._manifest.tenant}":
            self._fault(f"is of the log {shown(checkpoint.origin)}, not of this tenant's")
        else:
            self._signers.add(checkpoint.signer)
            if checkpoint.proven_by is not None:
                self._proven += 1
                self._views.add(checkpoint.proven_by)
                if fault := self._growth.step(checkpoint.proven_by, extends):
                    self._fault(f"of size {checkpoint.size} {fault}")
            elif extends is not None:
                self._fault("has a proof of the log of all checkpoints where none can be")
        if not checkpoint.size and checkpoint.root != Tree().root():
            self._fault("is of size 0, but its root is not that of the empty tree")

    def _judge_step(self, old: OpenedCheckpoint, new: OpenedCheckpoint, proof: list[bytes] | None) -> None:
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
            self._fault(f"is dated {moment_of(new.time)}, before its predecessor of {moment_of(old.time)}")

    def _is_recomputed(self, old: OpenedCheckpoint, new: OpenedCheckpoint) -> bool:
        return self._manifest.complete and self._manifest.first_leaf <= old.size and new.size <= self._manifest.end_leaf

    def _fault(self, detail: str) -> None:
        self.faults += 1
        self._report.add(INVALID, f"checkpoint {self._count}", detail)


class Kept:
    """Compares the checkpoints that a reviewer kept with the history that the bundle shows."""

    def __init__(
        self, checkpoints: Iterable[OpenedCheckpoint], declarations: Sequence[Declaration], report: Report
    ) -> None:
        self._report = report
        kept = [one for one in checkpoints if not any(declared.explains(one) for declared in declarations)]
        kept += [declared.left for declared in declarations if declared.left.size]
        self._waiting = deque(sorted(kept, key=lambda checkpoint: (checkpoint.size, checkpoint.time)))
        for declared in declarations:
            lost = f"{declared.left.size} to {declared.newest.size - 1}"
            detail = (
                f"were lost by a restore, as was declared at {moment_of(declared.left.time)}: {shown(declared.reason)}"
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
                self._report.add(
                    INVALID, "history", f"forks: it had {kept.size} leaves still at {moment_of(kept.time)}"
                )
            else:
                self._incomparable += 1

    def finish(self, last: OpenedCheckpoint) -> None:
        """Compares those beyond the last checkpoint of the bundle, and reports."""
        for kept in self._waiting:
            if kept.time < last.time - TOLERANCE:
                before, after = f"{kept.size} leaves at {moment_of(kept.time)}", f"later only {last.size}"
                self._report.add(INVALID, "history", f"was rolled back: it had {before}, {after}")
            else:
                self._incomparable += 1
        if self._agreeing:
            self._report.add(OK, "history", f"agrees with {self._agreeing} kept checkpoints")
        if self._incomparable:
            self._report.add(NOTE, "history", f"cannot be compared with {self._incomparable} kept checkpoints")
