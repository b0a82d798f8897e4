"""What came of a run, as it is counted, shown and recorded."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

MOST_CHANGES = 200
_SHOWN_CHARACTERS = 300
OF_THE_FILE = frozenset({"type", "too_large", "empty", "size"})
"""Reasons that stay while the file does; for others it is asked for again."""
_LASTING = OF_THE_FILE | {"name", "erased", "name_taken"}
COUNTED = ("new", "changed", "renamed", "gone", "refused", "unchanged", "left", "retirements_asked")


@dataclass(slots=True)
class RunReport:
    """Counts of a run and, of the first files, what became of each."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    changes: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, change: str, path: str | None, *, reason: str | None = None, document: UUID | None = None) -> None:
        """Counts a file, and shows it among the first; of one that was erased, not what it is called."""
        self.counts[change] += 1
        if reason is not None:
            self.reasons[reason] += 1
        if len(self.changes) < MOST_CHANGES:
            told = {
                "change": change,
                "path": None if reason == "erased" else _shown(path or ""),
                "reason": reason,
                "document_id": document and str(document),
            }
            self.changes.append({name: value for name, value in told.items() if value is not None})

    @property
    def asks_again(self) -> bool:
        """Whether a file was refused for a reason that may pass, though nothing changes where it lies."""
        return not self.reasons.keys() <= _LASTING

    def counted(self) -> dict[str, int]:
        """Returns all counts, also those that are none."""
        return {name: self.counts[name] for name in COUNTED}

    def result(self) -> dict[str, Any]:
        """Returns what is kept with the run."""
        return {**self.counted(), "reasons": dict(self.reasons)}


def _shown(path: str) -> str:
    """Returns a path as it can be stored and shown, whatever a source calls its files."""
    shown = "".join(character if character.isprintable() else "\ufffd" for character in path[:_SHOWN_CHARACTERS])
    return shown.encode(errors="replace").decode()
