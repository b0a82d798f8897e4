"""Takes back an upload of which no version will be made: its file, and the document that waited for its first version."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from backend.audit.events import Action, Event
from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.documents.files.service import queries
from backend.documents.locks import lock_documents
from backend.identity.callers.caller import Caller
from backend.jobs.endings import Ending
from backend.storage.service import FileVault
from backend.tenancy import Tenancy


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Ends jobs that make versions of files, when they end without one."""

    tenancy: Tenancy
    vault: FileVault
    recorder: Recorder

    async def ended(self, connection: Connection, caller: Caller, ending: Ending) -> None:
        """Records that the file became no version, and takes it back unless the job can be tried again.

        It was never shown to anybody, so a legal hold does not keep it. The transaction is bound to the caller from then on.
        """
        withdrawn = None if ending.retryable else await self._withdraw(connection, caller, ending.job_id)
        details = {"job": str(ending.job_id), **(withdrawn.details if withdrawn else {})}
        doc_ids = [withdrawn.doc_id] if withdrawn else []
        event = Event(Action.DOCUMENT_INGESTED, ending.outcome, ending.reason, details=details, doc_ids=doc_ids)
        await self.recorder.record(connection, caller, event)

    async def _withdraw(self, connection: Connection, caller: Caller, job_id: UUID) -> "_Withdrawn | None":
        await self._bind(connection, caller, job_id)
        document_id = await connection.fetchval(queries.document_of_upload, caller.tenant_id, job_id)
        if document_id is None:
            await self.tenancy.bind(connection, caller.claims())
            return None
        await self._bind(connection, caller, document_id)
        await lock_documents(connection, caller.tenant_id, [document_id])
        await self._bind(connection, caller, job_id)
        file = await connection.fetchrow(queries.withdraw_upload, caller.tenant_id, job_id)
        if file is None:  # deleted with its document meanwhile
            await self.tenancy.bind(connection, caller.claims())
            return None
        await self._bind(connection, caller, document_id)
        doc_id = await connection.fetchval(queries.withdrawn_document, caller.tenant_id, document_id)
        removed = await self._is_removed(connection, caller, document_id)
        await self.tenancy.bind(connection, caller.claims())
        # Before the commit: if that fails the withdrawal is repeated, while a file that was left behind nobody would look for.
        await self.vault.delete(caller.tenant_id, file["id"])
        return _Withdrawn(file["id"], file["sha256"], document_id, doc_id, removed)

    async def _is_removed(self, connection: Connection, caller: Caller, document_id: UUID) -> bool:
        """Deletes a document, unless it has versions or another file is on its way; returns whether it did."""
        try:
            async with connection.transaction():
                await connection.execute(queries.withdraw_document, caller.tenant_id, document_id)
        except asyncpg.ForeignKeyViolationError:
            return False
        return True

    async def _bind(self, connection: Connection, caller: Caller, withdrawing: UUID) -> None:
        """Lets the transaction see and delete one job's file, or one document, whatever the caller may do with them."""
        await self.tenancy.bind(connection, caller.claims(presented={"withdrawing": str(withdrawing)}))


@dataclass(frozen=True, slots=True)
class _Withdrawn:
    """A file that was taken back, and the document that it was uploaded to, which may have gone with it."""

    id: UUID
    sha256: bytes
    document_id: UUID
    doc_id: str
    document_removed: bool

    @property
    def details(self) -> dict[str, object]:
        document = {"id": str(self.document_id), "doc_id": self.doc_id, "removed": self.document_removed}
        return {"file": {"id": str(self.id), "sha256": self.sha256.hex()}, "document": document}
