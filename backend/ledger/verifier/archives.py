"""Events that left for an archive."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from backend.ledger.verifier.bundle_format import ARCHIVED_AFTER, MAX_TRACKED, BadBundle
from backend.ledger.verifier.findings import ARCHIVED, MISSING, Report, shown
from backend.ledger.verifier.spelling import hash_of, milliseconds_of

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
        digest = hash_of(said.get("sha256")).hex()
        if not 0 <= said["first_leaf"] <= said["end_leaf"] <= leaf:
            raise ValueError("leaves were archived that were not sealed before")
        when = milliseconds_of(envelope["time"])
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
            leaves, month = f"leaves {archive.first} to {archive.end - 1}", shown(archive.month)
            where = f"left, as leaf {archive.leaf} says, for the archive of {month} with SHA-256 {archive.sha256}"
            self._report.add(ARCHIVED, leaves, where)
