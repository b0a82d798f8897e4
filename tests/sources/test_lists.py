"""Lists that servers send are read beside the event loop, entry by entry, and within bounds."""

import asyncio
import threading
import time

import pytest

from backend.egress import Egress, outside_client
from backend.sources.asking import Asking, Pace
from backend.sources.connector import ItemRefused, SourceFailed
from backend.sources.connectors.lists import MOST_LIST_BYTES, Element, name_of, read_lines, read_list, text
from backend.sources.connectors.web import Web
from tests.service import Service
from tests.sources.site import site
from tests.sources.sources import HERE, bank_with_policies, created, reaching, run

pytestmark = pytest.mark.anyio

DEEP = b"<urlset><url>" + b"<x>" * 40 + b"</x>" * 40 + b"</url></urlset>"
MANY = b"<urlset><url>" + b"<x/>" * 300_000 + b"</url></urlset>"
DECLARING = b'<!DOCTYPE urlset [<!ENTITY a "aaaa">]><urlset><url><loc>https://localhost/a</loc></url></urlset>'
EXTERNAL = b'<!DOCTYPE urlset SYSTEM "file:///etc/passwd"><urlset/>'


async def test_a_list_is_read_beside_the_event_loop_and_its_entries_are_let_go() -> None:
    threads, kept = set[int](), set[int]()

    def told(entry: Element) -> str | None:
        threads.add(threading.get_ident())
        kept.add(len(entry.getparent()))
        return text(entry, "{*}loc") if name_of(entry) == "url" else None

    urls = b"".join(b"<url><loc> https://localhost/%d.md </loc></url>" % number for number in range(20_000))
    root, found = await read_list(b'<urlset xmlns="urn:any"><x/>' + urls + b"</urlset>", told)
    assert (root, len(found), found[-1]) == ("urlset", 20_000, "https://localhost/19999.md")
    assert threading.get_ident() not in threads
    assert max(kept) < 5_000  # of those that came in one piece


async def test_lines_and_what_robots_are_told_are_read_beside_the_event_loop() -> None:
    """Whatever is read where the loop runs lets nobody else have a turn."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await asyncio.sleep(0)
    before = turns
    assert await read_lines(b"\nhttps://localhost/a.md \r\n\n" * 10_000) == ["https://localhost/a.md"] * 10_000
    assert turns > before
    async with site() as there, outside_client() as client:
        there.pages["/robots.txt"] = b"User-agent: *\n" + b"Disallow: /private\n" * 1_000
        egress, pace = Egress(client, own_machine=True, plain=True), Pace(60_000)
        asking = Asking(egress, HERE, pace, seconds=60.0, until=time.monotonic() + 600.0)
        web = Web(asking=asking, most_items=10, most_bytes=1_000)
        await web._respect_robots(f"{there.url}/public")
        before = turns
        with pytest.raises(ItemRefused, match="robots"):
            await web._respect_robots(f"{there.url}/private")
        assert turns > before
    counting.cancel()


@pytest.mark.parametrize("body", [DEEP, MANY, DECLARING, EXTERNAL, b"", b"<a", b"<a>&b;</a>"])
async def test_what_is_no_honest_list_is_none(body: bytes) -> None:
    with pytest.raises(SourceFailed) as failed:
        await read_list(body, lambda entry: text(entry, "{*}loc"))
    assert failed.value.code == "no_list"


async def test_a_list_that_is_larger_than_any_is_not_read_to_its_end(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        there.pages["/map.xml"] = b"<urlset>" + b" " * MOST_LIST_BYTES + b"</urlset>"
        ended = await run(service, bank, await created(service, bank, f"{there.url}/map.xml", "sitemap"))
    assert (ended["state"], ended["reason"], MOST_LIST_BYTES) == ("failed", "endless", 4 * 1024 * 1024)
