"""Documents: what there is, its versions, their text, and what changed."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request
from fastapi.responses import Response

from backend.audit.recorder import Recorder
from backend.console.page import Signed, page, requires
from backend.console.page import router as pages
from backend.documents.models import VersionChunk
from backend.documents.versions import changes
from backend.documents.versions import service as versions
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.tenancy import Tenancy

router = pages()

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk of a version, and the words of it that are cited."""

    chunk: VersionChunk
    before: str
    cited: str
    after: str


def passages_of(chunks: list[VersionChunk], cited: UUID | None, start: int | None, end: int | None) -> list[Passage]:
    """Returns the chunks, in one of which words are marked: all of it where no span is given."""
    passages = []
    for chunk in chunks:
        if chunk.chunk_id != cited:
            passages.append(Passage(chunk, chunk.text, "", ""))
            continue
        first, last = start or 0, len(chunk.text) if end is None else end
        passages.append(Passage(chunk, chunk.text[:first], chunk.text[first:last], chunk.text[last:]))
    return passages


@router.get("/documents")
async def list_documents(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], cursor: Annotated[UUID | None, Query()] = None
) -> Response:
    """Lists documents with the state of their newest version."""
    requires(visitor, Permission.DOCUMENTS_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = await versions.list_documents(
            connection, visitor.caller, collection=None, doc_id=None, limit=50, cursor=cursor
        )
    return page(request, "documents.html", visitor, found=found)


@router.get("/documents/{document_id}")
async def show_document(request: Request, visitor: Signed, tenancy: Provided[Tenancy], document_id: UUID) -> Response:
    """Shows the versions of a document."""
    requires(visitor, Permission.DOCUMENTS_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        document = await versions.get_document(connection, visitor.caller, document_id)
    return page(request, "document.html", visitor, document=document)


@router.get("/documents/{document_id}/versions/{number}")
async def show_version(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document_id: UUID,
    number: Number,
    chunk: Annotated[UUID | None, Query()] = None,
    start: Annotated[int | None, Query(ge=0)] = None,
    end: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """Shows the text of a version, with cited words marked; that it was read is on record."""
    requires(visitor, Permission.DOCUMENTS_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        document = await versions.get_document(connection, visitor.caller, document_id)
        version = await versions.read_version(tenancy, connection, visitor.caller, recorder, document_id, number)
    passages = passages_of(version.chunks, chunk, start, end)
    return page(request, "version.html", visitor, document=document, version=version, passages=passages)


@router.get("/documents/{document_id}/compare")
async def compare(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    document_id: UUID,
    before: Annotated[int, Query(ge=1, le=2**31 - 1)],
    after: Annotated[int, Query(ge=1, le=2**31 - 1)],
) -> Response:
    """Shows what changed from one version to another, side by side."""
    requires(visitor, Permission.DOCUMENTS_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        document = await versions.get_document(connection, visitor.caller, document_id)
        comparison = await changes.compare_versions(tenancy, connection, visitor.caller, document_id, before, after)
    return page(request, "compare.html", visitor, document=document, comparison=comparison)
