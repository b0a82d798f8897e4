"""A library of SharePoint or OneDrive: whole at first, then what changed, each file by its id, and no token but to Graph."""

from typing import Any

import pytest

from tests.service import Service, Tenant
from tests.sources.library import DRIVE, PROGRAM, TOKEN, TOP, Library, library
from tests.sources.raw_http import said
from tests.sources.site import site
from tests.sources.sources import bank_with_policies, counted, documents, reaching, run

pytestmark = pytest.mark.anyio

DELTA = f"{TOP}/delta"


async def made(service: Service, bank: Tenant, there: Library, **more: Any) -> dict[str, Any]:
    body = {"name": "Library", "collection": "policies"} | there.source | more
    answer = await service.post("/sources", bank, "admin", body)
    assert answer.status_code == 201, answer.text
    source: dict[str, Any] = answer.json()
    return source


def filled(there: Library) -> None:
    there.folder("f1", "Rules")
    there.folder("f2", "Retail", "f1")
    there.put("1", "wires.md", "Wires leave before noon.", "f2")
    there.put("2", "cards.md", "Disputes within 60 days.", "f1")
    there.put("3", "fees.md", "An account costs nothing.")


def fetched(there: Library) -> list[str]:
    return [path for _, path, _ in there.asked if "tempauth" in path]


