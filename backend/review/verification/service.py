"""The rules of verifications: who may ask for one, and what is said of it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from backend.audit.actions.review import AuditRead
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.errors import Conflict, InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.jobs.service import enqueue, get_job
from backend.ledger.checkpoints import InvalidNote, VerifierKey, log_origin, open_checkpoint
from backend.review.verification.models import NewVerification, VerificationView

VERIFY = "audit:verify"


async def request_verification(
    connection: Connection, caller: Caller, recorder: Recorder, asked: NewVerification, public_key: str | None
) -> VerificationView:
    """Queues a verification.

    Raises Forbidden for texts without audit:reveal, InvalidInput for checkpoints that are not of this log, and Conflict for
    any when no public key is configured.
    """
    if asked.texts:
        caller.require(Permission.AUDIT_REVEAL)
    for note in asked.checkpoints:
        _refuse_foreign(note, public_key, caller.tenant_id)
    parameters = {"texts": asked.texts, "checkpoints": asked.checkpoints}
    job_id = await enqueue(connection, caller, VERIFY, parameters)
    told = AuditRead(verification=job_id, texts=asked.texts, kept=len(asked.checkpoints))
    await recorder.record(connection, caller, Event(told))
    return await get_verification(connection, caller, job_id)


async def get_verification(connection: Connection, caller: Caller, verification_id: UUID) -> VerificationView:
    """Returns a verification that the caller asked for; raises NotFound."""
    job = await get_job(connection, caller, verification_id)
    if job.kind != VERIFY:
        raise NotFound(reason="verification:unknown")
    result: Mapping[str, Any] = job.result or {}
    return VerificationView(
        id=job.id, status=job.status, requested_by=job.requested_by, progress=job.progress, error=job.error, **result
    )


def _refuse_foreign(note: str, public_key: str | None, tenant_id: UUID) -> None:
    if public_key is None:
        raise Conflict("No public key of checkpoints is configured here.", reason="verification:no_key")
    keys = [VerifierKey.parse(line) for line in public_key.split()]
    try:
        checkpoint = open_checkpoint(note, keys)
    except InvalidNote as error:
        raise InvalidInput(f"checkpoints: {error}") from None
    if checkpoint.origin != log_origin(keys[0].name, str(tenant_id)):
        raise InvalidInput("checkpoints: one is of another log")
