"""What somebody sees who opens the demo's link: an answer, its page with the cited words marked, and the proof of its record."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Browser, expect

from backend.demo import seed
from backend.demo.entrance import Entrance
from backend.ledger.checkpoints import SigningKey
from tests.browser.test_every_page import found_by_axe
from tests.service import Database, Service, sealing

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

CITED = "An outgoing domestic wire costs $25"
MARKER = (255, 226, 130)


def marked_share(picture: bytes) -> float:
    """Which share of a picture has the marker's colour."""
    image = Image.open(BytesIO(picture)).convert("RGB")
    colours = {colour: count for count, colour in image.getcolors(image.width * image.height)}
    return colours.get(MARKER, 0) / (image.width * image.height)


async def test_three_clicks_lead_to_an_answer_its_marked_page_and_the_proof_of_its_record(
    browser: Browser, service: Service, database: Database, address: str, tmp_path: Path
) -> None:
    credentials = await seed.create_tenants(database.owner_url)
    await seed.submit_documents(service.app, {"tenants": credentials["tenants"][:1]}, print)
    tenant = credentials["tenants"][0]
    password = next(user["password"] for user in tenant["users"] if user["username"] == seed.GUIDE)
    entrance = Entrance(tenant["domain"], seed.GUIDE, password)
    entrance.install(service.app)
    key = SigningKey.generate("affidavit-test")
    service.exchange(
        settings=service.services.settings.model_copy(update={"checkpoint_public_key": str(key.verifier_key)})
    )
    context = await browser.new_context(
        base_url=address, viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    page, pictures = await context.new_page(), list[bytes]()

    async with sealing(database, key):
        await page.goto(entrance.path())
        await page.get_by_role("button", name="Ask the documents").click()
        await expect(page.locator(".answer").first).to_contain_text(CITED)
        async with page.expect_response("**/picture?**") as drawn:
            await page.get_by_role("link", name="Open at these words").first.click()
        pictures.append(await (await drawn.value).body())
        beside = page.get_by_role("complementary", name="Personal account fee schedule")
        await expect(beside.get_by_role("img", name="Page 1 with the cited words marked")).to_be_visible()
        await expect(beside).to_contain_text("In force since 1 April 2026")
        await expect(beside).to_contain_text("version 1, from 1 January 2025 until 1 April 2026")
        await expect(page.locator(".answer").first).to_be_visible()  # the source stands beside it
        await page.screenshot(path=tmp_path / "beside.png")
        assert await found_by_axe(page) == []
        await page.get_by_role("link", name="everything on record of this").click()
        await expect(page.locator("[data-result]")).to_contain_text("Verified in this browser: the event is leaf")
        await page.screenshot(path=tmp_path / "proof.png")
    assert 0.0005 < marked_share(pictures[0]) < 0.05
    await context.close()
