"""A folder of WebDAV: walked to its leaves, and no further than its root."""

import pytest

from tests.service import Service
from tests.sources.dav import dav_server
from tests.sources.sources import bank_with_policies, counted, created, documents, reaching, run

pytestmark = pytest.mark.anyio

READER = {"username": "reader", "password": "secret"}


async def test_a_folder_is_followed_as_its_files_come_change_move_and_go(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with dav_server() as there, reaching(service):
        there.put("rules/retail/wires ü.md", "Wires leave before noon.")
        there.put("cards.md", "Card disputes must be filed within 60 days.")
        source = await created(service, bank, there.url, "webdav", credentials=READER)
        assert counted(await run(service, bank, source, dry_run=True)) == {"new": 2}
        assert [path for method, path, _ in there.asked if method == "GET"] == []
        assert counted(await run(service, bank, source)) == {"new": 2}
        assert set(await documents(service, bank)) == {"rules/retail/wires ü.md 1", "cards.md 1"}
        there.put("rules/retail/wires ü.md", "Wires leave before ten.")
        there.files["archive/cards.md"] = there.files.pop("cards.md")
        assert counted(await run(service, bank, source)) == {"changed": 1, "renamed": 1}
        del there.files["archive/cards.md"]
        assert counted(await run(service, bank, source)) == {"gone": 1, "unchanged": 1}
        assert len(await documents(service, bank)) == 3


async def test_what_a_server_lists_beyond_the_folder_is_left_there(service: Service) -> None:
    bank = await bank_with_policies(service)
    entry = (
        '<D:response><D:href>{}</D:href><D:propstat><D:prop><D:resourcetype/><D:getetag>"x"</D:getetag></D:prop>'
        "</D:propstat></D:response>"
    )
    async with dav_server() as there, reaching(service):
        there.put("wires.md", "Wires leave before noon.")
        beyond = (
            "/etc/secret.md",
            "/dav/../secret.md",
            "/dav/%2e%2e/secret.md",
            "https://169.254.169.254/dav/secret.md",
            "http://[",
        )
        there.also_listed = "".join(map(entry.format, beyond))
        source = await created(service, bank, there.url, "webdav", credentials=READER)
        assert counted(await run(service, bank, source)) == {"new": 1}
        assert {path for _, path, _ in there.asked} == {"/dav/", "/dav/wires.md"}


async def test_a_server_that_refuses_or_has_folders_without_end_is_no_source(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with dav_server() as there, reaching(service, items=10):
        for number in range(20):
            there.put("/".join(["deep"] * number + ["wires.md"]), "Wires leave before noon.")
        wrong = await created(service, bank, there.url, "webdav", credentials={"username": "reader", "password": "x"})
        assert (await run(service, bank, wrong))["reason"] == "not_allowed"
        source = await created(service, bank, there.url, "webdav", name="deep", credentials=READER)
        assert (await run(service, bank, source))["reason"] == "too_many_items"
        assert await documents(service, bank) == {}
