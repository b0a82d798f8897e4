"""What a source has no more: it asks that versions be retired, which a person confirms, and takes that back when they return."""

from collections.abc import Sequence
from uuid import UUID

from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_rows
from backend.documents.locks import lock_documents
from backend.documents.tables import VersionRow
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.service import JointAct

queries = Queries.beside(__file__)


async def ask_retirement(connection: Connection, caller: Caller, recorder: Recorder, document_id: UUID) -> int:
    """Asks that whatever of a document is or will be in force be retired; returns for how many versions that waits for a person.

    Nothing ends before somebody else wants it as well, as `approval.retire` has it.
    """
    versions = await _versions(connection, caller, document_id)
    lasting = [version for version in versions if version.shown_status == "approved" and version.status != "retired"]
    for version in lasting:
        await joint_acts.ask(connection, caller, recorder, JointAct.VERSION_RETIRE, version.id, {"effective_to": None})
    return len(lasting)


async def take_back_retirement(connection: Connection, caller: Caller, recorder: Recorder, document_id: UUID) -> None:
    """Takes back what the caller asked for of a document and nobody has joined."""
    for version in await _versions(connection, caller, document_id):
        await joint_acts.withdraw_own(connection, caller, recorder, JointAct.VERSION_RETIRE, version.id)


async def _versions(connection: Connection, caller: Caller, document_id: UUID) -> Sequence[VersionRow]:
    caller.require(Permission.DOCUMENTS_WRITE)
    if not await lock_documents(connection, caller.tenant_id, [document_id]):
        return []
    return await fetch_rows(connection, VersionRow, queries.versions, caller.tenant_id, document_id)
