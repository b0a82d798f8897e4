"""Makes a version of an uploaded file: decrypt, parse, cut into chunks, embed, and submit all of it at once."""

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

from backend.audit.recorder import Recorder
from backend.database import Connection, fetch_row
from backend.documents.chunks import service
from backend.documents.chunks.chunking import Chunk, Chunker, ChunkSize
from backend.documents.chunks.service import Collection
from backend.documents.chunks.vectors import WRITING, Vectorizer
from backend.documents.files.overlapping import one_ahead, some_at_once
from backend.documents.files.passage_file import PassageSpool
from backend.documents.files.scratch import plain_file
from backend.documents.files.service import queries
from backend.documents.files.withdrawal import Withdrawal
from backend.documents.inspection import inspect, titles, told
from backend.documents.parsing.errors import ParseError
from backend.documents.parsing.findings import ParseWarning
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.sandbox import ParsedFile, parse_file
from backend.documents.versions.submission import Submission, SubmittedPassage, submit
from backend.identity.callers.caller import Caller
from backend.jobs.failures import JobFailure
from backend.jobs.job import Job, JobFailed
from backend.metrics import WARNINGS
from backend.personal_data.policy import Policy
from backend.personal_data.pseudonyms import PseudonymKeys, counts, values_in
from backend.settings import Settings
from backend.storage.encryption import DamagedObject
from backend.storage.objects import ObjectMissing
from backend.storage.service import FileVault

