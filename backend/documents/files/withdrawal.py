"""Takes back an upload of which no version will be made: its file, and the document that waited for its first version."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from backend.audit.actions.documents import DocumentIngested, WithdrawnDocument, WithdrawnFile
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, fetch_row
from backend.documents.files.service import queries
from backend.documents.locks import lock_documents
from backend.identity.callers.caller import Caller
from backend.jobs.failures import JobFailure
from backend.storage.service import FileVault
from backend.tenancy import Purpose, Tenancy


@dataclass(frozen=True, slots=True)
class DeletedFile:
    """A file that was taken back."""

    id: UUID
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Ends jobs that make versions of files, when they end without one."""

    tenancy: Tenancy
    vault: FileVault
    recorder: Recorder

    async def on_failure(self, connection: Connection, caller: Caller, failure: JobFailure) -> None:
        """Records that the file became no version, and takes it back unless the job can be tried again.

        It was never shown to anybody, so a legal hold does not keep it. From then on the transaction is bound to the caller,
        and to the job's file and its document, whatever the caller may do with them.
        """
        await self.tenancy.bind(connection, caller.claims(presented={Purpose.WITHDRAWING: str(failure.job_id)}))
        failed = DocumentIngested(job=failure.job_id)
        if not failure.retryable:
            failed = await self._withdraw(connection, caller, failure.job_id) or failed
        doc_ids = [failed.document.doc_id] if failed.document else []
        await self.recorder.record(connection, caller, Event(failed, failure.outcome, failure.reason, doc_ids=doc_ids))

    async def _withdraw(self, connection: Connection, caller: Caller, job_id: UUID) -> DocumentIngested | None:
        document_id = await connection.fetchval(queries.document_of_upload, caller.tenant_id, job_id)
        if document_id is None or not await lock_documents(connection, caller.tenant_id, [document_id]):
            return None  # deleted with its document meanwhile
        doc_id = await connection.fetchval(queries.withdrawn_document, caller.tenant_id, document_id)
        file, removed = await self._delete(connection, caller, job_id)
        if file is None:
            return None
        # Before the commit: if that fails the withdrawal is repeated, while a file that was left behind nobody would look for.
        await self.vault.delete(caller.tenant_id, file.id)
        return DocumentIngested(
            job=job_id,
            file=WithdrawnFile(id=file.id, sha256=file.sha256.hex()),
            document=WithdrawnDocument(id=document_id, doc_id=doc_id, removed=removed),
        )

    async def _delete(self, connection: Connection, caller: Caller, job_id: UUID) -> tuple[DeletedFile | None, bool]:
        """Deletes the file, and its document unless that has versions or another file is on its way; tells whether it had not."""
        try:
            async with connection.transaction():
                return await fetch_row(
                    connection, DeletedFile, queries.withdraw_with_document, caller.tenant_id, job_id
                ), True
        except asyncpg.ForeignKeyViolationError:
            return await fetch_row(connection, DeletedFile, queries.withdraw_upload, caller.tenant_id, job_id), False
