"""What pages say: every text in German, times in the viewer's zone with its name, and numbers as the language writes them."""

import re

import httpx
import pytest
from babel.messages.pofile import read_po

from backend.console.wording import FOLDER, texts
from tests.console.visits import visiting
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

_PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")


def test_every_text_has_a_german_one_with_the_same_placeholders_and_none_is_left_over() -> None:
    with (FOLDER / "de.po").open("rb") as source:
        catalogue = read_po(source)
    german = {message.id: message.string for message in catalogue if message.id}
    assert german.keys() == texts()
    for english, translated in german.items():
        pairs = [(english, translated)] if isinstance(english, str) else list(zip(english, translated, strict=True))
        for before, after in pairs:
            assert after, before
            assert sorted(_PLACEHOLDER.findall(before)) == sorted(_PLACEHOLDER.findall(after)), before


async def test_the_language_is_the_browsers_until_somebody_chooses(service: Service) -> None:
    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        for asked, title in (
            ("de-CH,de;q=0.9", "Bei Affidavit anmelden"),
            ("fr", "Sign in to Affidavit"),
            ("", "Sign in to"),
        ):
            page = await client.get("/console/sign-in", headers={"Accept-Language": asked})
            assert title in page.text
        chosen = await client.get("/console/language", params={"to": "de", "next": "/console/sign-in"})
        assert chosen.headers["location"] == "/console/sign-in"
        assert '<html lang="de">' in (await client.get("/console/sign-in", headers={"Accept-Language": "en"})).text
        away = await client.get("/console/language", params={"to": "de", "next": "https://evil.example/"})
        assert away.headers["location"] == "/console"


async def test_times_are_in_the_viewers_zone_which_is_named(service: Service, tenant: Tenant) -> None:
    async with visiting(service, tenant, "compliance") as client:
        assert re.search(r"\d\d:\d\d:\d\d UTC</time>", (await client.get("/console/review")).text)
        client.cookies.set("zone", "Asia%2FTokyo")
        shown = (await client.get("/console/review")).text
        assert re.search(r"\d\d:\d\d:\d\d JST</time>", shown)
        assert "Times in Asia/Tokyo" in shown
        for nowhere in ("Mars/Olympus", "../../etc/passwd", "x" * 500, "%00"):
            client.cookies.set("zone", nowhere)
            assert "Times in UTC" in (await client.get("/console/review")).text


async def test_what_no_form_would_send_is_refused_and_breaks_nothing(service: Service, tenant: Tenant) -> None:
    async with visiting(service, tenant, "compliance") as client:
        for path in (
            "/console/review?actor=%00", "/console/documents?q=%00", "/console/review?cursor=!", "/console/review?from=1",
            "/console/review/timeline?actor=%00", "/console/review/readers?document=%00", "/console/review/turns/none",
            "/console/documents/none", "/console/review/exports/none", "/console/review/counts?by=nothing",
        ):  # fmt: skip
            answer = await client.get(path)
            assert answer.status_code in {404, 422}, (path, answer.status_code)
            assert "<h1>" in answer.text
