"""Settings: documents: their files, parsing and chunks."""

from importlib.util import find_spec
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, model_validator


class DocumentSettings(BaseModel):
    """Documents: their files, parsing and chunks."""

    storage_folder: Path | None = Field(
        default=None, description="Folder of uploaded files, encrypted; unset means `files` in the home folder."
    )
    storage_bucket: str | None = Field(default=None, description="S3-compatible bucket of uploaded files, instead.")
    storage_bucket_url: str | None = Field(default=None, description="Endpoint of that bucket; unset means AWS.")
    max_file_bytes: int = Field(default=100 * 1024 * 1024, ge=1024, description="Largest file accepted.")
    max_file_pages: int = Field(default=5_000, ge=1, description="Most pages or slides of a file.")
    max_file_characters: int = Field(default=20_000_000, ge=1_000, description="Longest text of a file.")
    parser_memory_bytes: int = Field(
        default=1024 * 1024 * 1024, ge=256 * 1024 * 1024, description="Address space of the process that reads a file."
    )
    parser_seconds: int = Field(default=120, ge=1, le=3600, description="Processor time to read one file.")
    text_recognition: bool = Field(
        default=False,
        description="Recognises the words of pages that are pictures, as scans are; needs `pip install affidavit[scans]`.",
    )
    recognition_memory_bytes: int = Field(
        default=2048 * 1024 * 1024, ge=1024 * 1024 * 1024,
        description="Address space of the process that reads a PDF, where pages that are pictures are recognised.",
    )  # fmt: skip
    recognition_seconds: int = Field(
        default=1200,
        ge=1,
        le=3600,
        description="Processor time to read a PDF, where pages that are pictures are recognised.",
    )
    chunk_tokens: int = Field(
        default=180, ge=16, le=8_000, description="Size that a chunk is filled up to, in the embedder's tokens."
    )
    chunk_token_limit: int = Field(default=250, ge=16, le=8_000, description="Tokens that no chunk exceeds.")
    chunk_overlap_tokens: int = Field(
        default=0, ge=0, le=4_000, description="Tokens that a full chunk's successor repeats."
    )
    max_chunk_chars: int = Field(default=20_000, ge=100, description="Longest chunk_text accepted.")
    max_batch_chunks: int = Field(default=1_000, ge=1, le=10_000, description="Most chunks in one /ingest/batch.")

    @model_validator(mode="after")
    def _recognition_is_installed(self) -> Self:
        if self.text_recognition and find_spec("rapidocr") is None:
            message = "text_recognition: needs the packages of affidavit[scans]"
            raise ValueError(message)
        return self
