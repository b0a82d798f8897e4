"""What a verification found, and whether it convicts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from backend.ledger.verifier.bundle_format import MAX_SHOWN


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

    def facts(self) -> dict[str, object]:
        """Returns the same for programs; `unlisted` counts what was too much to list."""
        return {
            "ok": self.ok,
            "tenant": self.tenant,
            "events": self.events,
            "findings": [finding._asdict() for finding in self.findings],
            "unlisted": {kind: count - MAX_SHOWN for kind, count in self.counts.items() if count > MAX_SHOWN},
        }


def shown(value: object) -> str:
    """Returns a value of the bundle fit for a terminal: ASCII, quoted, no control characters, short."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."
