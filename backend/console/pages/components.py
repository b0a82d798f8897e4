"""Every component on one page, for those who change them."""

from datetime import UTC, datetime, timedelta

from fastapi import Request
from fastapi.responses import Response

from backend.console import plots
from backend.console.page import page
from backend.console.page import router as pages
from backend.console.viewer import viewer_of
from backend.console.visit import Signed
from backend.documents.versions.comparison import compare_words
from backend.review.analysis.models import Bucket, Statistics

router = pages()

_BEGAN = datetime(2026, 4, 1, tzinfo=UTC)
_CITATION = {
    "number": 1, "doc_id": "fee-schedule-personal", "document_version": 2, "page_start": 7, "page_name": "A-1 (7)",
    "recognition_confidence": 97, "support": "verbatim",
    "quote": "An outgoing domestic wire costs $25.", "document_id": "", "chunk_id": "", "quote_start": 0, "quote_end": 36,
}  # fmt: skip


@router.get("/components")
async def show(request: Request, visitor: Signed) -> Response:
    """Shows each component with an example."""
    buckets = [Bucket(start=_BEGAN + timedelta(days=n), counts={"answer:returned": 3 + n * n % 7}) for n in range(20)]
    counted = Statistics(by="action", interval="day", since=_BEGAN, until=_BEGAN + timedelta(days=20), buckets=buckets)
    return page(
        request, "all_components.html", visitor, example=_BEGAN, citation=_CITATION,
        words=compare_words("A domestic wire costs $25.", "A domestic wire costs $30 from April."),
        plot=plots.counts(counted, None, viewer_of(request), "answer:returned"),
    )  # fmt: skip
