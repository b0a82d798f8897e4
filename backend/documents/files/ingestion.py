"""Makes a version of an uploaded file: decrypt, parse, cut into chunks, embed, and submit all of it at once."""

import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import UUID

import asyncpg
from anyio import to_thread

from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.documents.chunks import service
from backend.documents.chunks.chunking import Chunk, Chunker, ChunkSize
from backend.documents.chunks.service import Collection
from backend.documents.chunks.vectors import Span, Vectorizer
from backend.documents.files.passage_file import PassageSpool
from backend.documents.files.service import queries
from backend.documents.files.withdrawal import Withdrawal
from backend.documents.parsing.errors import ParseError
from backend.documents.parsing.findings import ParseWarning
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.sandbox import ParsedFile, parse_file
from backend.documents.versions import service as versions
from backend.documents.versions.service import Passage, Submission
from backend.identity.callers.caller import Caller
from backend.jobs.endings import Ending
from backend.jobs.worker import Job, JobFailed
from backend.settings import Settings
from backend.storage.encryption import DamagedObject
from backend.storage.objects import ObjectMissing
from backend.storage.service import FileVault, TenantKey

_EMBEDDED_AT_ONCE = 64
_SCRATCH = "affidavit-scratch-"


@dataclass(frozen=True, slots=True)
class Ingestion:
    """Handles the jobs that make versions of files."""

    withdrawal: Withdrawal
    vectorizer: Vectorizer
    limits: ParseLimits
    size: ChunkSize

    @property
    def vault(self) -> FileVault:
        """Where the files are."""
        return self.withdrawal.vault

    @property
    def recorder(self) -> Recorder:
        """Records what becomes of them."""
        return self.withdrawal.recorder

    async def run(self, job: Job) -> None:
        """Makes the version; nothing of it is visible before all of it is. Raises JobFailed for a file that cannot be read."""
        file_id = _file_of(job)
        async with job.transaction() as connection:
            file = await connection.fetchrow(queries.file, job.tenant_id, file_id)
            if file_id is None or file is None or file["version_id"] is not None:
                raise JobFailed("file_gone", "The file was deleted, or its collection is no longer yours to read.")
            slug = file["collection"]
            collection = (await service.collections_for(connection, job.caller, [slug]))[slug]
            key = await self.vault.key(connection, job.tenant_id)
        try:
            async with self._plain(key, file) as path:
                submission, pages = await self._read(job, path, file, collection)
                await self._submit(job, file, submission, pages)
        except ParseError as error:
            raise JobFailed(error.code, error.detail) from error
        except (ObjectMissing, DamagedObject) as error:
            raise JobFailed("file_damaged", "The stored file is missing or damaged.") from error

    async def ended(self, connection: Connection, caller: Caller, ending: Ending) -> None:
        """Takes back what became no version."""
        await self.withdrawal.ended(connection, caller, ending)

    @asynccontextmanager
    async def _plain(self, key: TenantKey, file: asyncpg.Record) -> AsyncIterator[Path]:
        """Gives the decrypted file a path for as long as it is parsed, in a folder of this process alone."""
        with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-") as folder:
            path = Path(folder) / "file"
            with path.open("wb") as plain:
                async for piece in self.vault.read(key, file["id"], file["sha256"]):
                    await to_thread.run_sync(plain.write, piece)
            yield path

    async def _read(
        self, job: Job, path: Path, file: asyncpg.Record, collection: Collection
    ) -> tuple[Submission, int | None]:
        submitted = file["submitted"]
        passages = PassageSpool(path.with_name("passages"))
        waiting: list[Chunk] = []
        periods: Sequence[str] = ()
        async with parse_file(
            path, filename=file["filename"], media_type=file["media_type"], limits=self.limits
        ) as parsed:
            async for chunk in self._chunks(job, parsed):
                waiting.append(chunk)
                if len(waiting) >= _EMBEDDED_AT_ONCE:
                    title = _title(submitted, parsed)
                    periods = periods or self._periods(file, title, waiting)
                    passages.add(await self._embedded(waiting, collection.language, title, periods))
                    waiting = []
            title = _title(submitted, parsed)
            periods = periods or self._periods(file, title, waiting)
            passages.add(await self._embedded(waiting, collection.language, title, periods))
            _refuse(parsed.info.warnings, collection.refused_warnings)
            pages = parsed.info.page_count
        submission = Submission(
            doc_id=file["doc_id"], collection=collection, source_type=file["source_type"], passages=passages,
            title=title, metadata=submitted["metadata"],
            effective_from=_moment(submitted["effective_from"]), effective_to=_moment(submitted["effective_to"]),
            warnings=parsed.info.warnings,
        )  # fmt: skip
        return submission, pages

    async def _chunks(self, job: Job, parsed: ParsedFile) -> AsyncIterator[Chunk]:
        """Yields chunks as soon as they are certain, and reports the page that is reached."""
        chunker = Chunker(self.vectorizer.count_tokens, self.size)
        async for block in parsed:
            for chunk in chunker.add(block):
                yield chunk
            if block.page is not None:
                await job.report(block.page, None)
        for chunk in chunker.finish():
            yield chunk
        if parsed.info.page_count is not None:
            await job.report(parsed.info.page_count, parsed.info.page_count)

    def _periods(self, file: asyncpg.Record, title: str, first: list[Chunk]) -> Sequence[str]:
        names = [file["doc_id"], file["filename"], title]
        return self.vectorizer.periods(names, file["submitted"]["metadata"], "\n".join(c.text for c in first[:8]))

    async def _embedded(self, chunks: list[Chunk], language: str, title: str, periods: Sequence[str]) -> list[Passage]:
        texts = [chunk.text for chunk in chunks]
        vectors = await self.vectorizer.vectors(
            texts, [language] * len(texts), [title] * len(texts), [periods] * len(texts)
        )
        return [Passage(chunk.text, vector, _span(chunk)) for chunk, vector in zip(chunks, vectors, strict=True)]

    async def _submit(self, job: Job, file: asyncpg.Record, submission: Submission, pages: int | None) -> None:
        """Stores the version and ends the job in one transaction."""
        async with job.transaction(writing="chunks") as connection:
            # The job before the document, as who cancels does it: the other way round, each would wait for the other.
            await job.hold(connection)
            renew = job.renewal(connection, writing="chunks")
            model = self.vectorizer.model
            submitted = await versions.submit(connection, job.caller, self.recorder, submission, model, renew)
            # Without the document's name, which may be personal data: jobs outlive the deletion of what they made.
            # Nor the details of warnings, which may name attachments and sheets.
            result = submitted.model_dump(mode="json", exclude={"doc_id"})
            warnings = [{"kind": warning.kind, "place": warning.place} for warning in submission.warnings]
            counted = {"chunks": len(submission.passages), "pages": pages, "warnings": warnings}
            await job.finish(connection, result | counted)
            if submitted.created:
                tied = (file["id"], submitted.document_id, submitted.document_version, pages)
                await connection.execute(queries.tie_file, job.tenant_id, *tied)
            else:
                await connection.execute(queries.withdraw_file, job.tenant_id, file["id"])
                await self.vault.delete(job.tenant_id, file["id"])


