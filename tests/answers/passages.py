"""Passages for the tests of answers, and the answers that are made of claims."""

from collections.abc import Iterable
from uuid import uuid4

from backend.answers.citations import Answer
from backend.answers.generator import Claim, Passage
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


def answer_of(claims: Iterable[Claim], public_url: str = "") -> Answer:
    """Returns the answer that the claims make."""
    answer = Answer(public_url)
    for claim in claims:
        answer.add(claim)
    return answer
