"""What every kind of source can do: say what it holds, and hand out one file of it, within bounds.

What a source says of sizes, types and times is never believed: bytes are counted as they come, types are looked at again, and
times decide nothing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


class SourceFailed(Exception):
    """The run can take nothing; `code` and `detail` are for whoever manages the source."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class OutOfTime(SourceFailed):
    """The run has taken as long as one may; the next one does the rest."""

    def __init__(self) -> None:
        super().__init__("took_too_long", "The source took longer than one run may.")


class ItemRefused(Exception):
    """One file is not taken, and the others are; `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ItemGone(Exception):
    """The source lists a file that is not there."""


OF_ONE_FILE = frozenset({"redirected", "compressed", "address_refused", "no_answer"})
"""Codes of SourceFailed that say nothing of other files, when it is a file that was asked for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that a source says it holds.

    `key` stays the same as long as it is the same file to the source, `path` is what people call it. `tag` differs when the
    content does; without one the source must be asked for each file whether it changed.
    """

    key: str
    path: str
    tag: str | None = None
    size: int | None = None
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds. `gone` are keys of what it says it holds no more; None when all that is not seen is gone.

    `refused` is what it would not list, such as a folder: of what was there nobody knows whether it is gone.
    """

    seen: Sequence[Seen]
    gone: Sequence[str] | None = None
    cursor: str | None = None
    refused: Sequence[tuple[Seen, str]] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file as it comes: its name, and the tag that tells when it changes."""

    filename: str
    media_type: str
    tag: str | None
    pieces: AsyncIterator[bytes] = field(repr=False)


class Connector(Protocol):
    """One source, while it is run."""

    async def listing(self, cursor: str | None) -> Listing:
        """Returns what the source holds, or what changed since `cursor`; raises SourceFailed."""

    def fetch(self, seen: Seen, known_tag: str | None) -> AbstractAsyncContextManager[Fetched | None]:
        """Opens a file; None when it is still what it was at `known_tag`. Raises SourceFailed, ItemRefused and ItemGone."""

    async def aclose(self) -> None:
        """Lets go of what is open."""
