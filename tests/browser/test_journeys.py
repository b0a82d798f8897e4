"""What people do in the console, in a real browser, from signing in to the last click; and what is on record afterwards."""

import asyncio
import re
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser, Route, expect

from backend.ledger.checkpoints import SigningKey
from tests.browser.conftest import RULE
from tests.browser.visiting import Visit, visiting
from tests.factories import work
from tests.service import PASSWORD, Database, Service, Tenant, sealing

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

QUESTION = "What does an outgoing domestic wire transfer cost?"


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
        beside = page.get_by_role("complementary", name="wires")
        await expect(beside).to_be_focused()
        await expect(beside.locator("mark")).to_have_text(RULE)
        await page.keyboard.press("Escape")
        await expect(beside).to_be_hidden()
        await expect(answer.get_by_role("link", name="Open at these words")).to_be_focused()
        await page.keyboard.press("Enter")
        await beside.get_by_role("link", name="Open the whole document").click()
        await expect(page.locator("mark")).to_have_text(RULE)
        await page.go_back()  # to the answer, which is not asked for again
        await expect(page.locator(".answer")).to_contain_text(RULE)
        await page.go_forward()
        await page.screenshot(path=tmp_path / "source.png", full_page=True)
    (shown,) = await service.events(tenant, action="answer:returned", limit=2)
    assert shown["event"]["door"]["kind"] == "console"


async def test_a_key_shows_the_list_of_keys_and_another_leads_to_the_search(
    browser: Browser, tenant: Tenant, address: str, filled: None
) -> None:
    async with visiting(browser, address, tenant, "analyst") as page:
        await page.wait_for_load_state("load")  # a key that is pressed before its script is there is lost
        await page.keyboard.press("?")
        keys = page.get_by_role("dialog", name="Keyboard")
        await expect(keys).to_contain_text("This list")
        await page.keyboard.press("Escape")
        await expect(keys).to_be_hidden()
        await page.keyboard.press("/")
        await expect(page).to_have_url(re.compile("/console/search"))
        await page.get_by_label("Words or a question").fill("/?")
        await expect(keys).to_be_hidden()


async def test_without_scripts_the_same_form_answers(
    browser: Browser, tenant: Tenant, address: str, filled: None
) -> None:
    async with visiting(browser, address, tenant, "analyst", Visit(scripts=False)) as page:
        await page.get_by_label("Question").fill(QUESTION)
        await page.get_by_role("button", name="Ask the documents").click()
        await expect(page.locator(".answer")).to_contain_text(RULE)


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
        for forged in (("\nindex ", "\nindex 1"), ("/checkpoints\n", "/others\n"), ("\ntime 1", "\ntime 2")):
            await page.route("**/proof", partial(_forge, *forged))
            await page.reload()
            await expect(page.locator("[data-result]")).to_have_text(
                "No signature of the published key is under the checkpoint."
            )
            await page.unroute("**/proof")


async def _forge(old: str, new: str, route: Route) -> None:
    """Changes the first place in the checkpoint, as whoever stands between could."""
    told = await (await route.fetch()).json()
    assert old in told["checkpoint"]
    await route.fulfill(json=told | {"checkpoint": told["checkpoint"].replace(old, new, 1)})


async def test_several_files_are_dropped_and_each_is_followed_to_its_version(
    browser: Browser, service: Service, tenant: Tenant, address: str, tmp_path: Path
) -> None:
    (tmp_path / "fees.txt").write_text("A copy of a statement costs 5 dollars.")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    async with visiting(browser, address, tenant, "editor") as page:
        await page.goto("/console/documents/upload")
        await page.get_by_label("Files").set_input_files([tmp_path / "fees.txt", tmp_path / "broken.pdf"])
        await page.get_by_role("button", name="Add", exact=True).click()
        working = asyncio.create_task(_work(service))
        await expect(page.locator("#uploads li").first).to_contain_text("is a version now.", timeout=120_000)
        await expect(page.locator("#uploads li").last.locator(".state.bad")).to_be_visible(timeout=120_000)
        working.cancel()
        await page.get_by_role("link", name="Open it").click()
        await expect(page.locator("article.document")).to_contain_text("A copy of a statement costs 5 dollars.")


async def _work(service: Service) -> None:
    while True:
        await work(service)
        await asyncio.sleep(0.2)


async def test_what_was_typed_is_there_again_after_the_session_ended(
    browser: Browser, tenant: Tenant, address: str, filled: None
) -> None:
    async with visiting(browser, address, tenant, "analyst", Visit(scripts=True)) as page:
        await page.goto("/console/ask")
        await page.get_by_label("Question").fill(QUESTION)
        await page.context.clear_cookies()
        await page.get_by_role("button", name="Ask the documents").click()
        await expect(page.locator("#tenant")).to_be_visible()
        await page.locator("#tenant").fill(tenant.slug)
        await page.locator("#username").fill("analyst")
        await page.locator("#password").fill(PASSWORD)
        await page.locator("main form button").first.click()
        await expect(page.get_by_label("Question")).to_have_value(QUESTION)
