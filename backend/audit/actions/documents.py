"""Documents: collections, uploads, versions and their approval, deletion."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from backend.audit.details import Activity, Details, Instant, Member


class CollectionChanged(Details, action="collection:changed", activity=Activity.UPDATE):
    """A collection was created or changed; of a metadata schema only that it changed is told."""

    collection: str
    name: str | None = None
    language: str | None = None
    approval_required: bool | None = None
    approvers: int | None = None
    refused_warnings: Sequence[str] | None = None
    personal_data: str | None = None
    changed: Sequence[str] | None = None


class DocumentUploaded(Details, action="document:uploaded", activity=Activity.CREATE, within="file"):
    """A file was taken, of which a job makes a version."""

    id: UUID
    document: UUID
    doc_id: str
    collection: str
    sha256: str
    bytes: int
    media_type: str
    job: UUID


class FileStaged(Details, action="file:staged", activity=Activity.CREATE, within="file"):
    """A file was taken that goes to no collection yet."""

    id: UUID
    sha256: str
    bytes: int
    media_type: str


class FileWithdrawn(Details, action="file:withdrawn", activity=Activity.DELETE, within="file"):
    """A file that went to no collection was taken back."""

    id: UUID
    sha256: str


class _NamedVersion(Member):
    """A version of a document, and from when to when it is in force."""

    doc_id: str
    document: UUID
    collection: str
    version: int
    content_sha256: str
    effective_from: Instant | None = None
    effective_to: Instant | None = None


class IngestedVersion(_NamedVersion):
    """A version that was made of a submission or a file; of personal data only how many values of each kind it holds."""

    status: str
    chunks: int
    personal_data: Mapping[str, int] | None = None


class IngestedDocument(Member):
    """How many chunks one document was given."""

    id: UUID
    doc_id: str
    version: int
    chunks: int


class IngestedChunks(Member):
    """Ready-made chunks; of more documents than are listed, a payload has the rest."""

    chunks: int
    added: int
    documents: Sequence[IngestedDocument]
    document_count: int
    content_sha256: str
    personal_data: Mapping[str, int] | None = None


class WithdrawnFile(Member):
    """A file that became no version and was taken back."""

    id: UUID
    sha256: str


class WithdrawnDocument(Member):
    """The document that such a file was for, and whether it went as well."""

    id: UUID
    doc_id: str
    removed: bool


class DocumentIngested(Details, action="document:ingested", activity=Activity.CREATE):
    """A version was made, or chunks were added; of an ingestion that failed, by which job, and what was taken back.

    Or nothing was taken, since the collection refuses personal data, of which so many values of each kind were found.
    """

    version: IngestedVersion | None = None
    ingestion: IngestedChunks | None = None
    job: UUID | None = None
    file: WithdrawnFile | None = None
    document: WithdrawnDocument | None = None
    personal_data: Mapping[str, int] | None = None


class DocumentRead(Details, action="document:read", activity=Activity.READ, within="read"):
    """The text of a version was read, or one page of it, or its file."""

    document: UUID
    doc_id: str
    collection: str
    version: int
    file_sha256: str | None = None
    page: int | None = None


class DecidedVersion(_NamedVersion):
    """A version that somebody decided on; of an approval, how many it has by now and how many it needs."""

    approvals: int | None = None
    approvals_needed: int | None = None
    put_off_to: Instant | None = None  # the beginning that a reviewer wanted in place of the proposed one


class DocumentSubmitted(Details, action="document:submitted", activity=Activity.CREATE):
    """A draft asks for approval."""

    version: DecidedVersion


class DocumentApproved(Details, action="document:approved", activity=Activity.UPDATE):
    """Somebody approved a version; with the last approval that is needed it is in force."""

    version: DecidedVersion


class DocumentRejected(Details, action="document:rejected", activity=Activity.UPDATE):
    """Somebody rejected a version."""

    version: DecidedVersion


class DocumentRetired(Details, action="document:retired", activity=Activity.DELETE):
    """A version is in force no longer than until this moment."""

    version: DecidedVersion


class DeletedDocument(Member):
    """A document that lost text, or went as a whole."""

    id: UUID
    doc_id: str
    whole: bool


class DocumentErased(Details, action="document:erased", activity=Activity.DELETE, within="deletion"):
    """Text was deleted, with its vectors and files."""

    documents: Sequence[DeletedDocument]
    document_count: int
    versions: int
    chunks: int


class JobCancelled(Details, action="job:cancelled", activity=Activity.UPDATE, within="job"):
    """Somebody ended a job before it was done."""

    id: UUID
    kind: str


class JobRetried(Details, action="job:retried", activity=Activity.UPDATE, within="job"):
    """Somebody queued a failed job again."""

    id: UUID
    kind: str
