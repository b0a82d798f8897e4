"""What changed from one version of a document to another."""

from uuid import UUID

from anyio import to_thread

from backend.database import Connection
from backend.documents.tables import ChunkRow
from backend.documents.versions.comparison import ComparedText, compare, paragraphs
from backend.documents.versions.models import DocumentComparison, DocumentDifference
from backend.documents.versions.service import find_document, find_version, read_chunks
from backend.identity.callers.caller import Caller
from backend.tenancy import Tenancy


async def compare_versions(
    tenancy: Tenancy, connection: Connection, caller: Caller, document_id: UUID, before: int, after: int
) -> DocumentComparison:
    """Returns the differences of two versions by paragraph; raises NotFound for a version that the caller may not see."""
    document = await find_document(connection, caller, document_id)
    versions = [await find_version(connection, caller, document_id, number) for number in (before, after)]
    old, new = [_paragraphs(await read_chunks(tenancy, connection, caller, version)) for version in versions]
    differences = await to_thread.run_sync(compare, old, new)
    return DocumentComparison(
        doc_id=document.doc_id, from_version=before, to_version=after,
        differences=[
            DocumentDifference(change=d.change, before=list(d.before), after=list(d.after)) for d in differences
        ],
    )  # fmt: skip


def _paragraphs(chunks: list[ChunkRow]) -> list[str]:
    return paragraphs([ComparedText(chunk.text, chunk.char_start, chunk.char_end) for chunk in chunks])
