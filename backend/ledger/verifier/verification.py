"""The whole verification."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from operator import add
from pathlib import Path
from typing import Any

from backend.ledger.verifier.archive import BundleArchive, lines_of
from backend.ledger.verifier.archives import Archives
from backend.ledger.verifier.bundle_format import (
    CHECKPOINTS,
    DECLARATIONS,
    ERASURES,
    EVENTS,
    HANDOVERS,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    TOLERANCE,
    UNSEALED,
    BadBundle,
)
from backend.ledger.verifier.checkpoints import Checkpoints, Kept
from backend.ledger.verifier.entries import Entry, Manifest, PlainEvent, parse_entry
from backend.ledger.verifier.events import TURN_ACTIONS, Clock, Identifiers, Turns
from backend.ledger.verifier.findings import GAP, INVALID, NOTE, Report, shown
from backend.ledger.verifier.handovers import learn
from backend.ledger.verifier.log import Log
from backend.ledger.verifier.payloads import Erasures, Payloads
from backend.ledger.verifier.plain import plain_events
from backend.ledger.verifier.proven import OF_ALL, Views, open_text
from backend.ledger.verifier.signed_notes import Declaration, Keys, OpenedCheckpoint, open_declaration
from backend.ledger.verifier.spelling import (
    UUID7,
    hash_of,
    hashes_of,
    members_of,
    milliseconds_of,
    moment_of,
    second_of,
)
from backend.ledger.verifier.tree import verify_inclusion

_ACCOUNTING = frozenset({"erasure:executed", "audit:archived"})


class Verification:
    """One pass over a bundle, in memory that does not grow with its length."""

    def __init__(self, archive: BundleArchive, keys: Keys, notes: Iterable[str], report: Report) -> None:
        self._archive, self._keys, self._report = archive, keys, report
        try:
            self._manifest = Manifest.parse(archive.text(MANIFEST, MAX_MANIFEST_BYTES))
        except ValueError as error:
            raise BadBundle(f"{MANIFEST}: {error}") from error
        notes = list(notes)
        for sentence in learn(keys, [*notes, *self._handovers()]):
            report.add(NOTE, "keys", sentence)
        self._views = Views(report)
        checkpoints = Checkpoints(self._manifest, archive.lines(CHECKPOINTS), keys, self._views, report)
        declarations = self._declarations(notes)
        kept = Kept(self._kept(notes, declarations), declarations, report)
        self._log = Log(self._manifest, checkpoints, kept, report)
        began = checkpoints.first.time if self._manifest.first_leaf and checkpoints.first else None
        self._clock, self._identifiers, self._turns = Clock(report), Identifiers(report), Turns(report, began)
        self._erasures = Erasures(report)
        self._payloads = Payloads(report, self._erasures, all_revealed=self._manifest.revealed)
        self._archives = Archives(report)
        report.tenant = self._manifest.tenant
        report.leaves = range(self._manifest.first_leaf, self._manifest.end_leaf)
        self._lines = 0

    def _kept(self, notes: Iterable[str], declarations: Sequence[Declaration]) -> Iterator[OpenedCheckpoint]:
        """Yields the checkpoints of this log among the notes that the reviewer kept, and views the log of all in each."""
        lost = self._declared(notes, OF_ALL).values()
        for note in notes:
            try:
                opened = open_text(note, self._keys)
            except ValueError as error:
                self._report.add(INVALID, "history", f"a kept checkpoint cannot be read: {error}")
                continue
            refused = next((one for one in opened.checkpoints if one.signer is None), None)
            if refused is not None:
                said = refused.fault or "is not signed by the given key"
                self._report.add(INVALID, "history", f"a kept checkpoint {said}")
                continue
            own = [one for one in opened.checkpoints if one.origin == f"{one.signer}/{self._manifest.tenant}"]
            yield from own
            if not any(declared.explains(one) for declared in declarations for one in own):
                for view in opened.views:
                    if not any(declared.explains(view) for declared in lost):
                        self._views.add(view)

    def _handovers(self) -> Iterator[object]:
        for line in self._archive.lines(HANDOVERS):
            try:
                yield members_of(line.decode(), {"handover"}, "handover")["handover"]
            except ValueError as error:
                self._report.add(INVALID, HANDOVERS, str(error))

    def _declarations(self, notes: Iterable[str]) -> list[Declaration]:
        """Returns what was declared lost of this log, in the bundle or among the notes that the reviewer kept."""
        found = dict[str, Declaration]()
        for line in self._archive.lines(DECLARATIONS):
            try:
                note = members_of(line.decode(), {"declaration"}, "declaration")["declaration"]
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
        found |= self._declared(notes, self._manifest.tenant)
        return sorted(found.values(), key=lambda declared: declared.left.time)

    def _declared(self, notes: Iterable[str], log: str) -> dict[str, Declaration]:
        """Returns what was declared lost of a log, by the notes that the reviewer kept."""
        found = dict[str, Declaration]()
        for note in notes:
            if f"/restored/{log}\n" in note:
                with suppress(ValueError):  # which is said of it as a kept checkpoint
                    declared = open_declaration(note, self._keys)
                    if declared.left.origin == f"{declared.left.signer}/restored/{log}":
                        found[note] = declared
        return found

    def _check_unsealed(self, until: int) -> None:
        """Reports events that were in no leaf: those of just before the export's end may have been on their way."""
        young = 0
        for line in self._archive.lines(UNSEALED):
            try:
                envelope = members_of(line.decode(), {"envelope"}, "envelope")["envelope"]
                identifier, _, when = self._identity(envelope)
            except (ValueError, AttributeError) as error:
                self._report.add(INVALID, UNSEALED, str(error))
                continue
            if when > until - TOLERANCE:
                young += 1
            else:
                self._report.add(GAP, f"event {identifier}", f"of {moment_of(when)} was recorded, but is in no leaf")
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
        self._views.finish()
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
        lines, done = [] if events else lines_of(block), 0
        while done < len(events):
            part = slice(done, done + max(1, self._log.room()))
            if not self._takes(events[part]):
                lines = lines or lines_of(block)
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
        if any(action in TURN_ACTIONS and not turn for action, turn in zip(actions, turns, strict=True)):
            return False
        try:
            times = list(map(add, map(second_of, seconds), map(int, fractions)))
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
            sealed = hash_of(others["hash"]) if "hash" in others else computed
            proof = hashes_of(others["proof"]) if "proof" in others else None
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

    def _check_erasure(self, entry: Entry, last: OpenedCheckpoint) -> None:
        leaf, envelope, computed, others = entry
        if envelope is None or computed is None or others.keys() != {"proof"}:
            raise ValueError("an envelope and a proof are expected, nothing else")
        if not verify_inclusion(computed, leaf, last.size, hashes_of(others["proof"]), last.root):
            raise ValueError(f"is not in the tree that was signed at size {last.size}")
        action = self._identity(envelope)[1]
        if action not in _ACCOUNTING:
            raise ValueError("is neither an erasure nor an archiving")
        self._account(leaf, action, envelope)

    def _identity(self, envelope: dict[str, Any]) -> tuple[str, str, int]:
        identifier, action = envelope.get("id"), envelope.get("action")
        if not isinstance(identifier, str) or not UUID7.fullmatch(identifier) or not isinstance(action, str):
            raise ValueError("the event has no valid id or action")
        if envelope.get("tenant") != self._manifest.tenant:
            raise ValueError(f"the event is of another tenant, {shown(envelope.get('tenant'))}")
        return identifier, action, milliseconds_of(envelope.get("time"))


def verify(
    bundle: str | Path, keys: str, *, known: Iterable[str] = (), progress: Callable[[float], None] = lambda _: None
) -> Report:
    """Verifies a bundle and returns what was found; never raises for anything that a bundle contains.

    `keys` are verifier-key lines (ValueError if malformed), `known` the notes of checkpoints that a reviewer kept
    (those of other logs are passed over); `progress` is told the share that is done, from 0 to 1.
    """
    report, trusted = Report(), Keys(keys)
    try:
        with BundleArchive(bundle, progress) as archive:
            Verification(archive, trusted, known, report).run()
    except BadBundle as error:
        report.add(INVALID, "bundle", str(error))
    except Exception as error:  # noqa: BLE001 - hostile archives make zipfile and zlib raise almost anything.
        report.add(INVALID, "bundle", f"cannot be read: {type(error).__name__}: {shown(str(error))}")
    return report
