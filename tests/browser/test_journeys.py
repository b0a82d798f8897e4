"""What people do in the console, in a real browser, from signing in to the last click; and what is on record afterwards."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from backend.ledger.checkpoints import SigningKey
from tests.conftest import PASSWORD, Database, Service, Tenant, sealing
from tests.gateways.listening import listening

pytestmark = pytest.mark.anyio

RULE = "An outgoing domestic wire transfer costs 25 dollars."
QUESTION = "What does an outgoing domestic wire transfer cost?"


@pytest.fixture(scope="module")
async def address(service: Service) -> AsyncIterator[str]:
    async with listening(service) as url:
        yield url


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> None:
    chunk = {"doc_id": "wires", "chunk_text": RULE, "source_type": "policy"}
    assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 201


@asynccontextmanager
async def visiting(
    browser: Browser, address: str, tenant: Tenant, username: str, *, width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
) -> AsyncIterator[Page]:  # fmt: skip
    """A page of somebody who has just signed in; the console may say nothing to it but what it shows."""
    context = await browser.new_context(base_url=address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, said = await context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.goto("/console")
    await page.get_by_label("Institution").fill(tenant.slug)
    await page.get_by_label("Name").fill(username)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    yield page
    await context.close()
    assert said == []


async def test_a_question_its_source_and_its_words_are_two_clicks_apart(
    browser: Browser, service: Service, tenant: Tenant, address: str, filled: None, tmp_path: Path
) -> None:
    async with visiting(browser, address, tenant, "analyst") as page:
        await page.get_by_label("Question").fill(QUESTION)
        await page.get_by_role("button", name="Ask the documents").click()
        answer = page.get_by_role("region", name=QUESTION)
        await expect(answer).to_contain_text(RULE)
        await page.screenshot(path=tmp_path / "ask.png", full_page=True)
        await answer.get_by_role("link", name="Open at these words").click()
        await expect(page.locator("mark")).to_have_text(RULE)
        await page.screenshot(path=tmp_path / "source.png", full_page=True)
    shown = (await service.events(tenant, action="answer:returned", limit=1))[0]
    assert shown["event"]["door"]["kind"] == "console"


async def test_without_scripts_the_same_form_answers(
    browser: Browser, tenant: Tenant, address: str, filled: None
) -> None:
    context = await browser.new_context(base_url=address, java_script_enabled=False)
    page = await context.new_page()
    await page.goto("/console/ask")
    await page.get_by_label("Institution").fill(tenant.slug)
    await page.get_by_label("Name").fill("analyst")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Question").fill(QUESTION)
    await page.get_by_role("button", name="Ask the documents").click()
    await expect(page.locator(".answer")).to_contain_text(RULE)
    await context.close()


async def test_a_reviewer_reads_a_turn_and_its_browser_verifies_the_record(
    browser: Browser, service: Service, tenant: Tenant, database: Database, address: str, filled: None, tmp_path: Path
) -> None:
    answered = (await service.post("/answer", tenant, "analyst", {"question": QUESTION})).json()
    key = SigningKey.generate("affidavit-test")
    published = service.services.settings.model_copy(update={"checkpoint_public_key": str(key.verifier_key)})
    service.exchange(settings=published)
    async with sealing(database, key), visiting(browser, address, tenant, "compliance") as page:
        await page.goto(f"/console/review/turns/{answered['turn']}")
        await expect(page.get_by_text(QUESTION)).to_have_count(0)
        await page.get_by_label(re.compile("Why do you need the texts")).fill("Complaint 2026-14")
        await page.get_by_role("button", name="Reveal the texts").click()
        await expect(page.get_by_text(QUESTION).first).to_be_visible()
        await page.screenshot(path=tmp_path / "turn.png", full_page=True)
        await page.goto(f"/console/review/events/{answered['audit_event_id']}")
        await expect(page.locator("[data-result]")).to_contain_text("Verified in this browser: the event is leaf")
        await page.screenshot(path=tmp_path / "event.png", full_page=True)


PAGES = {
    "analyst": ["/console/ask", "/console/search?q=wire", "/console/documents"],
    "approver": ["/console/approvals"],
    "compliance": ["/console/review"],
    "admin": ["/console/administration"],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_fit_a_narrow_screen_and_can_be_walked_by_keyboard(
    browser: Browser, tenant: Tenant, address: str, filled: None, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    for username, paths in PAGES.items():
        async with visiting(browser, address, tenant, username, width=320, scheme=scheme) as page:
            for path in paths:
                await page.goto(path)
                wide = await page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                assert wide <= 0, (path, wide)
                await page.keyboard.press("Tab")
                await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
                await page.screenshot(
                    path=tmp_path / f"{path.split('/')[2].split('?')[0]}-{scheme}.png", full_page=True
                )
