"""Small documents made from public reports of what other parsers lose or change: each is read right, or is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.documents.parsing.errors import ParseError
from tests.conftest import SHARED_DATA
from tests.documents import parsed

pytestmark = pytest.mark.anyio

CASES = SHARED_DATA.parent / "cases"

if not CASES.exists():
    pytest.skip("the cases are not here", allow_module_level=True)

DOCUMENTS = [case for case in map(json.loads, (CASES / "cases.jsonl").read_text().splitlines()) if case["group"] == "a"]


@pytest.mark.parametrize("case", DOCUMENTS, ids=[f"{case['id']}-{case['kind']}" for case in DOCUMENTS])
async def test_a_document_is_read_as_its_author_wrote_it(case: dict[str, Any]) -> None:
    checks = case["checks"]
    try:
        blocks, info = await parsed.parse(Path(CASES / case["input"]))
    except ParseError:
        assert checks["job"] == "failed"
        return
    text = "\n".join(block.text for block in blocks)
    told = "warnings" in str(checks) and bool(info.warnings)
    assert checks["job"] == "succeeded"
    for wanted in checks["text_contains"]:
        assert wanted in text or told, text
    for unwanted in checks["text_lacks"]:
        assert unwanted not in text, text
