"""Open WebUI as its package has it, started by the lines that are shown, and used by a person in a real browser."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.gateways.clients.environments import Environments
from tests.gateways.clients.shown import FILE, ShownPrograms
from tests.service import PASSWORD, Service, Tenant

pytestmark = [pytest.mark.anyio, pytest.mark.doors]

OPEN_WEBUI = "open-webui==0.12.4"
# It asks for PyTorch, for models that it can run itself. Here it runs none, and without that all fits in 1.7 GB.
WITHOUT = ("torch",)
QUESTION = "How long do customers have to file card disputes?"
_OWN = {
    "WEBUI_AUTH": "false",
    "OFFLINE_MODE": "true",
    "RAG_EMBEDDING_ENGINE": "openai",
    "ANONYMIZED_TELEMETRY": "false",
}
_MILLISECONDS = 180_000  # for what is a request or more; a busy machine needs more than one minute for its first page
_SECONDS = 500  # it makes its database at the first start, which a busy machine takes minutes for


@asynccontextmanager
async def open_webui(lines: str, python: str, folder: Path) -> AsyncIterator[str]:
    """Runs the lines in a shell, with the program of an environment and a free port; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = lines.replace("open-webui serve", f"exec open-webui serve --host 127.0.0.1 --port {port}")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AFFIDAVIT_", "OPENAI_", "PYTHON"))
    }
    path = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / "log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            "sh", "-ec", command, cwd=folder, stdout=log, stderr=log,
            env=kept | _OWN | {"PATH": path, "HOME": str(folder), "DATA_DIR": str(folder / "data")},
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        await _healthy(address, running, folder / "log")
        yield address
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def _healthy(address: str, running: asyncio.subprocess.Process, log: Path) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(_SECONDS):
        while True:
            assert running.returncode is None, log.read_text()[-4000:]
            try:
                if (await client.get(f"{address}/health")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.5)


@asynccontextmanager
async def signed_in(browser: Browser, tenant: Tenant, address: str) -> AsyncIterator[BrowserContext]:
    """A browser in which an analyst is signed in to our own pages, where citations lead."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{address}/console")
    await page.locator("#tenant").fill(tenant.slug)
    await page.locator("#username").fill("analyst")
    await page.locator("#password").fill(PASSWORD)
    await page.locator("main form button").first.click()
    await expect(page.locator(".nav")).to_be_visible()
    yield context
    await context.close()


async def read(news: Locator) -> None:
    await news.click()


async def asked(page: Page, question: str) -> None:
    news = page.get_by_role("button", name="Okay, Let's Go!")
    await page.add_locator_handler(news, read)  # whenever they come
    await page.locator("#chat-input").click(timeout=_MILLISECONDS)
    await page.keyboard.type(question)
    await page.keyboard.press("Enter")


async def test_a_person_asks_and_opens_what_is_cited(
    shown: ShownPrograms, browser: Browser, environments: Environments, service: Service, tenant: Tenant, tmp_path: Path
) -> None:
    """Its title for the chat comes from `affidavit-tasks`, so that one question is one answer on record."""
    service.exchange(answering=replace(service.services.answering, public_url=shown.address))
    python = await asyncio.to_thread(environments.python, OPEN_WEBUI, without=WITHOUT)
    heavy = [
        found.name
        for kind in ("torch", "nvidia*")
        for found in Path(python).parent.parent.glob(f"lib/*/site-packages/{kind}")
    ]
    assert heavy == [], "several gigabytes that nothing here needs"
    async with (
        signed_in(browser, tenant, shown.address) as context,
        open_webui(shown.block("sh", "open-webui serve"), python, tmp_path) as address,
    ):
        page = await context.new_page()
        await page.goto(f"{address}/?models=affidavit", timeout=_MILLISECONDS)
        await asked(page, QUESTION)
        await expect(page.locator("#response-content-container")).to_contain_text(FILE, timeout=_MILLISECONDS)
        await expect(page.get_by_role("button", name="Toggle 1 source")).to_be_visible()
        await page.get_by_role("button", name="View source: pol-001, version 1").first.click()
        async with context.expect_page() as opening:
            await page.locator("[role=dialog] a[target=_blank], .modal a[target=_blank]").first.click()
        source = await opening.value
        await expect(source.locator("mark")).to_have_text(FILE)
        await expect(page).to_have_title(re.compile(f"^{QUESTION[:20]}"), timeout=_MILLISECONDS)
    answered = await service.events(tenant, action="answer:returned")
    assert [event["event"]["door"]["kind"] for event in answered] == ["openai"]
