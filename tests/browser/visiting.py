"""Somebody who has just signed in, in a real browser, to whom the console says nothing but what it shows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from playwright.async_api import Browser, Page, expect

from tests.service import PASSWORD, Tenant

Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Visit:
    """How a browser is set up."""

    width: int = 1280
    scheme: Scheme = "light"
    language: str = "en-GB"
    scripts: bool = True


@asynccontextmanager
async def visiting(
    browser: Browser, address: str, tenant: Tenant, username: str, visit: Visit = Visit()
) -> AsyncIterator[Page]:
    """A page of somebody who has just signed in. Neither a message nor an error may appear in the browser's console."""
    context = await browser.new_context(
        base_url=address, viewport={"width": visit.width, "height": 900}, color_scheme=visit.scheme, locale=visit.language,
        timezone_id="Europe/Berlin", java_script_enabled=visit.scripts, reduced_motion="reduce",
    )  # fmt: skip
    page, said = await context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.goto("/console")
    await page.locator("#tenant").fill(tenant.slug)
    await page.locator("#username").fill(username)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("main form button").first.click()
    await expect(page.locator(".nav")).to_be_visible()
    yield page
    await context.close()
    assert said == []
