"""Bodies that collections, versions, files and chunks share, and those of deletion."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, computed_field, model_validator

from backend.documents.tables import ChunkSpan
from backend.schema import ApiModel, Moment, Text

DocId = Annotated[Text, Field(min_length=1, max_length=256, examples=["pol-001"])]
SourceType = Annotated[Text, Field(min_length=1, max_length=64, examples=["policy"])]
CollectionSlug = Annotated[Text, Field(min_length=1, max_length=63, examples=["default"])]


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


class Source(ChunkSpan):
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
