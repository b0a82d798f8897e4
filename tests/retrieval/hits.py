"""Hits made by hand, for what puts them in order."""

from datetime import UTC, datetime
from uuid import UUID

from backend.personal_data.pseudonyms import Pseudonyms
from backend.retrieval.discretion import Discretion
from backend.retrieval.stages import Hit

ANY = UUID(int=0)
DISCRETION = Discretion(Pseudonyms(b"a key of these tests"))


def hit(chunk_id: UUID, document_id: UUID = ANY, *, text: str = "", score: float = 0.5) -> Hit:
    """A chunk with this score, of which nothing else matters."""
    return Hit(
        chunk_id=chunk_id, document_id=document_id, doc_id="", version_id=ANY, version=1, title=None, text=text, sha256="", metadata={},
        source_type="", collection="", cosine=0, bm25=0, score=score, status="approved",
        effective_from=datetime.min.replace(tzinfo=UTC), effective_to=datetime.max.replace(tzinfo=UTC),
    )  # fmt: skip
