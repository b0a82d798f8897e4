"""Every figure that PDFium finds on the pages of real filings is in the chunks made of them."""

import re

import pypdfium2
import pytest

from backend.documents.chunks.chunking import ChunkSize
from backend.documents.parsing.sandbox import parse_file
from tests.conftest import SHARED_DATA
from tests.documents.cutting import chunks_of
from tests.documents.test_chunking import words

pytestmark = pytest.mark.anyio

PDFS = SHARED_DATA / "financebench/pdfs"
SMALL = ["AMCOR_2022_8K_dated-2022-07-01", "AMCOR_2023Q4_EARNINGS", "BESTBUY_2024Q2_10Q"]
FIGURE = re.compile(r"\d[\d,.]*\d|\d")

if not PDFS.exists():
    pytest.skip("the filings are not here", allow_module_level=True)


@pytest.mark.parametrize("name", SMALL)
async def test_every_figure_of_a_page_is_in_its_chunks(name: str) -> None:
    path = PDFS / f"{name}.pdf"
    async with parse_file(path, filename=path.name) as file:
        blocks = [block async for block in file]
    chunks = list(chunks_of(blocks, words, ChunkSize(100, 150)))
    lost = total = elsewhere = 0
    everywhere = {figure for chunk in chunks for figure in FIGURE.findall(chunk.text)}
    with pypdfium2.PdfDocument(path) as document:
        for number, page in enumerate(document, start=1):
            text = page.get_textpage().get_text_range().replace("\ufffe", "-")
            cited = [chunk.text for chunk in chunks if chunk.page_start <= number <= chunk.page_end]
            found = set(FIGURE.findall("\n".join(cited)))
            for figure in FIGURE.findall(text):
                total += 1
                lost += figure not in everywhere
                elsewhere += figure not in found
    assert total > 100
    assert not lost
    assert elsewhere < 0.02 * total  # the note mark of a figure, and what stands in page headers that are kept once
