"""Checkpoints that the log of all checkpoints proves: one signature vouches for all that were sealed at once."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from backend.ledger.verifier.bundle_format import TOLERANCE, BadBundle
from backend.ledger.verifier.findings import INVALID, NOTE, OK, Report, shown
from backend.ledger.verifier.signed_notes import Keys, OpenedCheckpoint, open_head, open_note, text_of
from backend.ledger.verifier.spelling import base64_of, moment_of
from backend.ledger.verifier.tree import Tree, leaf_hash, verify_consistency, verify_inclusion

PROOF, ROUND = "c2sp.org/tlog-proof@v1", "affidavit-round@v1"
OF_ALL = "checkpoints"
OF_CELLS = "cells-checkpoints"  # the operator's log of what the logs of all checkpoints of the cells were
_PLACE = {PROOF: re.compile(r"index (0|[1-9][0-9]{0,18})"), ROUND: re.compile(r"first (0|[1-9][0-9]{0,18})")}


class OpenedText(NamedTuple):
    """What a note, a proof or a round says; `views` are what it tells of the log of all checkpoints."""

    checkpoints: Sequence[OpenedCheckpoint]
    views: Sequence[OpenedCheckpoint] = ()


def open_checkpoint(note: object, keys: Keys) -> OpenedCheckpoint:
    """Reads one checkpoint, signed or with its proof; raises ValueError when malformed. The caller judges the signer."""
    if f"\n\n{ROUND}\n" in text_of(note):
        raise ValueError("one checkpoint is expected, not a round of them")
    return open_text(note, keys).checkpoints[0]


def open_text(note: object, keys: Keys) -> OpenedText:
    """Reads a checkpoint, signed or with its proof, or a round of them; raises ValueError when malformed.

    What is not proved has no signer.
    """
    blocks = text_of(note).split("\n\n")
    if len(blocks) < 4:
        signed = open_note(note, keys)
        return OpenedText([signed], [signed] if signed.origin == f"{signed.signer}/{OF_ALL}" else [])
    *heads, evidence, text, signatures = blocks
    signed = open_note(f"{text}\n\n{signatures}", keys)
    kind, place, *lines = evidence.split("\n")
    number, hashes = _PLACE[kind].fullmatch(place) if kind in _PLACE else None, list(map(_hash_of, lines))
    if number is None or (kind == PROOF and len(heads) > 1):
        raise ValueError("the proof of a checkpoint is malformed")
    leaves, views = [leaf_hash(f"{head}\n".encode()) for head in heads], [signed]
    if kind == PROOF:
        included = verify_inclusion(leaves[0], int(number[1]), signed.size, hashes, signed.root)
    else:
        tree = _tree(int(number[1]), hashes)
        views.append(signed._replace(size=tree.size, root=tree.root()))
        tree.extend(leaves)
        included = (tree.size, tree.root()) == (signed.size, signed.root)
    opened = [_judged(open_head(head), signed, included=included) for head in heads]
    if signed.origin == f"{signed.signer}/{OF_CELLS}":
        views += opened
    return OpenedText(opened, views if all(one.signer for one in opened) else [])


def _judged(checkpoint: OpenedCheckpoint, signed: OpenedCheckpoint, *, included: bool) -> OpenedCheckpoint:
    fault, of_cells = "", signed.origin == f"{signed.signer}/{OF_CELLS}"
    if signed.signer is None:
        fault = "is proven by a log that is not signed by the given key"
    elif of_cells and not checkpoint.origin.endswith(f"/{OF_ALL}"):
        fault = "is proven by the log of the cells' checkpoints, which holds no checkpoint of a tenant"
    elif not of_cells and signed.origin != f"{signed.signer}/{OF_ALL}":
        fault = f"is proven by the log {shown(signed.origin)}, not by that of all checkpoints"
    elif not included:
        fault = f"is not in the log of all checkpoints that was signed at size {signed.size}"
    elif checkpoint.time > signed.time + TOLERANCE if of_cells else checkpoint.time != signed.time:
        fault = f"is dated {moment_of(checkpoint.time)}, but was signed at {moment_of(signed.time)}"
    if fault:
        return checkpoint._replace(proven_by=signed, fault=fault)
    return checkpoint._replace(signer=signed.signer, proven_by=signed)


def _tree(size: int, subtrees: Sequence[bytes]) -> Tree:
    try:
        return Tree(size, subtrees)
    except BadBundle:
        raise ValueError("the proof of a round is malformed") from None


def _hash_of(line: str) -> bytes:
    decoded = base64_of(line)
    if len(decoded) != 32:
        raise ValueError("a hash in the proof of a checkpoint is malformed")
    return decoded


class _Seen(NamedTuple):
    """A root of the log of all checkpoints, and when it was signed for the first and the last time."""

    root: bytes
    first: int
    last: int


class Views:
    """Compares what is known of a log of all checkpoints, from whatever proves a checkpoint: it has one history for everybody.

    A tenant that moved has been in the logs of several cells; each says by its first leaf which it is.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._seen: dict[tuple[str, str], dict[int, _Seen]] = {}
        self._forks = set[tuple[str, int]]()  # one finding of each

    def add(self, view: OpenedCheckpoint) -> None:
        """Takes one more view, and reports one that contradicts another."""
        if not view.log:  # signed by version 0.1.0, which does not say which log it is
            return
        sizes = self._seen.setdefault((view.origin, view.log), {})
        seen = sizes.get(view.size, _Seen(view.root, view.time, view.time))
        if seen.root == view.root:
            sizes[view.size] = _Seen(view.root, min(seen.first, view.time), max(seen.last, view.time))
        elif (view.log, view.size) not in self._forks:
            self._forks.add((view.log, view.size))
            detail = f"forks: the log of all checkpoints was signed with two roots at size {view.size}"
            self._report.add(INVALID, "history", detail)

    def finish(self) -> None:
        """Reports each log of all checkpoints that was smaller later."""
        for sizes in self._seen.values():
            earliest, largest = 2**63, 0
            for size in sorted(sizes, reverse=True):
                later = sizes[size].last
                if later > earliest + TOLERANCE:
                    before = f"{largest} leaves at {moment_of(earliest)}, and {size} at {moment_of(later)}"
                    detail = f"was rolled back: the log of all checkpoints had {before}"
                    self._report.add(INVALID, "history", detail)
                    break
                if sizes[size].first < earliest:
                    earliest, largest = sizes[size].first, size


