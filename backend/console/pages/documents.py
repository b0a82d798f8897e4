"""Documents: what there is, when each version of one applied, and what changed between two."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from anyio import to_thread
from fastapi import Form, Query, Request
from fastapi.responses import Response

from backend.audit.recorder import Recorder
from backend.console import plots
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.pages.ask import Collections
from backend.console.viewer import viewer_of
from backend.console.visit import Sender, Signed, may, requires, requires_fresh
from backend.documents import erasure
from backend.documents.versions import changes
from backend.documents.versions import service as versions
from backend.documents.versions.comparison import Words, compare_words
from backend.documents.versions.models import DocumentComparison
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.schema import Text
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

router = pages()

ENDING_SOON = timedelta(days=30)

Name = Annotated[Text, Query(max_length=128)]


@router.get("/documents")
async def list_documents(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    collections: Collections,
    q: Name = "",
    collection: Annotated[Text, Query(max_length=63)] = "",
    ending: Annotated[Text, Query(max_length=1)] = "",
    cursor: Annotated[UUID | None, Query()] = None,
) -> Response:
    """Lists documents with what is in force, all of them or those that end within 30 days."""
    requires(visitor, Permission.DOCUMENTS_READ)
    ends_before = datetime.now(UTC) + ENDING_SOON if ending else None
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = await versions.list_documents(
            connection, visitor.caller, collection=collection or None, doc_id=None, limit=50, cursor=cursor,
            named=q.strip() or None, ends_before=ends_before,
        )  # fmt: skip
    chosen = {"q": q, "collection": collection, "ending": ending}
    writable = any(view.writable for view in collections) and may(visitor, Permission.DOCUMENTS_WRITE)
    return page(
        request, "documents.html", visitor, found=found, chosen=chosen, collections=collections, writable=writable,
        soon=datetime.now(UTC) + ENDING_SOON,
    )  # fmt: skip


@router.get("/documents/{document_id:uuid}")
async def show_document(request: Request, visitor: Signed, tenancy: Provided[Tenancy], document_id: UUID) -> Response:
    """Shows the versions of a document on a time line."""
    requires(visitor, Permission.DOCUMENTS_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        document = await versions.get_document(connection, visitor.caller, document_id)
    plot = plots.validity(document.versions, viewer_of(request), document.title or document.doc_id)
    return page(
        request, "document.html", visitor, document=document, plot=plot,
        may_delete=may(visitor, Permission.ERASURE_EXECUTE), may_review=may(visitor, Permission.AUDIT_READ),
    )  # fmt: skip


@router.get("/documents/{document_id}/compare")
async def compare(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    document_id: UUID,
    before: Annotated[int, Query(ge=1, le=2**31 - 1)],
    after: Annotated[int, Query(ge=1, le=2**31 - 1)],
) -> Response:
    """Shows what changed from one version to another, side by side and word by word."""
    requires(visitor, Permission.DOCUMENTS_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        document = await versions.get_document(connection, visitor.caller, document_id)
        comparison = await changes.compare_versions(tenancy, connection, visitor.caller, document_id, before, after)
    differences = await by_word(comparison)
    return page(request, "compare.html", visitor, document=document, comparison=comparison, differences=differences)


@router.post("/documents/{document_id}/delete")
async def delete(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    vault: Provided[FileVault],
    document_id: UUID,
    reason: Annotated[Text, Form(min_length=3, max_length=500)],
) -> Response:
    """Deletes a document with all its versions, for a reason that is on record."""
    requires(visitor, Permission.ERASURE_EXECUTE)
    if again := requires_fresh(visitor, f"/console/documents/{document_id}"):
        return again
    async with tenancy.transaction(visitor.caller.claims(presented=erasure.ERASING)) as connection:
        await erasure.erase_document(connection, visitor.caller, recorder, vault, document_id, reason)
    return to("/console/documents")


async def by_word(comparison: DocumentComparison) -> list[tuple[str, Words, Words]]:
    """Returns each difference with its words, and whether both versions have them."""

    def compared() -> list[tuple[str, Words, Words]]:
        texts = [(d.change, "\n\n".join(d.before), "\n\n".join(d.after)) for d in comparison.differences]
        return [(change, *compare_words(before, after)) for change, before, after in texts]

    return await to_thread.run_sync(compared)
