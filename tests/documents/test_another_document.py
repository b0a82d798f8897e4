"""A file takes the place of its document's file, and that of another document only where the uploader says so."""

import pytest

from tests.factories import ingested, post_file
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


async def test_a_file_of_another_name_supersedes_nothing_unless_it_is_told_to(service: Service, tenant: Tenant) -> None:
    await ingested(service, tenant, "cards.txt", b"Cards are limited to $500.", doc_id="limits")
    refused = await post_file(service, tenant, "wires.txt", b"Wires are limited to $900.", doc_id="limits")
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert "cards.txt" in refused.json()["detail"]
    told = await ingested(service, tenant, "wires.txt", b"Wires are limited to $900.", doc_id="limits", replace="true")
    assert told["result"]["document_version"] == 2
    again = await ingested(service, tenant, "wires.txt", b"Wires are limited to $950.", doc_id="limits")
    assert again["result"]["document_version"] == 3


async def test_a_file_of_another_title_supersedes_nothing_unless_it_is_told_to(
    service: Service, tenant: Tenant
) -> None:
    await ingested(service, tenant, "terms.txt", b"Cards cost $5.", doc_id="terms", title="Terms of cards")
    refused = await post_file(service, tenant, "terms.txt", b"Wires cost $9.", doc_id="terms", title="Terms of wires")
    assert refused.status_code == 409
    assert "Terms of cards" in refused.json()["detail"]
    same = await ingested(service, tenant, "terms.txt", b"Cards cost $6.", doc_id="terms", title="Terms of cards")
    assert same["result"]["document_version"] == 2


async def test_a_file_that_is_still_waiting_is_not_superseded_by_another(service: Service, tenant: Tenant) -> None:
    waiting = await post_file(service, tenant, "a/limits.txt", b"Cards are limited.", doc_id="waiting")
    assert waiting.status_code == 202
    other = await post_file(service, tenant, "floors.txt", b"Floors are high.", doc_id="waiting")
    assert other.status_code == 409
