"""Chunks that a search found, as OpenAI's clients read them."""

from typing import Any

import orjson

from backend.gateways.openai.ids import file_id
from backend.retrieval.stages import Hit

_MAX_ATTRIBUTES, _MAX_TEXT = 16, 512  # of OpenAI's own, which its clients check


def found_file(hit: Hit) -> dict[str, Any]:
    """Returns a chunk that was found, without its text. Its score is put between 0 and 1, as clients expect."""
    score = max(0.0, hit.shown_score)
    return {
        "file_id": file_id(hit.document_id, hit.version), "filename": hit.doc_id, "score": round(score / (1 + score), 6),
        "attributes": attributes_of({**hit.metadata, "chunk_id": str(hit.chunk_id), "document_version": hit.version}),
    }  # fmt: skip


def attributes_of(metadata: dict[str, Any]) -> dict[str, str | float | bool]:
    """Returns metadata as attributes: at most 16, each a text of at most 512 characters, a number or a boolean."""
    told: dict[str, str | float | bool] = {}
    for key, value in list(metadata.items())[-_MAX_ATTRIBUTES:]:
        told[key[:64]] = value if isinstance(value, bool | int | float) else _text(value)
    return told


def _text(value: object) -> str:
    return (value if isinstance(value, str) else orjson.dumps(value).decode())[:_MAX_TEXT]
