"""Uploads as files of a vector store: what became of each, in OpenAI's words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from backend.documents.collections.models import CollectionView
from backend.documents.tables import UploadRow
from backend.gateways.openai.found import attributes_of
from backend.gateways.openai.ids import file_id, parsed, spelled

PREFIX = "file-"
_STATES = {
    "queued": "in_progress",
    "running": "in_progress",
    "succeeded": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
# Of uploads that are no document: one that is, is listed by its version.
JOBS_OF: Mapping[str, list[str]] = {
    state: [job for job, known in _STATES.items() if known == state] for state in ("in_progress", "failed", "cancelled")
}
_UNREADABLE = ("unsupported", "encrypted", "corrupt", "empty")


def upload_id_of(text: str) -> UUID:
    """Returns our id of an upload; raises NotFound."""
    return parsed(PREFIX, text)


def state_of(row: UploadRow) -> str:
    """Returns what became of an upload that was given to a vector store, in OpenAI's words."""
    return _STATES.get(row.job_status, row.job_status) if row.job_status else "completed"


def store_file(store: CollectionView, row: UploadRow) -> dict[str, Any]:
    """Returns an upload as a file of a vector store; the attribute `version_file_id` is the id that stays."""
    state, number = state_of(row), row.document_version
    told: dict[str, Any] = {"filename": row.filename}
    if row.document_id is not None and number is not None:
        told |= {"version_file_id": file_id(row.document_id, number), "document_version": number}
    if row.version_status:
        told["status"] = row.version_status
    return {
        "id": spelled(PREFIX, row.id), "object": "vector_store.file", "created_at": seconds(row.created_at),
        "usage_bytes": row.size, "vector_store_id": spelled("vs_", store.id), "status": state,
        "last_error": _error(row) if state == "failed" else None, "attributes": attributes_of(told),
        "chunking_strategy": {"type": "other"},
    }  # fmt: skip


def _error(row: UploadRow) -> dict[str, str]:
    code = str(row.error_code or "")
    known = "invalid_file" if code.startswith(_UNREADABLE) else "server_error"
    return {"code": known, "message": row.error_detail or "The file could not be read."}


def seconds(moment: datetime) -> int:
    """Returns a time as OpenAI's clients read it."""
    return int(moment.timestamp())
