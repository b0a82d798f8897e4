"""One odd file, or one folder that cannot be listed, is noted and stops nothing: all others are taken."""

from typing import Any

import pytest

from tests.service import Service
from tests.sources.dav import dav_server
from tests.sources.raw_http import said
from tests.sources.sources import bank_with_policies, counted, created, documents, reaching, run
from tests.sources.test_s3 import KEYS, bucket, put, server
from tests.sources.test_webdav import READER

pytestmark = pytest.mark.anyio

WIRES = "Wires leave before noon."
__all__ = ["server"]  # a fixture


def listed(path: str, about: str = '<D:resourcetype/><D:getetag>"x"</D:getetag>') -> str:
    return f"<D:response><D:href>/dav/{path}</D:href><D:propstat><D:prop>{about}</D:prop></D:propstat></D:response>"


def noted(run: dict[str, Any]) -> dict[str, str]:
    return {one["path"][:9]: one["reason"] for one in run["changes"] if one["change"] == "refused"}


async def test_odd_files_of_a_folder_are_noted_and_the_others_taken(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with dav_server() as there, reaching(service, file_bytes=10_000):
        there.put("wires.md", WIRES)
        there.put("large.md", WIRES * 1_000)
        there.put("tool.exe", WIRES)
        there.raw["away.md"] = said("302 Found", b"", "Location: https://www.example.com/\r\n")
        there.raw["pack.md"] = said("200 OK", b"\x1f\x8b", "Content-Encoding: gzip\r\n")
        there.raw["kept.md"] = said("403 Forbidden", b"")
        there.raw["cut.md"] = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n# Wires\n"
        odd = ("away.md", "pack.md", "kept.md", "cut.md", "none.md", "%C3%BC" * 600 + ".md")
        there.also_listed = "".join(map(listed, odd)) + listed("odd.md", '<D:getetag>"ü\u2028"</D:getetag>')
        source = await created(service, bank, there.url, "webdav", credentials=READER)
        ended = await run(service, bank, source)
        assert counted(ended) == {"new": 1, "refused": 9}
        assert ended["counts"]["reasons"] == {
            "too_large": 1, "type": 1, "redirected": 1, "compressed": 1, "not_allowed": 1, "no_answer": 1, "missing": 1,
            "address_refused": 1, "name": 1,
        }  # fmt: skip
        assert noted(ended)["away.md"] == "redirected"
        assert set(await documents(service, bank)) == {"wires.md 1"}
        dry = await run(service, bank, source, dry_run=True)
        assert dry["state"] == "succeeded"


async def test_of_a_folder_that_cannot_be_listed_nothing_is_taken_for_gone(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with dav_server() as there, reaching(service):
        for path in ("wires.md", "kept/cards.md", "gone/fees.md"):
            there.put(path, f"{WIRES} {path}")
        source = await created(service, bank, there.url, "webdav", credentials=READER)
        assert counted(await run(service, bank, source)) == {"new": 3}
        there.raw["kept"] = said("403 Forbidden", b"")
        there.raw["gone"] = said("404 Not Found", b"")
        there.put("late.md", WIRES)
        ended = await run(service, bank, source)
        assert (counted(ended), noted(ended)) == ({"new": 1, "unchanged": 1, "refused": 1}, {"kept": "not_allowed"})
        del there.raw["kept"]
        assert counted(await run(service, bank, source)) == {"unchanged": 3, "gone": 1}


async def test_a_server_that_is_away_ends_the_run(service: Service) -> None:
    """Or each of its files would be waited for."""
    bank = await bank_with_policies(service)
    async with dav_server() as there, reaching(service):
        for number in range(20):
            there.put(f"{number}.md", f"{WIRES} {number}")
            there.raw[f"{number}.md"] = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n# Wires\n"
        ended = await run(service, bank, await created(service, bank, there.url, "webdav", credentials=READER))
        assert (ended["state"], ended["reason"]) == ("failed", "no_answer")
        assert len([path for method, path, _ in there.asked if method == "GET"]) < 10


async def test_odd_keys_of_a_bucket_are_noted_and_the_others_taken(service: Service, server: str) -> None:
    bank = await bank_with_policies(service)
    there = bucket(server, "odd-keys")
    put(there, "wires + fees 100%.md", WIRES)
    for key in ("\x01.md", "ü" * 350 + ".md", "tool.exe"):
        put(there, key, f"{WIRES} {key!r}")
    put(there, "large.md", WIRES * 1_000)
    async with reaching(service, file_bytes=10_000):
        source = await created(service, bank, f"{server}/odd-keys", "s3", credentials=KEYS)
        ended = await run(service, bank, source)
        assert counted(ended) == {"new": 1, "refused": 4}
        assert ended["counts"]["reasons"] == {"name": 1, "address_refused": 1, "type": 1, "too_large": 1}
        assert set(await documents(service, bank)) == {"wires + fees 100%.md 1"}
