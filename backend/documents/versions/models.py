"""Bodies of versions: their text, their review, and how two of them differ."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from backend.documents.models import CollectionSlug, DocId, Effective, SourceType
from backend.documents.parsing.findings import WarningKind
from backend.documents.tables import ChunkSpan
from backend.schema import ApiModel, JsonObject, Moment, Text


class NewVersionChunk(ChunkSpan):
    """One chunk of a new version, and where it stands in the original."""

    text: Annotated[Text, Field(min_length=1, examples=["An outgoing domestic wire costs $25."])]

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
    approver_name: str | None = Field(default=None, description="What that person is called; null when it is gone.")
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
    personal_data: dict[str, int] = Field(
        description="How many different values of each kind of personal data were found when it was ingested.",
        examples=[{"email": 2, "iban": 1}],
    )


class VersionChunk(ChunkSpan):
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
    version_in_force: int | None = Field(default=None, description="In lists: the version that retrieval uses now.")
    effective_from: datetime | None = Field(default=None, description="In lists: since when that is in force.")
    effective_to: datetime | None = Field(
        default=None, description="In lists: when it ends; null while no end is known."
    )
    owner: str | None = Field(default=None, description="In lists: the metadata key `owner`.")


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
    effective_from: Moment | None = Field(
        default=None,
        description="Later than the author proposed, and before the proposed end: the version takes over then. "
        "Unset keeps the proposal. A reviewer after you may put it off further, and never bring it forward.",
    )


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
