"""What the routes of OpenAI's API return, for the document of the API: made by the code that answers where it can be."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from backend.answers.grounding.verdict import Support
from backend.answers.models import AnswerResponse, Citation
from backend.gateways.openai.chat import Chat
from backend.gateways.openai.ids import file_id, spelled
from backend.gateways.openai.responses import OpenResponse

Example = dict[str, Any]

_ID = UUID("0196f0d2-7c4b-7c4e-8f3a-2b1c0d9e8f7a")
_CREATED = int(datetime(2026, 4, 1, 9, 30, tzinfo=UTC).timestamp())
_QUESTION, _SENTENCE = (
    "How long do customers have to file card disputes?",
    "Card disputes must be filed within 60 days.",
)
_ANSWER = AnswerResponse(
    question=_QUESTION, answer=f"{_SENTENCE} [1]", refused=False, model="extractive-v8", turn=_ID, conversation=_ID,
    audit_event_id=_ID,
    citations=[
        Citation(
            number=1, start=0, end=len(_SENTENCE), support=Support.VERBATIM, doc_id="card-disputes", document_id=_ID,
            document_version=3, chunk_id=_ID, quote=_SENTENCE, quote_start=0,
            quote_end=len(_SENTENCE), page_start=2, page_end=None, char_start=0,
            char_end=len(_SENTENCE), heading_path=("Disputes",), link=f"http://127.0.0.1:8000/console/documents/{_ID}",
        )
    ],
)  # fmt: skip

MODEL: Example = {"id": "affidavit", "object": "model", "created": 0, "owned_by": "affidavit"}
MODELS: Example = {"object": "list", "data": [MODEL]}
CHAT = Chat(spelled("chatcmpl-", _ID), "affidavit", _CREATED, sources_in_text=True).completion(_ANSWER)
RESPONSE = OpenResponse(_ID, "affidavit", _CREATED, _QUESTION, searches=False).whole(_ANSWER)
EMBEDDINGS: Example = {
    "object": "list", "model": "all-MiniLM-L6-v2-int8",
    "usage": {"prompt_tokens": 15, "total_tokens": 15},
    "data": [{"object": "embedding", "index": 0, "embedding": [0.031, -0.042]}],
}  # fmt: skip

_STORE_ID, _FILE_ID, _UPLOAD_ID = spelled("vs_", _ID), file_id(_ID, 3), spelled("file-", _ID)


def page_of(item: Example) -> Example:
    """Returns a page with one object."""
    return {"object": "list", "data": [item], "first_id": item["id"], "last_id": item["id"], "has_more": False}


INPUT_ITEMS = page_of({
    "id": spelled("msg_q", _ID), "type": "message", "role": "user", "status": "completed",
    "content": [{"type": "input_text", "text": _QUESTION}],
})  # fmt: skip
STORE: Example = {
    "id": _STORE_ID, "object": "vector_store", "created_at": _CREATED, "name": "default", "description": "Default",
    "usage_bytes": 48_120, "status": "completed", "expires_after": None, "expires_at": None, "last_active_at": None,
    "metadata": {},
    "file_counts": {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1},
}  # fmt: skip
STORES = page_of(STORE)
SEARCH: Example = {
    "object": "vector_store.search_results.page", "search_query": [_QUESTION], "has_more": False, "next_page": None,
    "data": [{
        "file_id": _FILE_ID, "filename": "card-disputes", "score": 0.54,
        "attributes": {"jurisdiction": "US", "chunk_id": str(_ID), "document_version": 3},
        "content": [{"type": "text", "text": _SENTENCE}],
    }],
}  # fmt: skip
STORE_FILE: Example = {
    "id": _FILE_ID, "object": "vector_store.file", "created_at": _CREATED, "usage_bytes": 48_120, "vector_store_id": _STORE_ID,
    "status": "completed", "last_error": None, "chunking_strategy": {"type": "other"},
    "attributes": {
        "doc_id": "card-disputes", "title": "Card disputes", "source_type": "policy", "document_version": 3, "status": "approved",
    },
}  # fmt: skip
STORE_FILES = page_of(STORE_FILE)
CONTENT: Example = {
    "object": "vector_store.file_content.page", "data": [{"type": "text", "text": _SENTENCE}], "has_more": False,
    "next_page": None,
}  # fmt: skip
FILE: Example = {
    "id": _UPLOAD_ID, "object": "file", "bytes": 48_120, "created_at": _CREATED, "filename": "card-disputes.pdf",
    "purpose": "assistants", "expires_at": _CREATED + 86_400, "status_details": None, "status": "uploaded",
}  # fmt: skip
FILES = page_of(FILE)
DELETED: Example = {"id": _UPLOAD_ID, "object": "file", "deleted": True}
BOUND_FILE: Example = {
    **STORE_FILE, "id": _UPLOAD_ID, "status": "in_progress", "attributes": {"filename": "card-disputes.pdf"},
}  # fmt: skip
BATCH: Example = {
    "id": spelled("vsfb_", _ID), "object": "vector_store.files_batch", "created_at": _CREATED, "vector_store_id": _STORE_ID,
    "status": "in_progress", "file_counts": {"in_progress": 1, "completed": 1, "failed": 0, "cancelled": 0, "total": 2},
}  # fmt: skip
CANCELLED_BATCH: Example = {
    **BATCH, "status": "cancelled",
    "file_counts": {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 1, "total": 2},
}  # fmt: skip
BATCH_FILES = page_of(BOUND_FILE)


def shows(example: Example, *, streams: bool = False) -> dict[int | str, dict[str, Any]]:
    """Returns what a route's decorator says of its responses."""
    kinds: dict[str, Any] = {"application/json": {"example": example}}
    return {200: {"content": {**kinds, "text/event-stream": {}} if streams else kinds}}
