"""Documents and their versions: submission, review, reading, comparison."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Response, status
from fastapi.responses import JSONResponse
from pydantic import Field

from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.documents import erasure, inspection
from backend.documents.chunks import service
from backend.documents.chunks.vectors import WRITING, Vectorizer
from backend.documents.models import Effective, ErasedDocuments, SubjectErasure
from backend.documents.versions import approval, changes
from backend.documents.versions import service as versions
from backend.documents.versions.models import (
    Approval,
    DocumentComparison,
    DocumentPage,
    DocumentView,
    NewVersion,
    NewVersionChunk,
    Rejection,
    Retirement,
    SubmittedVersion,
    VersionList,
    VersionView,
)
from backend.documents.versions.submission import Submission, SubmittedPassage, submit
from backend.errors import InvalidInput, TooLarge
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.joint_acts.routes import PENDING, accepted
from backend.personal_data.pseudonyms import PseudonymKeys
from backend.provided import Provided
from backend.schema import ApiModel, Moment, Text
from backend.settings import Settings
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

across = APIRouter(tags=["documents"], route_class=GuardedRoute)
router = APIRouter(prefix="/documents", tags=["documents"], route_class=GuardedRoute)

Reader = Annotated[Caller, Requires(Permission.DOCUMENTS_READ)]
Writer = Annotated[Caller, Requires(Permission.DOCUMENTS_WRITE)]
Reviewer = Annotated[Caller, Requires(Permission.DOCUMENTS_REVIEW)]
Eraser = Annotated[Caller, Requires(Permission.ERASURE_EXECUTE)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="The version's number.")]


State = Literal["draft", "in_review", "approved", "superseded", "retired", "rejected"]


class DocumentQuery(ApiModel):
    """Filters and page of the list of documents."""

    collection: Annotated[Text, Field(max_length=63)] | None = None
    doc_id: Annotated[Text, Field(max_length=256)] | None = None
    q: Annotated[Text, Field(max_length=128)] | None = Field(default=None, description="A part of the name or title.")
    ends_before: Moment | None = Field(
        default=None, description="Only documents whose version in force ends before this moment."
    )
    limit: int = Field(default=50, ge=1, le=500)
    cursor: UUID | None = Field(default=None, description="`next_cursor` of the page before.")


@router.post(
    "/versions",
    status_code=status.HTTP_201_CREATED,
    summary="Submit a version of a document, as text",
    responses={200: {"model": SubmittedVersion, "description": "The latest version has the same content."}},
)
async def submit_version(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    vectorizer: Provided[Vectorizer],
    keys: Provided[PseudonymKeys],
    response: Response,
    body: NewVersion,
    caller: Writer,
) -> SubmittedVersion:
    """Stores the next version of a document, or its first, whole and immutable.

    Where its collection requires approval it goes into review; elsewhere it takes over from `effective_from` on.
    """
    _check_size(body.chunks, settings)
    async with tenancy.transaction(caller.claims()) as connection:
        collection = (await service.collections_for(connection, caller, [body.collection]))[body.collection]
    texts = [chunk.text for chunk in body.chunks]
    # Embedding takes long: no connection is held meanwhile.
    periods = vectorizer.periods([body.doc_id, body.title or ""], body.metadata, texts[0])
    count = len(texts)
    policies = [collection.personal_data] * count
    pseudonyms = keys.of_tenant(caller.tenant_id)
    inspected = await inspection.inspect(pseudonyms, texts, policies)
    if found := inspection.refused(inspected, policies):
        await service.refuse(tenancy, recorder, caller, found)
    searched = [text.searched for text in inspected]
    titles = await inspection.titles(pseudonyms, [body.title] * count, [c.span for c in body.chunks], policies)
    vectors = await vectorizer.vectors(searched, [collection.language] * count, titles, [periods] * count)
    submission = Submission(
        doc_id=body.doc_id, collection=collection, source_type=body.source_type, title=body.title, metadata=body.metadata,
        effective_from=body.effective_from, effective_to=body.effective_to,
        passages=[SubmittedPassage(c.text, v, c.span) for c, v in zip(body.chunks, vectors, strict=True)],
        personal_data=inspection.found_in(inspected),
    )  # fmt: skip
    claims = caller.claims(presented=WRITING)
    async with tenancy.transaction(claims) as connection:
        renew = tenancy.renewal(connection, claims)
        submitted = await submit(connection, caller, recorder, submission, vectorizer.model, renew)
    if not submitted.created:
        response.status_code = status.HTTP_200_OK
    return submitted


@router.get("", summary="List documents")
async def list_documents(
    tenancy: Provided[Tenancy], query: Annotated[DocumentQuery, Query()], caller: Reader
) -> DocumentPage:
    """Returns the documents of the collections that the caller may read."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await versions.list_documents(
            connection, caller, collection=query.collection, doc_id=query.doc_id, limit=query.limit, cursor=query.cursor,
            named=query.q, ends_before=query.ends_before,
        )  # fmt: skip


# As a uuid: otherwise /documents/versions and /documents/erasures were ids too, with methods that they do not have.
@router.get("/{document_id:uuid}", summary="A document and its versions")
async def get_document(tenancy: Provided[Tenancy], document_id: UUID, caller: Reader) -> DocumentView:
    """Returns a document with its versions; those that were never approved only to writers and reviewers."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await versions.get_document(connection, caller, document_id)


@router.get("/{document_id}/versions/{number}", summary="A version with its text")
async def get_version(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], document_id: UUID, number: Number, caller: Reader
) -> VersionView:
    """Returns a version, its text in reading order, and what reviewers decided on it."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await versions.read_version(tenancy, connection, caller, recorder, document_id, number)


