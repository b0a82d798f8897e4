"""Fetches what a run has to look at, and keeps it aside: nothing of it is a document before the whole run is done."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from anyio import CancelScope

from backend.audit.recorder import Recorder
from backend.documents.files import uploads
from backend.documents.files.reception import ReceivedFile
from backend.documents.parsing.filenames import safe_filename
from backend.jobs.job import Job
from backend.sources.connector import (
    OF_ONE_FILE,
    Connector,
    Fetched,
    ItemGone,
    ItemRefused,
    OutOfTime,
    Seen,
    SourceFailed,
)
from backend.sources.opening import Bounds
from backend.sources.plan import KnownItem, Plan, type_problem
from backend.storage.service import FileVault, StoredFile, TenantKey

_MOST_UNANSWERED = 5  # files in a row; of more, it is the server that is away


@dataclass(frozen=True, slots=True)
class StagedItem:
    """A new or changed file that is stored, and waits for the end of the run."""

    seen: Seen
    item: KnownItem | None
    tag: str | None
    stored: StoredFile


@dataclass(slots=True)
class Looked:
    """What was found of the files that a run looked at."""

    staged: list[StagedItem] = field(default_factory=list)
    same: list[tuple[KnownItem, Seen, str | None]] = field(default_factory=list)  # with the tag that they have now
    renamed: list[tuple[KnownItem, Seen, str | None]] = field(default_factory=list)
    gone: list[KnownItem] = field(default_factory=list)
    refused: list[tuple[Seen, KnownItem | None, str]] = field(default_factory=list)
    left: int = 0  # for the next run
    left_new: int = 0  # of these, files that were never taken
    bytes: int = 0

    def leave(self, *items: KnownItem | None) -> None:
        """Leaves files for the next run."""
        self.left += len(items)
        self.left_new += items.count(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """Fetches files of one run."""

    job: Job
    vault: FileVault
    recorder: Recorder
    key: TenantKey
    bounds: Bounds
    connector: Connector

    async def look(self, plan: Plan, looked: Looked) -> None:
        """Looks at what is to be checked, within the bounds of a run, and adds what it finds; raises SourceFailed."""
        leaving = {item.content_sha256: item for item in plan.gone if item.content_sha256 is not None}
        unanswered = 0  # one after the other
        for done, (seen, item) in enumerate(plan.to_check, start=1):
            if len(looked.staged) >= self.bounds.files or looked.bytes >= self.bounds.run_bytes:
                looked.leave(item)
                continue
            try:
                await self._look_at(seen, item, leaving, looked)
                unanswered = 0
            except OutOfTime:
                looked.leave(*(left for _, left in plan.to_check[done - 1 :]))
                return
            except SourceFailed as error:  # of one odd file, or of the server
                unanswered += error.code == "no_answer"
                if error.code not in OF_ONE_FILE or unanswered > _MOST_UNANSWERED:
                    raise
                looked.refused.append((seen, item, error.code))
            except ItemRefused as error:
                looked.refused.append((seen, item, error.reason))
            except ItemGone:
                if item is not None and item.state != "gone":
                    looked.gone.append(item)
                elif item is None:
                    looked.refused.append((seen, item, "missing"))
            await self.job.report(done, len(plan.to_check))

    async def discard(self, files: Sequence[UUID]) -> None:
        """Removes files of which nothing becomes, also when the run is cancelled."""
        with CancelScope(shield=True):
            for file_id in files:
                async with self.job.transaction() as connection:
                    withdrawn = await uploads.withdraw(connection, self.job.caller, self.recorder, file_id)
                if withdrawn:
                    await self.vault.delete(self.job.tenant_id, file_id)

    async def _look_at(
        self, seen: Seen, item: KnownItem | None, leaving: dict[bytes, KnownItem], looked: Looked
    ) -> None:
        known_tag = item.tag if item is not None and item.state == "present" else None
        async with self.connector.fetch(seen, known_tag) as fetched:
            if fetched is None:
                assert item is not None
                looked.same.append((item, seen, item.tag))
                return
            stored = await self._store(seen, fetched)
        looked.bytes += stored.size
        if item is not None and item.state == "present" and stored.sha256 == item.content_sha256:
            looked.same.append((item, seen, fetched.tag))
        elif item is None and (former := leaving.pop(stored.sha256, None)) is not None:
            looked.renamed.append((former, seen, fetched.tag))
        else:
            await self._stage(seen, fetched, stored)
            looked.staged.append(StagedItem(seen, item, fetched.tag, stored))
            return
        await self.vault.delete(self.job.tenant_id, stored.id)

    async def _store(self, seen: Seen, fetched: Fetched) -> StoredFile:
        """Stores a file as it comes; raises ItemRefused for one that is not what was said of it."""
        if (problem := type_problem(fetched.filename, fetched.media_type)) is not None:
            raise ItemRefused(problem)
        stored = await self.vault.store(self.key, self._bounded(fetched.pieces))
        problem = "empty" if stored.size == 0 else "size" if seen.size not in {None, stored.size} else None
        if problem is not None:
            await self.vault.delete(self.job.tenant_id, stored.id)
            raise ItemRefused(problem)
        return stored

    async def _bounded(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        received = 0
        async for piece in pieces:
            received += len(piece)
            if received > self.bounds.file_bytes:
                raise ItemRefused("too_large")
            yield piece

    async def _stage(self, seen: Seen, fetched: Fetched, stored: StoredFile) -> None:
        """Keeps a file for a day under the source's own name, so that one that a lost worker leaves is removed."""
        del seen
        media_type = fetched.media_type[:200] or "application/octet-stream"
        file = ReceivedFile(stored, safe_filename(fetched.filename), media_type, {})
        async with self.job.transaction() as connection:
            await uploads.stage(connection, self.job.caller, self.recorder, file)
