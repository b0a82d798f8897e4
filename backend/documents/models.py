"""Request and response bodies of ingestion, documents and their versions."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import BeforeValidator, Field, computed_field, model_validator

from backend.documents.parsing.findings import WarningKind
from backend.schema import ApiModel, JsonObject, Moment, Text

DocId = Annotated[Text, Field(min_length=1, max_length=256, examples=["pol-001"])]
SourceType = Annotated[Text, Field(min_length=1, max_length=64, examples=["policy"])]
CollectionSlug = Annotated[Text, Field(min_length=1, max_length=63, examples=["default"])]


class NewChunk(ApiModel):
    """One ready-made chunk of a document."""

    doc_id: DocId
    chunk_text: Annotated[
        Text, Field(min_length=1, examples=["Card disputes must be filed within 60 days of statement date."])
    ]
    source_type: SourceType
    metadata: JsonObject = Field(
        default_factory=dict,
        description="A JSON object: jurisdiction, product line, version, approval date and whatever else to filter by.",
        examples=[{"jurisdiction": "US", "version": "1.0"}],
    )
    collection: CollectionSlug = "default"

    @property
    def title(self) -> str | None:
        """The document's title, if the metadata names one: its words count for every chunk."""
        title = self.metadata.get("title")
        return title if isinstance(title, str) else None


_REPLACE = "Make a new version of each document that holds these chunks alone, in place of adding them to the latest."


class NewChunks(ApiModel):
    """Chunks that are ingested together or not at all."""

    # The setting max_batch_chunks is checked later; this bound keeps a body of mistakes from filling the memory.
    chunks: Annotated[list[NewChunk], Field(min_length=1, max_length=10_000)]
    replace: bool = Field(default=False, strict=True, description=_REPLACE)


class IngestedChunk(ApiModel):
    """A stored chunk. It is retrievable at once, unless its collection requires approval."""

    id: UUID
    doc_id: str
    collection: str
    document_version: int
    status: str = Field(
        description="`approved`, or `draft` where approval is required; `in_review` there when it replaces others."
    )
    added: bool = Field(description="False for a text that the version had already.")
    chunks: int = Field(
        description="How many chunks the version holds now: what was added to it before stays in force."
    )
    chunk_ids: list[UUID] = Field(description="Which, in their order; of more than 1,000, the first.")


class DocumentChunks(ApiModel):
    """What the version of a document holds after an ingestion."""

    doc_id: str
    collection: str
    document_version: int
    status: str
    added: int
    chunks: int


class IngestedBatch(ApiModel):
    """The ids of stored chunks, in the order of the request, and what the versions of their documents hold now."""

    ingested: int
    ids: list[UUID]
    documents: list[DocumentChunks]


