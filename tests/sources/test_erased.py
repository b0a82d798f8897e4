"""What was erased stays away: in a run that went on meanwhile, through a source that is made later, and from what runs tell."""

import asyncio
from typing import Any

import asyncpg
import pytest

from backend.identity.callers.permissions import Role
from tests.isolation.injection import acting
from tests.service import Service, Tenant
from tests.sources.site import Site, site
from tests.sources.sources import bank_with_policies, counted, created, documents, reaching, run, work

pytestmark = pytest.mark.anyio

WIRES, CARDS = "Wires leave before noon.", "Card disputes of Jane Doe must be filed within 60 days."


async def erased(service: Service, bank: Tenant, path: str) -> None:
    """Erases the document whose name ends so."""
    found = next(one for name, one in (await documents(service, bank)).items() if name.endswith(f"{path} 1"))
    headers = await service.as_user(bank, "privacy")
    answer = await service.client.request(
        "DELETE", f"/documents/{found['document_id']}", params={"reason": "Request 2026-118"}, headers=headers
    )
    assert answer.status_code == 200, answer.text


async def asked_for(there: Site, path: str, times: int) -> None:
    async with asyncio.timeout(60):
        while len(there.fetched(path)) < times:
            await asyncio.sleep(0.02)


async def begun(service: Service, bank: Tenant, source: dict[str, Any]) -> tuple[str, asyncio.Task[None]]:
    """Runs a source, and goes on while it does."""
    asked = await service.post(f"/sources/{source['id']}/runs", bank, "admin", {})
    return f"/sources/{source['id']}/runs/{asked.json()['id']}", asyncio.create_task(work(service))


async def test_a_document_that_is_erased_while_a_run_goes_on_does_not_come_back_in_it(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        jane, wires = there.page("/jane-doe.md", CARDS), there.page("/wires.md", WIRES)
        source = await created(service, bank, f"{jane} {wires}")
        assert counted(await run(service, bank, source)) == {"new": 2}
        there.page("/jane-doe.md", f"{CARDS} Or 90.")
        there.held["/wires.md"] = asyncio.Event()
        path, working = await begun(service, bank, source)
        await asked_for(there, "/wires.md", 2)  # and the other one has been fetched
        await erased(service, bank, "jane-doe.md")
        there.held["/wires.md"].set()
        await working
        ended = (await service.get(path, bank, "admin")).json()
        assert (counted(ended), ended["counts"]["reasons"]) == ({"refused": 1, "unchanged": 1}, {"erased": 1})
        assert "jane" not in str(ended)
        assert [name for name in await documents(service, bank) if "jane" in name] == []
        again = await run(service, bank, source)
        assert (counted(again), "jane" in str(again)) == ({"refused": 1, "unchanged": 1}, False)


async def test_a_document_that_moved_and_was_erased_in_the_same_run_is_left_under_its_new_name(
    service: Service,
) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        there.page("/jane-doe.md", CARDS)
        wires = there.page("/wires.md", WIRES)
        there.pages["/map.txt"] = f"{there.url}/jane-doe.md\n{wires}".encode()
        source = await created(service, bank, f"{there.url}/map.txt", "sitemap")
        await run(service, bank, source)
        there.pages["/moved.md"] = there.pages.pop("/jane-doe.md")
        there.pages["/map.txt"] = f"{there.url}/moved.md\n{wires}".encode()
        there.held["/wires.md"] = asyncio.Event()
        path, working = await begun(service, bank, source)
        await asked_for(there, "/wires.md", 2)
        await erased(service, bank, "jane-doe.md")
        there.held["/wires.md"].set()
        await working
        assert (await service.get(path, bank, "admin")).json()["counts"]["reasons"] == {"erased": 1}
        there.page("/moved.md", f"{CARDS} Or 90.")
        assert (await run(service, bank, source))["counts"]["reasons"] == {"erased": 1}
        assert {name.rpartition("/")[2] for name in await documents(service, bank)} == {"wires.md 1"}


async def test_another_source_does_not_bring_back_what_was_erased(service: Service) -> None:
    """Neither when the one that brought it was deleted after the erasure, nor when it was before."""
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        first, second = there.page("/jane-doe.md", CARDS), there.page("/john-doe.md", WIRES)
        source = await created(service, bank, f"{first} {second}")
        await run(service, bank, source)
        await erased(service, bank, "jane-doe.md")
        headers = await service.as_user(bank, "admin")
        assert (await service.client.delete(f"/sources/{source['id']}", headers=headers)).status_code == 204
        await erased(service, bank, "john-doe.md")
        later = await created(service, bank, f"{first} {second}", name="made later")
        ended = await run(service, bank, later)
        assert (counted(ended), ended["counts"]["reasons"]) == ({"refused": 2}, {"erased": 2})
        assert (await documents(service, bank), "doe" in str(ended)) == ({}, False)
        assert counted(await run(service, bank, later)) == {"refused": 2}
        assert (len(there.fetched("/jane-doe.md")), len(there.fetched("/john-doe.md"))) == (2, 2)


async def test_an_erasure_takes_the_name_of_the_document_out_of_what_runs_tell(service: Service) -> None:
    bank = await bank_with_policies(service)
    await service.add_user(bank, "admin2", Role.ADMIN)
    async with site() as there, reaching(service):
        jane, wires = there.page("/jane-doe.md", CARDS), there.page("/wires.md", WIRES)
        source = await created(service, bank, f"{jane} {wires}")
        other = await created(service, bank, jane, name="another")
        await run(service, bank, source)
        assert (await run(service, bank, other))["counts"]["reasons"] == {"name_taken": 1}
        await erased(service, bank, "jane-doe.md")
        for one in (source, other):
            runs = (await service.get(f"/sources/{one['id']}/runs", bank, "admin")).json()["runs"]
            told = [await service.get(f"/sources/{one['id']}/runs/{ran['id']}", bank, "admin") for ran in runs]
            assert [ran.status_code for ran in told] == [200]
            assert "jane" not in told[0].text
        shown = (await service.get(f"/sources/{source['id']}/runs", bank, "admin")).json()["runs"][0]
        changes = (await service.get(f"/sources/{source['id']}/runs/{shown['id']}", bank, "admin")).json()["changes"]
        assert [(one["change"], one["path"]) for one in changes] == [("new", None), ("new", wires.partition("://")[2])]
    connection = await asyncpg.connect(service.database.superuser_url)
    try:
        kept = await connection.fetchval(
            "select string_agg(i::text, '') || (select string_agg(r::text, '') from sources.run r where r.tenant_id = $1)"
            " from sources.item i where i.tenant_id = $1", bank.id,
        )  # fmt: skip
    finally:
        await connection.close()
    assert ("wires" in kept, "jane" in kept) == (True, False)


async def test_only_an_erasure_forgets_what_sources_held(service: Service) -> None:
    """As SQL of the runtime role: who manages sources, and who erases but is not about to."""
    bank = await bank_with_policies(service)
    for role in ("admin", "privacy"):
        caller = await acting(service, bank, role)
        async with service.services.tenancy.transaction(caller.claims()) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("select sources.forget('{}', '{}', '{}', '{}')")
