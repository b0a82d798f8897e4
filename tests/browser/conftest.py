"""What the pages show in tests with a real browser."""

import pytest

from tests.browsing import browser
from tests.service import Service, Tenant

__all__ = ["browser"]

RULE = "An outgoing domestic wire transfer costs 25 dollars."
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> None:
    """A rule to ask about, and a document whose name, title, kind, metadata and text are markup."""
    rule = {"doc_id": "wires", "chunk_text": RULE, "source_type": "policy", "metadata": {"owner": "payments"}}
    markup = {
        "doc_id": HOSTILE, "chunk_text": f"{HOSTILE} The hostile fee is 7 dollars.", "source_type": HOSTILE[:60],
        "metadata": {"title": HOSTILE, "owner": HOSTILE, "jurisdiction": HOSTILE},
    }  # fmt: skip
    for chunk in (rule, markup):
        assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 201
