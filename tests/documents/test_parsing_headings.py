"""Headings of real filings against labels made by reading: of what is taken for one, and of what is missed.

`heading_labels.txt` holds 311 lines in larger or bolder type, drawn at random from 17 filings, each as its filing, page,
SHA-256 (its beginning) and whether it names what follows (+) or not (-).
"""

import hashlib
from collections import defaultdict
from pathlib import Path

import pytest

from backend.documents.parsing.blocks import BlockKind
from backend.documents.parsing.sandbox import parse_file
from tests.conftest import SHARED_DATA

pytestmark = pytest.mark.anyio

PDFS = SHARED_DATA / "financebench/pdfs"
LABELS = Path(__file__).with_name("heading_labels.txt").read_text().split("\n")[:-1]

if not PDFS.exists():
    pytest.skip("the filings are not here", allow_module_level=True)


@pytest.mark.slow
async def test_headings_are_found_and_little_else_is() -> None:
    labels: dict[str, dict[tuple[int, str], bool]] = defaultdict(dict)
    for line in LABELS:
        filing, page, digest, sign = line.split(" ")
        labels[filing][int(page), digest] = sign == "+"
    right = wrong = missed = 0
    for filing, labelled in labels.items():
        found = await headings(PDFS / f"{filing}.pdf")
        right += sum(is_heading and line in found for line, is_heading in labelled.items())
        wrong += sum(not is_heading and line in found for line, is_heading in labelled.items())
        missed += sum(is_heading and line not in found for line, is_heading in labelled.items())
    assert right + missed > 200
    assert right / (right + wrong) >= 0.95, (right, wrong)
    assert right / (right + missed) >= 0.85, (right, missed)


async def headings(path: Path) -> set[tuple[int | None, str]]:
    async with parse_file(path, filename=path.name) as file:
        return {
            (block.page, hashlib.sha256(block.text.encode()).hexdigest()[:16])
            async for block in file
            if block.kind is BlockKind.HEADING
        }
