"""What an export is of, and as what it is written."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from backend.audit.events import without_nulls
from backend.personal_data.pseudonyms import Pseudonyms


class ExportFormat(StrEnum):
    """A bundle proves what it holds; the others are for tools that read JSON lines or spreadsheets."""

    BUNDLE = "bundle"
    JSONL = "jsonl"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        """The type of the file."""
        return {"bundle": "application/zip", "jsonl": "application/x-ndjson", "csv": "text/csv"}[self]

    @property
    def suffix(self) -> str:
        """The ending of the file's name."""
        return {"bundle": ".zip", "jsonl": ".ndjson", "csv": ".csv"}[self]


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported: sealed events of a period, all or those that match; `reveal` adds their texts.

    With `pseudonyms`, those stand in revealed texts in the place of personal data.
    """

    tenant_id: UUID
    begin: datetime
    end: datetime
    format: ExportFormat
    principal_id: UUID | None = None
    action: str | None = None
    outcome: str | None = None
    document: str | None = None
    reveal: bool = False
    pseudonyms: Pseudonyms | None = None

    @property
    def filters(self) -> dict[str, str]:
        """The filters that were asked for, as they stand in the manifest."""
        principal = str(self.principal_id) if self.principal_id else None
        asked = {"actor": principal, "action": self.action, "outcome": self.outcome, "document": self.document}
        return without_nulls(asked)
