"""Every page, in both colour schemes, wide and narrow: nothing for axe to find, no sideways scrolling, and not too heavy."""

from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from backend.identity.callers.permissions import Role
from backend.operation import operator_keys
from tests.browser.conftest import HOSTILE
from tests.browser.visiting import Visit, visiting
from tests.evaluation.test_runs import approved_set
from tests.factories import evaluated
from tests.service import Service, Tenant
from tests.sources.sources import reaching

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

MOST_BYTES = 60_000
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()  # out of the installed package
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FEE = {"question": "What does an outgoing domestic wire transfer cost?", "expected": "document", "value": "wires"}
SETTINGS = [Visit(1280, "light", "en-GB"), Visit(320, "dark", "de-DE")]


@pytest.fixture(scope="module")
async def paths(service: Service, tenant: Tenant, filled: None) -> AsyncIterator[dict[str, list[str]]]:
    """Every page of each role, of a tenant in which something of each kind has happened."""
    question = {"question": "What does an outgoing domestic wire transfer cost?"}
    answered = (await service.post("/answer", tenant, "analyst", question)).json()
    rating = {"rating": "wrong", "comment": HOSTILE}
    assert (await service.post(f"/turns/{answered['turn']}/feedback", tenant, "analyst", rating)).status_code == 201
    documents = (await service.get("/documents", tenant, "editor")).json()["documents"]
    document = next(d["id"] for d in documents if d["doc_id"] == "wires")
    hostile = next(d["id"] for d in documents if d["doc_id"] == HOSTILE)
    chunk = {"chunk_text": "An outgoing domestic wire transfer costs 30 dollars.", "source_type": "policy"}
    replaced = await service.client.put(
        "/documents/by-doc-id/wires/chunks", json={"source_type": "policy", "chunks": [{"chunk_text": chunk["chunk_text"]}]},
        headers=await service.as_user(tenant, "editor"),
    )  # fmt: skip
    assert replaced.status_code == 200, replaced.text
    hold = {"subject": "analyst", "reason": f"Subpoena {HOSTILE}"}
    assert (await service.post("/audit/holds", tenant, "compliance", hold)).status_code == 201
    erasure = {"subject": "analyst", "legal_basis": f"Request {HOSTILE}"}
    assert (await service.post("/audit/erasures", tenant, "privacy", erasure)).status_code == 201
    search = {"name": HOSTILE, "filters": {"action": "answer:returned"}}
    assert (await service.post("/audit/searches", tenant, "compliance", search)).status_code == 201
    user = {"username": "mallory", "display_name": HOSTILE, "roles": ["analyst"]}
    mallory = (await service.post("/users", tenant, "admin", user)).json()["id"]
    key = {"name": HOSTILE, "purpose": HOSTILE, "permissions": ["retrieval:query"]}
    assert (await service.post("/auth/keys", tenant, "admin", key)).status_code == 201
    export = {"from": "2026-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z", "format": "csv"}
    exported = (await service.post("/audit/exports", tenant, "compliance", export)).json()["id"]
    version = {"doc_id": "guide", "collection": "reviewed", "source_type": "policy", "chunks": [{"text": HOSTILE}]}
    collection = {"slug": "reviewed", "name": HOSTILE, "approval_required": True}
    assert (await service.post("/collections", tenant, "admin", collection)).status_code == 201
    for role, access in (("editor", "write"), ("editor", "read"), ("approver", "read")):
        granted = {"role": role, "access": access}
        assert (await service.post("/collections/reviewed/grants", tenant, "admin", granted)).status_code == 201
    waiting = (await service.post("/documents/versions", tenant, "editor", version)).json()["document_id"]
    await service.add_user(tenant, "approver2", Role.APPROVER)
    await approved_set(service, tenant, "fees", [{"question": HOSTILE, "expected": "refusal"}, FEE])
    started = await service.post("/evaluations/runs", tenant, "approver", {"name": "fees"})
    run = (await evaluated(service, tenant, started.json()))["id"]
    conversation = answered["conversation"]
    from_there = {"name": HOSTILE, "kind": "urls", "collection": "reviewed", "address": "https://localhost/a.md"}
    async with reaching(service):
        source = (await service.post("/sources", tenant, "admin", from_there)).json()["id"]
        ran = (await service.post(f"/sources/{source}/runs", tenant, "admin", {})).json()["id"]
    review = "/console/review"
    yield {
        "analyst": [
            "/console/ask", "/console/conversations", f"/console/conversations/{conversation}",
            f"/console/turns/{answered['turn']}/feedback", "/console/search?q=hostile+fee", "/console/waiting",
        ],
        "editor": [
            "/console/documents", "/console/documents?ending=1", "/console/documents/upload", f"/console/documents/{document}",
            f"/console/documents/{document}/versions/2", f"/console/documents/{document}/compare?before=1&after=2",
            f"/console/documents/{hostile}", f"/console/documents/{hostile}/versions/1",
        ],
        "approver": [
            "/console/approvals", f"/console/approvals/{waiting}/1", "/console/approvals/evaluations",
            f"/console/approvals/evaluations/{run}",
        ],
        "compliance": [
            review, f"{review}?document={HOSTILE}", f"{review}/counts", f"{review}/counts?by=outcome&only=succeeded",
            f"{review}/quality", f"{review}/open", f"{review}/timeline?actor=analyst", f"{review}/readers?document=wires",
            f"{review}/exports", f"{review}/holds", f"{review}/erasures", f"{review}/turns/{answered['turn']}",
            f"{review}/events/{answered['audit_event_id']}",
        ],
        "admin": [
            "/console/administration", f"/console/administration/people/{mallory}", "/console/administration/keys",
            "/console/administration/collections", "/console/administration/collections/reviewed",
            "/console/administration/usage", "/console/administration/sources", f"/console/administration/sources/{source}",
            f"/console/administration/sources/{source}/runs/{ran}", "/console/administration/webhooks",
            "/console/administration/provider",
            "/console/components",
        ],
    }  # fmt: skip
    assert exported