_EMBEDDED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class SubmittedFile:
    """A file that a version is to be made of, with what was submitted with it."""

    id: UUID
    document_id: UUID
    version_id: UUID | None
    doc_id: str
    source_type: str
    collection: str
    filename: str
    media_type: str
    size: int
    sha256: bytes
    submitted: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ingestion:
    """Handles the jobs that make versions of files."""

    withdrawal: Withdrawal
    vectorizer: Vectorizer
    pseudonym_keys: PseudonymKeys
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
            file = await fetch_row(connection, SubmittedFile, queries.file, job.tenant_id, file_id)
            if file_id is None or file is None or file.version_id is not None:
                raise JobFailed("file_gone", "The file was deleted, or its collection is no longer yours to read.")
            slug = file.collection
            collection = (await service.collections_for(connection, job.caller, [slug]))[slug]
            key = await self.vault.key(connection, job.tenant_id)
        try:
            async with plain_file(self.vault, key, file.id, file.sha256) as path:
                submission, pages = await self._read(job, path, file, collection)
                await self._submit(job, file, submission, pages)
        except ParseError as error:
            raise JobFailed(error.code, error.detail) from error
        except (ObjectMissing, DamagedObject) as error:
            raise JobFailed("file_damaged", "The stored file is missing or damaged.") from error

    async def on_failure(self, connection: Connection, caller: Caller, failure: JobFailure) -> None:
        """Takes back what became no version."""
        await self.withdrawal.on_failure(connection, caller, failure)

    async def _read(
        self, job: Job, path: Path, file: SubmittedFile, collection: Collection
    ) -> tuple[Submission, int | None]:
        submitted = file.submitted
        passages = PassageSpool(path.with_name("passages"))
        found: set[tuple[str, str]] = set()
        async with parse_file(path, filename=file.filename, media_type=file.media_type, limits=self.limits) as parsed:
            async with aclosing(one_ahead(self._slices(job, parsed, file, collection, found))) as slices:
                async for embedded in slices:
                    passages.add(embedded)
            title = _title(submitted, parsed)
            _refuse(parsed.info.warnings, collection.refused_warnings)
            held = counts(found)
            if held and collection.personal_data is Policy.REFUSE:
                raise JobFailed("personal_data", f"The collection takes no personal data; found: {told(held)}.")
            pages = parsed.info.page_count
        submission = Submission(
            doc_id=file.doc_id, collection=collection, source_type=file.source_type, passages=passages,
            title=title, metadata=submitted["metadata"],
            effective_from=_moment(submitted["effective_from"]), effective_to=_moment(submitted["effective_to"]),
            warnings=parsed.info.warnings, personal_data=held,
        )  # fmt: skip
        return submission, pages

    async def _slices(
        self, job: Job, parsed: ParsedFile, file: SubmittedFile, collection: Collection, found: set[tuple[str, str]]
    ) -> AsyncIterator[Coroutine[Any, Any, list[SubmittedPassage]]]:
        """Yields the embedding of some dozen chunks at a time, to be awaited; it adds to `found` as `_embedded` does."""
        periods: Sequence[str] = ()
        async for chunks in some_at_once(self._chunks(job, parsed), _EMBEDDED_AT_ONCE):
            title = _title(file.submitted, parsed)
            periods = periods or self._periods(file, title, chunks)
            yield self._embedded(job, chunks, collection, title, periods, found)

    async def _chunks(self, job: Job, parsed: ParsedFile) -> AsyncIterator[Chunk]:
        """Yields chunks as soon as they are certain, and reports the page that is reached."""
        chunker = Chunker(self.vectorizer.count_tokens, self.size, parsed.labels)
        async for block in parsed:
            for chunk in chunker.add(block):
                yield chunk
            if block.page is not None:
                await job.report(block.page, None)
        for chunk in chunker.finish():
            yield chunk
        if parsed.info.page_count is not None:
            await job.report(parsed.info.page_count, parsed.info.page_count)

    def _periods(self, file: SubmittedFile, title: str, first: Sequence[Chunk]) -> Sequence[str]:
        names = [file.doc_id, file.filename, title]
        return self.vectorizer.periods(names, file.submitted["metadata"], "\n".join(c.text for c in first[:8]))

    async def _embedded(
        self, job: Job, chunks: Sequence[Chunk], collection: Collection, title: str, periods: Sequence[str],
        found: set[tuple[str, str]],
    ) -> list[SubmittedPassage]:  # fmt: skip
        """Returns chunks with their vectors, and adds to `found` the personal data that they hold."""
        count, pseudonyms = len(chunks), self.pseudonym_keys.of_tenant(job.tenant_id)
        policies = [collection.personal_data] * count
        inspected = await inspect(pseudonyms, [c.text for c in chunks], policies)
        found.update(chain.from_iterable(values_in(text.findings) for text in inspected))
        searched = [text.searched for text in inspected]
        under = await titles(pseudonyms, [title] * count, [c.span for c in chunks], policies)
        vectors = await self.vectorizer.vectors(searched, [collection.language] * count, under, [periods] * count)
        return [SubmittedPassage(chunk.text, vector, chunk.span) for chunk, vector in zip(chunks, vectors, strict=True)]

    async def _submit(self, job: Job, file: SubmittedFile, submission: Submission, pages: int | None) -> None:
        """Stores the version and ends the job in one transaction."""
        async with job.transaction(WRITING) as connection:
            # The job before the document, as who cancels does it: the other way round, each would wait for the other.
            await job.hold(connection)
            renew = job.renewal(connection, WRITING)
            model = self.vectorizer.model
            submitted = await submit(connection, job.caller, self.recorder, submission, model, renew)
            # Without the document's name, which may be personal data: jobs outlive the deletion of what they made.
            # Nor the details of warnings, which may name attachments and sheets.
            result = submitted.model_dump(mode="json", exclude={"doc_id"})
            warnings = [{"kind": warning.kind, "place": warning.place} for warning in submission.warnings]
            for warning in submission.warnings:
                WARNINGS.labels(warning.kind).inc()
            counted = {"chunks": len(submission.passages), "pages": pages, "warnings": warnings}
            found = {"personal_data": dict(submission.personal_data)}
            await job.finish(connection, result | counted | found)
            if submitted.created:
                tied = (file.id, submitted.document_id, submitted.document_version, pages)
                await connection.execute(queries.tie_file, job.tenant_id, *tied)
            else:
                await connection.execute(queries.withdraw_file, job.tenant_id, file.id)
                await self.vault.delete(job.tenant_id, file.id)


def from_settings(
    settings: Settings, withdrawal: Withdrawal, vectorizer: Vectorizer, pseudonym_keys: PseudonymKeys
) -> Ingestion:
    """Returns the handler with the limits that are configured."""
    return Ingestion(withdrawal, vectorizer, pseudonym_keys, parse_limits(settings), chunk_size(settings, vectorizer))


def chunk_size(settings: Settings, vectorizer: Vectorizer) -> ChunkSize:
    """Returns the sizes that are configured, as far as the embedding model reads them."""
    limit = min(settings.chunk_token_limit, vectorizer.max_tokens)
    return ChunkSize(min(settings.chunk_tokens, limit), limit, settings.chunk_overlap_tokens)


def parse_limits(settings: Settings) -> ParseLimits:
    """Returns what one file may cost."""
    return ParseLimits(
        max_bytes=settings.max_file_bytes, max_pages=settings.max_file_pages,
        max_characters=settings.max_file_characters, memory_bytes=settings.parser_memory_bytes,
        cpu_seconds=settings.parser_seconds, wall_seconds=settings.parser_seconds * 1.5,
        recognises_pages=settings.text_recognition, recognition_memory_bytes=settings.recognition_memory_bytes,
        recognition_seconds=settings.recognition_seconds,
    )  # fmt: skip


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


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
