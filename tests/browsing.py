"""A real Chromium, driven by Playwright. Without one, tests that ask for it are skipped, and say why."""

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Error, async_playwright, expect

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
expect.set_options(timeout=60_000)  # what is to be seen may take a busy machine some time


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    async with async_playwright() as playwright:
        try:
            started = await playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        except Error as error:
            pytest.skip(f"Chromium does not start: {error.message.splitlines()[0]}")
        yield started
        await started.close()