@pytest.mark.parametrize("visit", SETTINGS, ids=lambda v: f"{v.width}-{v.scheme}-{v.language}")
@pytest.mark.parametrize("username", ["analyst", "editor", "approver", "compliance", "admin"])
async def test_pages_are_accessible_narrow_enough_and_light(
    browser: Browser,
    tenant: Tenant,
    address: str,
    paths: dict[str, list[str]],
    username: str,
    visit: Visit,
    tmp_path: Path,
) -> None:
    async with visiting(browser, address, tenant, username, visit) as page:
        found: dict[str, Any] = {}
        for path in paths[username]:
            answer = await page.goto(path)
            assert answer is not None
            assert answer.status == 200, (path, answer.status)
            assert len(await answer.body()) <= MOST_BYTES, path
            if violations := await found_by_axe(page):
                found[path] = violations
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, (path, wide)
            assert await page.locator("main script, main img[onerror]").count() == 0, path
            await page.keyboard.press("Tab")
            await expect(page.locator(".skip")).to_be_focused()
            name = path.removeprefix("/console/").replace("/", "-").split("?")[0]
            await page.screenshot(path=tmp_path / f"{name[:60]}.png", full_page=True)
        assert found == {}


async def test_pages_before_signing_in_and_the_operators_are_accessible(
    browser: Browser, service: Service, tenant: Tenant, address: str
) -> None:
    async with service.operator() as acting:
        key = await operator_keys.create(acting.connection, "browser")
    for scheme in ("light", "dark"):
        context = await browser.new_context(
            base_url=address, color_scheme=scheme, viewport={"width": 320, "height": 800}
        )
        page = await context.new_page()
        for path in ("/console/sign-in", "/console/reset", "/console/nothing-here", "/console/operator/sign-in"):
            await page.goto(path)
            assert await found_by_axe(page) == [], path
        await page.locator("#key").fill(key)
        await page.locator("main form button").click()
        await expect(page.locator("main")).to_contain_text(tenant.slug)
        assert await found_by_axe(page) == []
        await context.close()


async def found_by_axe(page: Page) -> list[Any]:
    """What axe finds: each rule with the first elements that break it."""
    await page.evaluate(AXE)
    found = await page.evaluate("async tags => (await axe.run({runOnly: tags})).violations", RULES)
    return [
        (one["id"], [node["html"][:160] + " " + node.get("failureSummary", "")[:300] for node in one["nodes"][:2]])
        for one in found
    ]
