"""Takes the screenshots of the README from a demo of its own: `make screenshots`."""

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.async_api import Page, async_playwright

FOLDER = Path(__file__).parents[2] / "infra/screenshots"
MOST_BYTES = 150_000
PORT = 8377
START_SECONDS = 300


async def take(link: str) -> None:
    """Asks, opens the source, looks at the record, and compares two versions."""
    FOLDER.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = await browser.new_context(
            viewport={"width": 1180, "height": 840}, locale="en-GB", timezone_id="Europe/London"
        )
        page = await context.new_page()
        await page.goto(link)
        await page.reload()  # now in the zone of the browser
        await page.get_by_role("button", name="Ask the documents").click()
        await page.locator("#answered").wait_for()
        await keep(page, "answer")
        await page.get_by_role("link", name="Open at these words").first.click()
        await page.locator("#beside img").evaluate("image => image.decode()")
        await page.locator("#answered").scroll_into_view_if_needed()
        await keep(page, "source")
        whole = await page.locator("[data-whole]").get_attribute("href")
        assert whole is not None
        document = whole.split("/versions")[0]
        await page.get_by_role("link", name="everything on record of this").click()
        await page.locator(".seal.good").wait_for()
        await keep(page, "proof")
        await page.goto(f"{document}/compare?before=1&after=2")
        await keep(page, "compare")
        await browser.close()


async def keep(page: Page, name: str) -> None:
    """Stores what the window shows, in few colours."""
    picture = Image.open(BytesIO(await page.screenshot())).convert("RGB").quantize(96)
    path = FOLDER / f"{name}.png"
    picture.save(path, optimize=True)
    assert path.stat().st_size <= MOST_BYTES, path


def main() -> None:
    """Starts a demo in a folder of its own, and ends it."""
    home = Path(tempfile.mkdtemp(prefix="affidavit-screenshots-"))
    log = home / "log"
    command = [Path(sys.executable).with_name("affidavit"), "demo", "--port", str(PORT)]
    with log.open("w") as output:
        demo = subprocess.Popen(
            command, env={"AFFIDAVIT_HOME": str(home / "home"), "PATH": "/usr/bin:/bin"}, stdout=output
        )
    try:
        until = time.monotonic() + START_SECONDS
        while (link := re.search(r"http://\S+/console/enter/\S+", log.read_text())) is None:
            assert time.monotonic() < until, log.read_text()[-2000:]
            assert demo.poll() is None, log.read_text()[-2000:]
            time.sleep(0.5)
        time.sleep(3)  # until the first events are sealed
        asyncio.run(take(link[0]))
    finally:
        demo.terminate()
        demo.wait(30)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
