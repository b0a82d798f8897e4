"""Bodies of uploaded files and their pages."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import orjson
from pydantic import BeforeValidator, Field

from backend.documents.models import CollectionSlug, DocId, Effective, SourceType
from backend.schema import ApiModel, JsonObject, Text


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
    replace: bool = Field(
        default=False,
        description="Whether the file may take the place of one with another name, or of a document with another title.",
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
    recognition_confidence: int | None = Field(description="Of text recognised in a picture, in per cent.")


class PageView(ApiModel):
    """The text of one page, from which citations quote."""

    doc_id: str
    document_version: int
    page: int
    page_label: str | None = Field(
        description="What the file calls it, where that is not its number.", examples=["A-1"]
    )
    page_count: int
    text: str
    chunks: list[PageChunk]

    @property
    def page_name(self) -> str:
        """The page as people say it."""
        return f"{self.page_label} ({self.page})" if self.page_label else str(self.page)
