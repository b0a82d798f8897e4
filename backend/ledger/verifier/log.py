"""The log: leaves under signed checkpoints."""

from collections.abc import Sequence

from backend.ledger.verifier.bundle_format import CHECKPOINTS, BadBundle
from backend.ledger.verifier.checkpoints import Checkpoints, Kept
from backend.ledger.verifier.entries import Manifest
from backend.ledger.verifier.findings import GAP, INVALID, MISSING, NOTE, OK, Report, shown
from backend.ledger.verifier.signed_notes import OpenedCheckpoint
from backend.ledger.verifier.spelling import moment_of
from backend.ledger.verifier.tree import Tree, verify_inclusion


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
        self.before: OpenedCheckpoint | None = None
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

    def finish(self) -> OpenedCheckpoint:
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
            filters = shown(self._manifest.filters)
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

    def _pass(self, passed: OpenedCheckpoint) -> None:
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
            self._report.add(GAP, "completeness", f"is proved until {moment_of(self.until)}, before the period ends")
        elif not self._checkpoints.faults:
            since = f"from {moment_of(first.time)}" if first_leaf else "from the beginning"
            leaves = f"leaves {first_leaf} to {end_leaf - 1}" if first_leaf < end_leaf else "there is none"
            until = moment_of(self.until)
            self._report.add(OK, "completeness", f"every leaf sealed {since} until {until} is here: {leaves}")

    def _fault(self, subject: str, detail: str) -> None:
        self._intact = False
        self._report.add(INVALID, subject, detail)
