"""What an export of the log is written as."""

from enum import StrEnum


class Format(StrEnum):
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
