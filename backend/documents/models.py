"""Request and response bodies of ingestion."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.schema import ApiModel, JsonObject, Text

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


class NewChunks(ApiModel):
    """Chunks that are ingested together or not at all."""

    # The setting max_batch_chunks is checked later; this bound keeps a body of mistakes from filling the memory.
    chunks: Annotated[list[NewChunk], Field(min_length=1, max_length=10_000)]


class IngestedChunk(ApiModel):
    """A stored chunk. It is retrievable at once, unless its collection requires approval."""

    id: UUID
    doc_id: str
    collection: str
    document_version: int
    status: str = Field(description="`approved`, or `draft` where approval is required.")


class IngestedBatch(ApiModel):
    """The ids of stored chunks, in the order of the request."""

    ingested: int
    ids: list[UUID]