def from_settings(settings: Settings, withdrawal: Withdrawal, vectorizer: Vectorizer) -> Ingestion:
    """Returns the handler with the limits that are configured."""
    limits = ParseLimits(
        max_bytes=settings.max_file_bytes, max_pages=settings.max_file_pages,
        max_characters=settings.max_file_characters, memory_bytes=settings.parser_memory_bytes,
        cpu_seconds=settings.parser_seconds, wall_seconds=settings.parser_seconds * 1.5,
    )  # fmt: skip
    limit = min(settings.chunk_token_limit, vectorizer.max_tokens)
    size = ChunkSize(min(settings.chunk_tokens, limit), limit, settings.chunk_overlap_tokens)
    return Ingestion(withdrawal, vectorizer, limits, size)


def sweep_scratch() -> None:
    """Removes decrypted files of workers that were killed while they parsed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        owner = int(folder.name.removeprefix(_SCRATCH).split("-")[0])
        try:
            os.kill(owner, 0)
        except ProcessLookupError:
            rmtree(folder, ignore_errors=True)
        except PermissionError:
            continue  # somebody else's


def _title(submitted: Mapping[str, Any], parsed: ParsedFile) -> str:
    """Returns the uploader's title, else what the document calls itself, else the file's name."""
    own = parsed.title if submitted.get("title_of_file") else None
    return own or str(submitted["title"])


def _refuse(warnings: Sequence[ParseWarning], refused: Sequence[str]) -> None:
    """Raises JobFailed for a warning of a kind that the collection refuses."""
    found = [warning for warning in warnings if warning.kind in refused]
    if found:
        places = ", ".join(f"{warning.kind} ({warning.place})" for warning in found[:5])
        raise JobFailed("refused_warning", f"The collection refuses versions with warnings of this kind: {places}.")


def _file_of(job: Job) -> UUID | None:
    """Returns the file that the job is about; None for parameters that this service did not write."""
    try:
        return UUID(job.parameters["file"])
    except (KeyError, ValueError, AttributeError, TypeError):
        return None


def _span(chunk: Chunk) -> Span:
    return Span(chunk.page_start, chunk.page_end, chunk.sheet, chunk.char_start, chunk.char_end, chunk.heading_path)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
