"""Does verifications, as jobs, and puts what they find on record."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.audit.actions.review import AuditVerified, FoundInLog
from backend.audit.details import leading
from backend.audit.events import Event, Outcome
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.jobs.failures import JobFailure
from backend.jobs.job import Job, JobFailed
from backend.ledger.verifier import CONVICTING, Report
from backend.review.verification.live import PART_LEAVES, LiveLog, convicting
from backend.review.verification.models import MAX_SHOWN, LogFinding


@dataclass(frozen=True, slots=True)
class VerificationHandler:
    """Does the jobs that verify the log."""

    vault: PayloadVault
    recorder: Recorder
    public_key: str | None
    part_leaves: int = PART_LEAVES

    async def run(self, job: Job) -> None:
        """Verifies and records what was found; the event says so even if nobody fetches it."""
        # Without these rights the database would show nothing, and everything would look removed.
        job.caller.require(Permission.AUDIT_READ)
        texts = bool(job.parameters["texts"])
        if texts:
            job.caller.require(Permission.AUDIT_REVEAL)
        if self.public_key is None:
            raise JobFailed("no_public_key", "The worker knows no public key of checkpoints.")
        kept: Sequence[str] = job.parameters["checkpoints"]
        vault = self.vault if texts else None
        log = LiveLog(job.transaction, job.tenant_id, self.public_key, kept, vault, self.part_leaves)
        report = await log.verify(job.report)
        found, sound = shown(report), convicting(report) == 0
        counts = {kind.value: count for kind, count in report.counts.items()}
        told = AuditVerified(
            verification=job.id, sound=sound, texts=texts, leaves=report.leaves.stop, counts=counts,
            findings=leading([FoundInLog(kind=one.kind, subject=one.subject, detail=one.detail) for one in found]),
        )  # fmt: skip
        outcome, reason = (Outcome.SUCCEEDED, None) if sound else (Outcome.FAILED, "log:tampered")
        result = {"ok": sound, "texts": texts, "leaves": report.leaves.stop, "counts": counts}
        async with job.transaction() as connection:
            await self.recorder.record(connection, job.caller, Event(told, outcome, reason))
            await job.finish(connection, {**result, "findings": [finding.model_dump() for finding in found]})

    async def on_failure(self, connection: Connection, caller: Caller, failure: JobFailure) -> None:
        """Records that nothing came of the verification."""
        event = Event(AuditVerified(verification=failure.job_id), failure.outcome, failure.reason)
        await self.recorder.record(connection, caller, event)


def shown(report: Report) -> list[LogFinding]:
    """Returns the findings to show, those that convict first."""
    first = sorted(report.findings, key=lambda finding: finding.kind not in CONVICTING)
    return [LogFinding(kind=f.kind.value, subject=f.subject, detail=f.detail) for f in first[:MAX_SHOWN]]