async def test_a_library_is_followed_as_files_come_change_move_and_go(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with library() as there, reaching(service):
        filled(there)
        source = await made(service, bank, there)
        assert counted(await run(service, bank, source, dry_run=True)) == {"new": 3}
        assert fetched(there) == []
        assert counted(await run(service, bank, source)) == {"new": 3}
        assert set(await documents(service, bank)) == {"Rules/Retail/wires.md 1", "Rules/cards.md 1", "fees.md 1"}
        there.asked.clear()
        assert counted(await run(service, bank, source)) == {}
        assert [path.partition("?")[2] for _, path, _ in there.asked if "delta" in path] == ["since=5"]
        there.put("1", "wires.md", "Wires leave before ten.", "f2")
        there.move("2", "disputes.md", "f2")
        there.delete("3")
        there.put("4", "new.md", "What is new.", "f2")
        assert counted(await run(service, bank, source)) == {"changed": 1, "renamed": 1, "gone": 1, "new": 1}
        assert len(fetched(there)) == 2
        assert set(await documents(service, bank)) == {
            "Rules/Retail/wires.md 1", "Rules/Retail/wires.md 2", "Rules/cards.md 1", "fees.md 1", "Rules/Retail/new.md 1",
        }  # fmt: skip
        assert all("authorization" not in headers for _, path, headers in there.asked if "tempauth" in path)


async def test_what_was_in_a_deleted_folder_is_gone_though_nobody_tells(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with library() as there, reaching(service):
        filled(there)
        source = await made(service, bank, there)
        await run(service, bank, source)
        there.delete("f2")
        ended = await run(service, bank, source)
        assert counted(ended) == {"gone": 1, "unchanged": 2}
        assert [(one["change"], one["path"]) for one in ended["changes"]] == [("gone", "Rules/Retail/wires.md")]


async def test_a_library_that_remembers_no_more_is_listed_anew(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with library() as there, reaching(service):
        filled(there)
        source = await made(service, bank, there)
        await run(service, bank, source)
        there.delete("3")
        there.put("1", "wires.md", "Wires leave before ten.", "f2")
        there.forgotten = len(there.changes)
        assert counted(await run(service, bank, source)) == {"changed": 1, "gone": 1, "unchanged": 1}
        assert len(fetched(there)) == 4


async def test_a_library_that_is_busy_is_asked_again_as_it_says(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with library() as there, reaching(service):
        filled(there)
        busy = said("429 Too Many Requests", b"", "Retry-After: 1\r\n")
        there.raw = {DELTA: [busy], "/bank.example/oauth2/v2.0/token": [busy]}
        source = await made(service, bank, there)
        assert counted(await run(service, bank, source)) == {"new": 3}
        there.raw = {DELTA: [said("429 Too Many Requests", b"", "Retry-After: 600\r\n")]}
        assert (await run(service, bank, source))["reason"] == "throttled"


async def test_a_file_that_could_not_be_fetched_is_asked_for_again_though_nothing_changed(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with library() as there, reaching(service):
        filled(there)
        source = await made(service, bank, there)
        there.raw = {f"{DRIVE}/items/3": [said("500 Internal Server Error", b"")]}
        ended = await run(service, bank, source)
        assert (counted(ended), ended["counts"]["reasons"]) == ({"new": 2, "refused": 1}, {"status": 1})
        assert counted(await run(service, bank, source)) == {"new": 1, "unchanged": 2}


async def test_neither_token_nor_secret_goes_anywhere_else(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with library() as there, site() as elsewhere, reaching(service):
        filled(there)
        source = await made(service, bank, there)
        there.next_link = f"{elsewhere.url}{DELTA}?skip=2"
        assert (await run(service, bank, source))["reason"] == "other_host"
        there.next_link = ""
        for place in ("https://169.254.169.254/latest", "https://files.example/3", "ftp://localhost/3"):
            there.raw = {
                f"{DRIVE}/items/3": [said("200 OK", f'{{"@microsoft.graph.downloadUrl": "{place}"}}'.encode())]
            }
            ended = await run(service, bank, source, dry_run=False)
            assert ended["counts"]["reasons"] == {"address_refused": 1}
        path, headers = f"/sources/{source['id']}", await service.as_user(bank, "admin")
        moved = await service.client.patch(
            path, json={"options": {"authority": f"{elsewhere.url}/bank"}}, headers=headers
        )
        assert (moved.status_code, "given anew" in moved.text) == (422, True)
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ({DELTA: b"<html>"}, "no_list"), ({DELTA: b"{}"}, "no_list"), ({DELTA: b'{"value": []}'}, "no_list"),
        ({DELTA: b'{"value": ' + b"[" * 50_000}, "no_list"), ({DELTA: b'{"value": [{"id": 5}]}'}, "no_list"),
        ({"/bank.example/oauth2/v2.0/token": b'{"access_token": "a\\nb", "expires_in": 5}'}, "no_list"),
        ({DELTA: b"x" * 5_000_000}, "endless"),
    ],
)  # fmt: skip
async def test_an_answer_that_is_none_ends_the_run(service: Service, raw: dict[str, bytes], code: str) -> None:
    bank = await bank_with_policies(service)
    async with library() as there, reaching(service):
        filled(there)
        source = await made(service, bank, there)
        there.raw = {path: [said("200 OK", body)] for path, body in raw.items()}
        ended = await run(service, bank, source)
        assert (ended["state"], ended["reason"]) == ("failed", code)
        assert await documents(service, bank) == {}


async def test_pages_without_end_end_at_a_bound_and_no_library_is_told(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with library() as there, reaching(service, items=20):
        filled(there)
        source = await made(service, bank, there)
        there.next_link = f"{there.url}{DELTA}?skip=100"
        assert (await run(service, bank, source))["reason"] == "endless"
        there.next_link = ""
        there.raw = {DELTA: [said("404 Not Found", b"{}")]}
        assert (await run(service, bank, source))["reason"] == "no_list"
        assert len([path for _, path, _ in there.asked if "delta" in path]) < 10


async def test_a_library_needs_its_directory_and_its_program(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with library() as there, reaching(service):
        body = {"name": "Library", "collection": "policies"} | there.source
        for wrong in (
            {"options": {}}, {"credentials": None}, {"credentials": {"token": TOKEN}}, {"options": {"authority": "https://10.1.2.3/x"}},
            {"options": {"authority": f"{there.url}/x", "prefix": "a"}}, {"credentials": {**PROGRAM, "token": "x"}},
        ):  # fmt: skip
            assert (await service.post("/sources", bank, "admin", body | wrong)).status_code == 422, wrong
        wrong = await made(service, bank, there, credentials={**PROGRAM, "client_secret": "another"})
        assert (await run(service, bank, wrong))["reason"] == "not_allowed"
