"""Bodies of chunks that are ingested ready-made."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.documents.models import CollectionSlug, DocId, Effective, SourceType
from backend.schema import ApiModel, JsonObject, Text


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