class Growth:
    """Holds the log of all checkpoints to have only grown, from each checkpoint of a bundle to the next.

    A tenant that moved was in the logs of several cells. The cell that exports can prove its own log, which is that of the
    last checkpoint.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._last: dict[tuple[str, str], OpenedCheckpoint] = {}
        self._unproven = Counter[tuple[str, str]]()
        self._newest, self._began, self._proven = ("", ""), 0, 0

    def step(self, view: OpenedCheckpoint, proof: Sequence[bytes] | None) -> str:
        """Takes the next view and what proves that it extends the one before of its log; returns what is wrong, if anything."""
        if not view.log:
            return "is proven by a log of all checkpoints that does not say which it is"
        log = self._newest = (view.origin, view.log)
        old = self._last.get(log)
        self._last[log] = view
        if old is None or view.size == old.size:  # with two roots it forks, which `Views` reports
            return "has a proof of the log of all checkpoints where none can be" if proof else ""
        if view.size < old.size:
            return f"is proven by the log of all checkpoints at size {view.size}, the one before at {old.size}"
        if proof is None:
            self._unproven[log] += 1
        elif not verify_consistency(old.size, view.size, old.root, view.root, proof):
            return f"is proven by a log of all checkpoints that, at size {view.size}, does not extend that of size {old.size}"
        else:
            self._began, self._proven = self._began or old.size, self._proven + 1
        return ""

    def finish(self) -> int:
        """Reports steps without a proof, and returns how many of them there are in the log of the last checkpoint."""
        missing = self._unproven.pop(self._newest, 0)
        if missing:
            detail = f"{missing} checkpoints do not prove that the log of all checkpoints extends what it was at the one before"
            self._report.add(INVALID, "checkpoints", detail)
        elif self._proven:
            grown = f"the log of all checkpoints only grew, from {self._began} to {self._last[self._newest].size}"
            self._report.add(OK, "checkpoints", grown)
        for (origin, log), count in sorted(self._unproven.items()):
            detail = f"{count} steps of {shown(origin)}, begun with {shown(log)}, are for the cell to prove that the tenant left"
            self._report.add(NOTE, "checkpoints", detail)
        return missing