class Effective(ApiModel):
    """When a version is to be in force."""

    effective_from: Moment | None = Field(
        default=None,
        description="From when it is in force, also in the past or future; unset means from its approval.",
        examples=["2026-04-01T00:00:00Z"],
    )
    effective_to: Moment | None = Field(
        default=None, description="Until before when it is in force; unset means until a later version is."
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.effective_from and self.effective_to and self.effective_to <= self.effective_from:
            message = "effective_to: must be after effective_from"
            raise ValueError(message)
        return self


class SingleChunk(NewChunk):
    """One ready-made chunk, added to its document or in place of all that the document holds."""

    replace: bool = Field(default=False, strict=True, description=_REPLACE)


class ReplacingChunk(ApiModel):
    """One chunk of those that replace the chunks of a document."""

    chunk_text: Annotated[Text, Field(min_length=1, examples=["Card disputes must be filed within 90 days."])]
    metadata: JsonObject = Field(default_factory=dict, examples=[{"jurisdiction": "US"}])


class ReplacingChunks(Effective):
    """All chunks that a document is to hold, and from when."""

    source_type: SourceType
    collection: CollectionSlug = "default"
    chunks: Annotated[list[ReplacingChunk], Field(min_length=1, max_length=10_000)]


class NewVersionChunk(ApiModel):
    """One chunk of a new version, and where it stands in the original."""

    text: Annotated[Text, Field(min_length=1, examples=["An outgoing domestic wire costs $25."])]
    page_start: int | None = Field(default=None, ge=1, le=1_000_000, description="Counted from 1.")
    page_end: int | None = Field(default=None, ge=1, le=1_000_000)
    sheet: Annotated[Text, Field(max_length=255)] | None = Field(default=None, description="Of a workbook.")
    char_start: int | None = Field(default=None, ge=0, le=2**31 - 1, description="Counted from 0.")
    char_end: int | None = Field(default=None, ge=0, le=2**31 - 1, description="Exclusive.")
    heading_path: Annotated[list[Annotated[Text, Field(max_length=500)]], Field(max_length=16)] | None = Field(
        default=None, examples=[["Fees", "Wires"]]
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        for what, start, end in (
            ("page", self.page_start, self.page_end),
            ("char", self.char_start, self.char_end),
        ):
            if end is not None and (start is None or end < start):
                message = f"{what}_end: must not be before {what}_start"
                raise ValueError(message)
        return self


class NewVersion(Effective):
    """A whole version of a document, which is new or known by its doc_id."""

    doc_id: DocId
    collection: CollectionSlug = "default"
    source_type: SourceType
    title: Annotated[Text, Field(min_length=1, max_length=500, examples=["Fee schedule 2026"])] | None = None
    metadata: JsonObject = Field(
        default_factory=dict,
        description="What retrieval can filter by; the collection may require a schema.",
        examples=[{"jurisdiction": "US", "product_line": "deposits", "language": "en", "owner": "deposits-team"}],
    )
    chunks: Annotated[list[NewVersionChunk], Field(min_length=1, description="The text in reading order.")]


class Place(ApiModel):
    """Where a chunk stands in its document, as far as that is known."""

    page_start: int | None = Field(default=None, description="Counted from 1.", examples=[7])
    page_end: int | None = Field(default=None, examples=[7])
    sheet: str | None = Field(default=None, description="Of a workbook.")
    char_start: int | None = Field(
        default=None, description="In the text of the whole document, counted from 0.", examples=[10_240]
    )
    char_end: int | None = Field(default=None, description="Exclusive.", examples=[11_020])
    heading_path: list[str] | None = Field(
        default=None, description="The headings that it is under.", examples=[["Fees", "Wires"]]
    )


class Source(Place):
    """A place in a version of a document, and the path that opens it."""

    document_id: UUID
    doc_id: str
    document_version: int

    @computed_field(  # type: ignore[prop-decorator]
        description="What shows it, for who may read documents: its page, or the text of the version.",
        examples=["/documents/01968a1c-9c5e-7d60-8a3f-0f6d2a4c1b7e/versions/2/pages/7"],
    )
    @property
    def link(self) -> str:
        """The path that opens it."""
        version = f"/documents/{self.document_id}/versions/{self.document_version}"
        return version if self.page_start is None else f"{version}/pages/{self.page_start}"


def _parsed(value: object) -> object:
    if isinstance(value, str):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError as error:
            message = "must be a JSON object"
            raise ValueError(message) from error
    return value


class UploadFields(Effective):
    """What comes with a file, as fields of the form."""

    doc_id: DocId | None = Field(default=None, description="Unset means the name of the file.")
    collection: CollectionSlug = "default"
    source_type: SourceType = "document"
    title: Annotated[Text, Field(min_length=1, max_length=500, examples=["Fee schedule 2026"])] | None = None
    metadata: Annotated[JsonObject, BeforeValidator(_parsed)] = Field(
        default_factory=dict, description="A JSON object, as in `POST /documents/versions`."
    )


class AcceptedFile(ApiModel):
    """What becomes of an uploaded file."""

    document_id: UUID
    doc_id: str
    collection: str
    sha256: str = Field(description="Of the file.")
    accepted: bool = Field(description="False when the same file is in the latest version, or on its way to be.")
    job_id: UUID | None = Field(description="The job that makes a version of it; null when there is one already.")
    document_version: int | None = Field(description="The version that was made of the same file.")


class FileSummary(ApiModel):
    """A file that was uploaded to a document, and what became of it."""

    id: UUID
    document_id: UUID
    doc_id: str
    filename: str
    media_type: str
    size: int = Field(description="In bytes.")
    sha256: str
    job_id: UUID
    job_status: str | None = Field(description="Null when the job is somebody else's.")
    document_version: int | None = Field(description="Null when it has become none, or not yet.")
    is_latest: bool = Field(description="Whether that is the document's latest version.")
    created_at: datetime


class FileList(ApiModel):
    """Files of a document, newest first."""

    files: list[FileSummary]


class PageChunk(ApiModel):
    """A chunk that stands on a page."""

    chunk_id: UUID
    text: str
    char_start: int | None = Field(description="In the text of the whole document.")
    char_end: int | None
    heading_path: list[str] | None


class PageView(ApiModel):
    """The text of one page, from which citations quote."""

    doc_id: str
    document_version: int
    page: int
    page_count: int
    text: str
    chunks: list[PageChunk]


class SubmittedVersion(ApiModel):
    """A stored version; `created` is false when the latest one has the same content."""

    document_id: UUID
    doc_id: str
    collection: str
    document_version: int
    status: str = Field(description="`in_review` where approval is required, otherwise `approved`.")
    content_sha256: str
    created: bool


class Decision(ApiModel):
    """What one reviewer decided on a version, and on which content."""

    approver_id: UUID
    decision: Literal["approved", "rejected"]
    comment: str | None
    content_sha256: str
    decided_at: datetime


class VersionWarning(ApiModel):
    """What is missing or changed in the text of a version, and where in its file."""

    kind: WarningKind
    place: str = Field(examples=["page 2"])
    detail: str = Field(examples=["The page is a picture and is not read."])


class VersionSummary(ApiModel):
    """One version of a document."""

    document_version: int
    status: Literal["draft", "in_review", "approved", "superseded", "retired", "rejected"]
    in_force: bool = Field(description="Whether retrieval uses it now.")
    effective_from: datetime | None = Field(description="Null until it is approved.")
    effective_to: datetime | None = Field(description="Exclusive; null while no end is known.")
    planned_from: datetime | None = Field(description="What was asked for; null means from its approval.")
    planned_to: datetime | None
    content_sha256: str
    metadata: dict[str, Any]
    author_id: UUID = Field(description="Who answers for the text and cannot approve it; behind a key, its creator.")
    created_by: UUID
    created_at: datetime
    approvals_needed: int
    decisions: list[Decision]
    reason: str | None = Field(description="Why it was rejected or retired.")
    warnings: list[VersionWarning] = Field(
        description="What its file holds that is not in the text, or not as written."
    )


class VersionChunk(Place):
    """One chunk of a version, and where it stands in the original."""

    chunk_id: UUID
    text: str


class VersionView(VersionSummary):
    """One version with its text."""

    chunks: list[VersionChunk]


class DocumentSummary(ApiModel):
    """A document without its versions."""

    id: UUID
    doc_id: str
    collection: str
    source_type: str
    title: str | None
    created_at: datetime
    latest_version: int | None = Field(default=None, description="The newest version that the caller may see.")
    status: Literal["draft", "in_review", "approved", "superseded", "retired", "rejected"] | None = Field(
        default=None, description="The state of that version."
    )


class DocumentView(DocumentSummary):
    """A document and the versions that the caller may see, newest first."""

    versions: list[VersionSummary]


class DocumentPage(ApiModel):
    """Documents, by id."""

    documents: list[DocumentSummary]
    next_cursor: UUID | None = Field(description="Pass as `cursor` for the next page; null at the end.")


class ListedVersion(VersionSummary):
    """A version, and which document it is of."""

    document_id: UUID
    doc_id: str
    title: str | None
    collection: str
    decided_by_me: bool = Field(description="Whether the caller has decided on it already.")
    approvals_given: int


class VersionList(ApiModel):
    """Versions across documents, newest first."""

    versions: list[ListedVersion]
    counts: dict[str, int] = Field(description="How many versions the caller sees in each state.")
    next_cursor: UUID | None = Field(description="Pass as `cursor` for the next page; null at the end.")


class Approval(ApiModel):
    """The approval of a version in review."""

    content_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="The content that was read; refused when the version holds other content."
    )
    comment: Annotated[Text, Field(max_length=2000)] | None = None


class Rejection(ApiModel):
    """The rejection of a version in review."""

    reason: Annotated[Text, Field(min_length=3, max_length=2000, examples=["The fee in section 2 is out of date."])]


class Retirement(ApiModel):
    """The withdrawal of an approved version."""

    reason: Annotated[Text, Field(min_length=3, max_length=2000, examples=["Withdrawn by the regulator."])]
    effective_to: Moment | None = Field(default=None, description="When it ends, now or later; unset means now.")


class DocumentDifference(ApiModel):
    """Paragraphs that stand in both versions, or in one."""

    change: Literal["same", "added", "removed", "changed"]
    before: list[str]
    after: list[str]


class DocumentComparison(ApiModel):
    """The differences of two versions, in reading order."""

    doc_id: str
    from_version: int
    to_version: int
    differences: list[DocumentDifference]


Reason = Annotated[Text, Field(min_length=3, max_length=500, examples=["Request of the data subject, 2026-118"])]


class SubjectErasure(ApiModel):
    """The deletion of everything of a data subject."""

    data_subject: Annotated[
        Text,
        Field(
            min_length=1, max_length=256, description="As in the metadata key `data_subject`.", examples=["cust-4711"]
        ),
    ]
    reason: Reason


class ErasedDocument(ApiModel):
    """A document that was deleted, whole or in part."""

    id: UUID
    doc_id: str
    whole: bool


class ErasedDocuments(ApiModel):
    """What was deleted."""

    documents: list[ErasedDocument]
    version_ids: list[UUID] = Field(description="Versions of which nothing is left.")
    chunks: int
