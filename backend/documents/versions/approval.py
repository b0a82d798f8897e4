"""The rules of review: who may decide, when a version takes over, and that the one before it ends at that moment.

Whoever changes the versions of a document locks it first; validities of versions and their chunks change in one transaction,
so that no statement ever sees two versions in force, or none.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.documents import (
    DecidedVersion,
    DocumentApproved,
    DocumentRejected,
    DocumentRetired,
    DocumentSubmitted,
)
from backend.audit.details import timestamp
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_row, fetch_rows
from backend.documents.chunks import vectors as chunks
from backend.documents.locks import lock_documents
from backend.documents.models import Effective
from backend.documents.tables import DocumentRow, VersionRow
from backend.documents.versions.models import Approval, Rejection, Retirement
from backend.documents.versions.validity import FOREVER, PlannedValidity, Validity, timeline
from backend.errors import Conflict, Forbidden, InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.models import Pending
from backend.identity.joint_acts.service import JointAct
from backend.tenancy import Renewal

queries = Queries.beside(__file__)

_WITH_VALIDITY = frozenset({"approved", "superseded", "retired"})


async def submit_draft(
    connection: Connection, caller: Caller, recorder: Recorder, document_id: UUID, number: int, effective: Effective
) -> None:
    """Puts a draft into review; it takes no more chunks. Raises Conflict for what is no draft of the caller, or empty."""
    caller.require(Permission.DOCUMENTS_WRITE)
    document, version, _ = await _locked(connection, caller, document_id, number)
    if version.status != "draft" or version.created_by != caller.principal_id:
        raise Conflict("Only a draft can be submitted, by its author.", reason="version:not_a_draft")
    if await connection.fetchval(queries.stored_content_hash, caller.tenant_id, version.id) is None:
        raise Conflict("The draft is empty.", reason="version:empty")
    await connection.execute(
        queries.close_version,
        caller.tenant_id,
        version.id,
        "in_review",
        effective.effective_from,
        effective.effective_to,
    )
    await _record(connection, caller, recorder, DocumentSubmitted(version=_described(document, version)))


async def approve(
    connection: Connection, caller: Caller, recorder: Recorder, document_id: UUID, number: int, approval: Approval,
    renew: Renewal,
) -> None:  # fmt: skip
    """Records an approval; with the last one that is needed, the version takes over when it is to be in force.

    Raises Forbidden for the author and for keys; Conflict for a version that is not in review, was decided by this caller
    before, or holds other content than was read; InvalidInput for a beginning outside of what was proposed.
    """
    document, version, versions = await _decide(connection, caller, document_id, number, "approved", approval.comment)
    read = approval.content_sha256
    if read is not None and read != version.content_sha256.hex():
        raise Conflict("The version holds other content than you read.", reason="approval:other_content")
    if await connection.fetchval(queries.stored_content_hash, caller.tenant_id, version.id) != version.content_sha256:
        raise Conflict("The version does not hold what was submitted.", reason="approval:content_damaged")
    proposed = await _proposed_beginning(connection, caller, version, approval.effective_from)
    given = await connection.fetchval(queries.count_approvals, caller.tenant_id, version.id)
    validity = None
    if given >= version.approvals_needed:
        begins = proposed or await connection.fetchval(queries.moment)
        planned = plan(number, begins, version.planned_to)
        status, validity = await take_over(connection, caller, versions, planned, renew)
        await _set(connection, caller, version.id, status, validity, renew)
        await chunks.count_version(connection, caller.tenant_id, version.id, renew)
    approved = replace(
        _described(document, version, validity), approvals=given, approvals_needed=version.approvals_needed,
        put_off_to=approval.effective_from,
    )  # fmt: skip
    await _record(connection, caller, recorder, DocumentApproved(version=approved))


async def _proposed_beginning(
    connection: Connection, caller: Caller, version: VersionRow, wanted: datetime | None
) -> datetime | None:
    """Returns when the version is to begin, None for at its last approval, and keeps what the reviewer wants instead.

    Raises InvalidInput where that is outside of what the author, or a reviewer before, proposed.
    """
    if wanted is None or wanted == version.planned_from:
        return version.planned_from
    earliest = version.planned_from or await connection.fetchval(queries.moment)
    if not earliest < wanted < (version.planned_to or FOREVER):
        raise InvalidInput("effective_from: must be later than proposed, and before the proposed end")
    await connection.execute(queries.put_off_version, caller.tenant_id, version.id, wanted)
    return wanted


async def reject(
    connection: Connection, caller: Caller, recorder: Recorder, document_id: UUID, number: int, rejection: Rejection
) -> None:
    """Ends the review of a version; raises as `approve` does."""
    document, version, _ = await _decide(connection, caller, document_id, number, "rejected", rejection.reason)
    await connection.execute(queries.reject_version, caller.tenant_id, version.id, rejection.reason)
    await _record(connection, caller, recorder, DocumentRejected(version=_described(document, version)))


async def retire(
    connection: Connection, caller: Caller, recorder: Recorder, document_id: UUID, number: int, retirement: Retirement,
    renew: Renewal,
) -> Pending | None:  # fmt: skip
    """Withdraws an approved version, now or at a later moment; where approval is asked for, when a second person wants it, too.

    One that has not begun yet never will, and the version before it goes on. Raises Forbidden for keys, Conflict for a version
    without a validity, or one that has ended.
    """
    if caller.kind != "user":
        raise Forbidden("Only a person can retire a version.", reason="approval:not_a_person")
    if Permission.DOCUMENTS_WRITE not in caller.permissions:
        caller.require(Permission.DOCUMENTS_REVIEW)
    document, version, versions = await _locked(connection, caller, document_id, number)
    now = await connection.fetchval(queries.moment)
    ends = retirement.effective_to or now
    if ends < now:
        raise InvalidInput("effective_to: must not be in the past")
    if version.status not in _WITH_VALIDITY or (version.effective_to or FOREVER) <= now:
        raise Conflict("Only a version that is or will be in force can be retired.", reason="version:not_in_force")
    if await connection.fetchval(queries.asks_for_approval, caller.tenant_id, version.collection_id):
        change = {"effective_to": timestamp(retirement.effective_to) if retirement.effective_to else None}
        pending = await joint_acts.ask(connection, caller, recorder, JointAct.VERSION_RETIRE, version.id, change)
        if pending is not None:
            if version.collection_id not in caller.writable:
                caller.require(Permission.DOCUMENTS_REVIEW)
            return pending
    caller.require(Permission.DOCUMENTS_REVIEW)
    ends = max(version.validity.begins, min(ends, version.planned_to or FOREVER))
    await connection.execute(queries.retire_version, caller.tenant_id, version.id, ends, retirement.reason)
    others = [other for other in versions if other.number != number]
    planned = plan(number, version.validity.begins, ends)
    validity = timeline([*_plans(others), planned])[number]
    await _set(connection, caller, version.id, "retired", validity, renew)
    await _make_room(connection, caller, others, planned, renew)
    await _record(connection, caller, recorder, DocumentRetired(version=_described(document, version, validity)))
    return None


def plan(number: int, begins: datetime, ends: datetime | None) -> PlannedValidity:
    """Returns when a version is to be in force; without an end, forever."""
    return PlannedValidity(number, begins, ends or FOREVER)


def known_end(moment: datetime) -> datetime | None:
    """Returns the end of a validity as the database takes it: None for never."""
    return None if moment == FOREVER else moment


async def take_over(
    connection: Connection, caller: Caller, versions: Sequence[VersionRow], planned: PlannedValidity, renew: Renewal
) -> tuple[str, Validity]:
    """Ends the other versions of a document where a planned one begins; returns the status and validity that it gets.

    Raises Conflict when no time is left for it.
    """
    own = await _make_room(connection, caller, versions, planned, renew)
    if own.is_empty:
        detail = "It would never be in force: its end has passed, or a later version begins before it."
        raise Conflict(detail, reason="version:never_in_force")
    return _status("approved", own), own


async def _make_room(
    connection: Connection, caller: Caller, versions: Sequence[VersionRow], planned: PlannedValidity, renew: Renewal
) -> Validity:
    """Ends and prolongs the other versions around a planned one; returns the validity that it has then."""
    validities = timeline([*_plans(versions), planned])
    own = validities.pop(planned.number)
    known = {version.number: version for version in versions}
    # Ends come first: two versions without an end are refused by an index.
    for number, validity in sorted(validities.items(), key=lambda item: item[1].ends):
        version = known[number]
        status = _status(version.status, validity)
        if (status, validity) != (version.status, version.validity):
            await _set(connection, caller, version.id, status, validity, renew)
    return own


def _plans(versions: Sequence[VersionRow]) -> list[PlannedValidity]:
    return [
        plan(version.number, version.validity.begins, version.planned_to)
        for version in versions
        if version.status in _WITH_VALIDITY
    ]


def _status(status: str, validity: Validity) -> str:
    if status == "retired":
        return status
    return "superseded" if validity.is_superseded else "approved"


async def _set(
    connection: Connection, caller: Caller, version_id: UUID, status: str, validity: Validity, renew: Renewal
) -> None:
    changed = await connection.execute(
        queries.set_validity, caller.tenant_id, version_id, status, validity.begins, known_end(validity.ends)
    )
    if changed != "UPDATE 1":
        raise Forbidden("Only a reviewer can end a version that was approved.", reason="version:approved")
    await chunks.follow_version(connection, caller.tenant_id, version_id, renew)
    await connection.execute(queries.add_history, caller.tenant_id, [uuid7()], [version_id])


async def _locked(
    connection: Connection, caller: Caller, document_id: UUID, number: int
) -> tuple[DocumentRow, VersionRow, list[VersionRow]]:
    """Returns document, version and all versions, which nobody else changes meanwhile; raises NotFound."""
    document = await fetch_row(connection, DocumentRow, queries.document, caller.tenant_id, document_id)
    if document is None:
        raise NotFound(reason="document:unknown")
    if not await lock_documents(connection, caller.tenant_id, [document_id]):
        raise NotFound(reason="document:unknown")
    versions = await fetch_rows(connection, VersionRow, queries.versions, caller.tenant_id, document_id)
    for version in versions:
        if version.number == number:
            return document, version, versions
    raise NotFound(reason="version:unknown")


async def _decide(
    connection: Connection, caller: Caller, document_id: UUID, number: int, decision: str, comment: str | None
) -> tuple[DocumentRow, VersionRow, list[VersionRow]]:
    caller.require(Permission.DOCUMENTS_REVIEW)
    document, version, versions = await _locked(connection, caller, document_id, number)
    if version.status != "in_review":
        raise Conflict(f"The version is not in review but {version.shown_status}.", reason="version:not_in_review")
    if caller.kind != "user":
        raise Forbidden("Only a person can review.", reason="approval:not_a_person")
    if caller.principal_id in {version.author_id, version.created_by}:
        raise Forbidden("The author of a version cannot review it.", reason="approval:own_version")
    if await connection.fetchval(queries.has_decided, caller.tenant_id, version.id, caller.principal_id):
        raise Conflict("You have decided on this version before.", reason="approval:given_before")
    try:
        await connection.execute(
            queries.add_approval, caller.tenant_id, version.id, caller.principal_id, decision, comment
        )
    except asyncpg.InsufficientPrivilegeError as error:
        detail = "Another person than the author, and than who decided before, must review it."
        raise Forbidden(detail, reason="approval:same_person") from error
    return document, version, versions


async def _record(
    connection: Connection, caller: Caller, recorder: Recorder,
    decided: DocumentSubmitted | DocumentApproved | DocumentRejected | DocumentRetired,
) -> None:  # fmt: skip
    await recorder.record(connection, caller, Event(decided, doc_ids=[decided.version.doc_id]))


def _described(document: DocumentRow, version: VersionRow, validity: Validity | None = None) -> DecidedVersion:
    return DecidedVersion(
        doc_id=document.doc_id, document=document.id, collection=document.collection, version=version.number,
        content_sha256=version.content_sha256.hex(), effective_from=validity.begins if validity else None,
        effective_to=validity.ends if validity and known_end(validity.ends) else None,
    )  # fmt: skip
