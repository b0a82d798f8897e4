"""Passages for the tests of answers."""

from uuid import uuid4

from backend.answers.generator import Passage
from backend.documents.chunks.vectors import NOWHERE


def passages(*texts: str, title: str | None = None, cosine: float | None = 0.6) -> list[Passage]:
    """Returns the texts as passages 1, 2, … of different documents."""
    return [
        Passage(
            number=number,
            chunk_id=uuid4(),
            document_id=uuid4(),
            doc_id=f"doc-{number}",
            document_version=1,
            span=NOWHERE,
            title=title,
            text=text,
            score=0.7,
            cosine=cosine,
            bm25=5.0,
        )
        for number, text in enumerate(texts, start=1)
    ]
