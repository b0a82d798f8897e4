"""Bodies of archived months."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import Field

from backend.schema import ApiModel


class Archive(ApiModel):
    """A month that left the log: its leaves are in a bundle, and their hashes stay in the log."""

    month: str = Field(examples=["2019-01"])
    first_leaf: int
    end_leaf: int = Field(description="Index after the last leaf.")
    events: int = Field(description="Events of the month; the bundle can hold some of the next one besides.")
    sha256: str
    size: int = Field(description="Bytes of the file.")
    left_at: datetime

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Returns the archive of a row of audit.archive."""
        return cls(**{**row, "month": f"{row['month']:%Y-%m}", "sha256": row["sha256"].hex()})


class ArchiveList(ApiModel):
    """Archived months, oldest first."""

    archives: list[Archive]
