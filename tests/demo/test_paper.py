"""A document of the demo on paper: the words that were written, in the order in which they were, on as many pages as they need."""

import pypdfium2
import pytest

from backend.demo.paper import pdf

PARAGRAPHS = ["A wire costs $25 — “at a branch” in Zürich.", "Paper statements cost $3 a month. " * 12]


@pytest.mark.parametrize(("copies", "pages"), [(1, 1), (12, 3)])
def test_what_is_set_can_be_read_again(copies: int, pages: int) -> None:
    paragraphs = PARAGRAPHS * copies
    with pypdfium2.PdfDocument(pdf("Meridian Bank", "Personal fees 2026", ["## Wires", *paragraphs])) as document:
        assert len(document) == pages
        text = " ".join(page.get_textpage().get_text_range() for page in document)
        edges = [place for page in document for shown in page.get_objects() for place in shown.get_bounds()]
        size = document[0].get_size()
    assert text.split() == " ".join(["Meridian Bank", "Personal fees 2026", "Wires", *paragraphs]).split()
    assert size == (612, 792)
    assert min(edges) >= 70
    assert max(edges[2::4]) <= 612 - 90 + 1


def test_a_word_that_is_wider_than_the_page_is_still_set() -> None:
    with pypdfium2.PdfDocument(pdf("Bank", "T", ["x" * 400, "end"])) as document:
        assert "end" in document[0].get_textpage().get_text_range()