@router.post("/{document_id}/versions/{number}/submit", summary="Submit a draft for review")
async def submit_draft(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], document_id: UUID, number: Number, caller: Writer,
    body: Annotated[Effective, Body(default_factory=Effective)],
) -> VersionView:  # fmt: skip
    """Ends the adding of chunks to a draft, which only its author can do, and puts it into review."""
    async with tenancy.transaction(caller.claims(presented=WRITING)) as connection:
        await approval.submit_draft(connection, caller, recorder, document_id, number, body)
        return await _view(tenancy, connection, caller, document_id, number)


@router.post("/{document_id}/versions/{number}/approve", summary="Approve a version")
async def approve_version(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], document_id: UUID, number: Number, caller: Reviewer,
    body: Annotated[Approval, Body(default_factory=Approval)],
) -> VersionView:  # fmt: skip
    """Approves a version that is in review. Its author cannot, nor can a key.

    With the last approval that is needed it takes over at its `effective_from`, and the version before it ends then.
    A reviewer may put that off within what the author proposed.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        renew = tenancy.renewal(connection, caller.claims())
        await approval.approve(connection, caller, recorder, document_id, number, body, renew)
        return await _view(tenancy, connection, caller, document_id, number)


@router.post("/{document_id}/versions/{number}/reject", summary="Reject a version")
async def reject_version(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document_id: UUID,
    number: Number,
    body: Rejection,
    caller: Reviewer,
) -> VersionView:
    """Ends the review of a version with a reason."""
    async with tenancy.transaction(caller.claims()) as connection:
        await approval.reject(connection, caller, recorder, document_id, number, body)
        return await _view(tenancy, connection, caller, document_id, number)


@router.post(
    "/{document_id}/versions/{number}/retire",
    response_model=VersionView,
    responses=PENDING,
    summary="Retire a version",
)
async def retire_version(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document_id: UUID,
    number: Number,
    body: Retirement,
    caller: Annotated[Caller, Requires()],
) -> VersionView | JSONResponse:
    """Withdraws an approved version, now or at a later moment; one that has not begun never will.

    Where the collection asks for approval, two people ask for it: one who writes or reviews there, and another who reviews.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        renew = tenancy.renewal(connection, caller.claims())
        pending = await approval.retire(connection, caller, recorder, document_id, number, body, renew)
        if pending is not None:
            return accepted(pending)
        return await _view(tenancy, connection, caller, document_id, number)


async def _view(
    tenancy: Tenancy, connection: Connection, caller: Caller, document_id: UUID, number: int
) -> VersionView:
    return await versions.get_version(tenancy, connection, caller, document_id, number)


def _check_size(chunks: list[NewVersionChunk], settings: Settings) -> None:
    if len(chunks) > settings.max_batch_chunks:
        raise InvalidInput(f"chunks: has {len(chunks)} items, at most {settings.max_batch_chunks} are taken at once")
    for index, chunk in enumerate(chunks):
        if len(chunk.text) > settings.max_chunk_chars:
            raise TooLarge(f"text of chunk {index} is longer than {settings.max_chunk_chars} characters")


@router.get("/{document_id}/diff", summary="Compare two versions")
async def compare_versions(
    tenancy: Provided[Tenancy],
    document_id: UUID,
    caller: Reader,
    before: Annotated[int, Query(alias="from", ge=1, le=2**31 - 1, examples=[1])],
    after: Annotated[int, Query(alias="to", ge=1, le=2**31 - 1, examples=[2])],
) -> DocumentComparison:
    """Returns what two versions have in common and what only one of them has, by paragraph."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await changes.compare_versions(tenancy, connection, caller, document_id, before, after)


@router.delete("/{document_id:uuid}", summary="Delete a document")
async def erase_document(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[FileVault], document_id: UUID, caller: Eraser,
    reason: Annotated[Text, Query(min_length=3, max_length=500, description="Why; kept in the log.")],
) -> ErasedDocuments:  # fmt: skip
    """Deletes a document with all versions: files, text, vectors, statistics. 409 while a legal hold applies to everyone."""
    async with tenancy.transaction(caller.claims(presented=erasure.ERASING)) as connection:
        return await erasure.erase_document(connection, caller, recorder, vault, document_id, reason)


@router.post("/erasures", summary="Delete everything of a data subject")
async def erase_subject(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    vault: Provided[FileVault],
    body: SubjectErasure,
    caller: Eraser,
) -> ErasedDocuments:
    """Deletes every chunk whose metadata has this `data_subject`, in all collections, and what holds nothing else."""
    async with tenancy.transaction(caller.claims(presented=erasure.ERASING)) as connection:
        return await erasure.erase_subject(connection, caller, recorder, vault, body)


@across.get("/versions", summary="List versions across documents")
async def list_versions(
    tenancy: Provided[Tenancy],
    caller: Reader,
    status: Annotated[State | None, Query(description="Only versions in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
) -> VersionList:
    """Returns the versions that the caller may see, newest first: a reviewer's queue, an author's own work."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await versions.list_versions(connection, caller, status=status, limit=limit, cursor=cursor)
