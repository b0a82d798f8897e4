"""Lists of addresses and sitemaps: what is new goes into review, what is gone is asked to be retired, and nobody else is asked."""

import pytest

from tests.service import Service
from tests.sources.site import site
from tests.sources.sources import (
    approve,
    bank_with_policies,
    counted,
    created,
    documents,
    reaching,
    run,
)

pytestmark = pytest.mark.anyio

WIRES, CARDS = "Wires leave before noon.", "Card disputes must be filed within 60 days."


def without_scheme(address: str) -> str:
    return address.partition("://")[2]


async def test_pages_land_in_review_and_come_again_only_when_they_changed(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        wires, cards = there.page("/wires.md", WIRES), there.page("/cards.md", CARDS)
        source = await created(
            service, bank, f"{wires}\n{cards}", metadata={"jurisdiction": "US"}, source_type="policy"
        )
        assert counted(await run(service, bank, source)) == {"new": 2}
        found = await documents(service, bank)
        assert {name: one["status"] for name, one in found.items()} == {
            f"{without_scheme(wires)} 1": "in_review", f"{without_scheme(cards)} 1": "in_review",
        }  # fmt: skip
        assert {one["metadata"]["jurisdiction"] for one in found.values()} == {"US"}
        again = await run(service, bank, source)
        assert counted(again) == {"unchanged": 2}, again["counts"]
        there.page("/wires.md", "Wires leave before ten.")
        assert counted(await run(service, bank, source)) == {"changed": 1, "unchanged": 1}
        assert f"{without_scheme(wires)} 2" in await documents(service, bank)
        assert len(await documents(service, bank)) == 3


async def test_what_is_gone_is_retired_when_a_person_confirms_it_and_nothing_is_deleted(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        wires = there.page("/wires.md", WIRES)
        source = await created(service, bank, wires)
        await run(service, bank, source)
        (version,) = (await documents(service, bank)).values()
        assert await approve(service, bank, version) == 200
        del there.pages["/wires.md"]
        assert counted(await run(service, bank, source)) == {"gone": 1, "retirements_asked": 1}
        name = f"{without_scheme(wires)} 1"
        assert (await documents(service, bank))[name]["status"] == "approved"
        (request,) = (await service.get("/joint-requests", bank, "approver")).json()["requests"]
        assert (request["act"], request["asked_by"], request["state"]) == ("version:retire", source["id"], "waiting")
        path = f"/documents/{version['document_id']}/versions/1/retire"
        joined = await service.post(path, bank, "approver", {"reason": "The source has it no more."})
        assert joined.status_code == 200, joined.text
        assert (await documents(service, bank))[name]["status"] == "retired"
        assert counted(await run(service, bank, source)) == {}


async def test_what_returns_is_not_retired(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        source = await created(service, bank, there.page("/wires.md", WIRES))
        await run(service, bank, source)
        (version,) = (await documents(service, bank)).values()
        await approve(service, bank, version)
        kept = there.pages.pop("/wires.md")
        await run(service, bank, source)
        there.pages["/wires.md"] = kept
        assert counted(await run(service, bank, source)) == {"changed": 1}
        (request,) = (await service.get("/joint-requests", bank, "approver")).json()["requests"]
        assert request["state"] == "withdrawn"
        assert len(await documents(service, bank)) == 1


async def test_a_page_under_another_address_stays_the_same_document(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        there.pages["/map.txt"] = there.page("/wires.md", WIRES).encode()
        source = await created(service, bank, f"{there.url}/map.txt", "sitemap")
        await run(service, bank, source)
        (before,) = (await documents(service, bank)).values()
        there.pages["/transfers.md"] = there.pages.pop("/wires.md")
        there.pages["/map.txt"] = f"{there.url}/transfers.md".encode()
        assert counted(await run(service, bank, source)) == {"renamed": 1}
        (after,) = (await documents(service, bank)).values()
        assert (after["document_id"], after["doc_id"], after["document_version"]) == (
            before["document_id"],
            before["doc_id"],
            1,
        )
        there.page("/transfers.md", "Transfers leave before noon.")
        there.pages["/map.txt"] = f"{there.url}/transfers.md".encode()
        assert counted(await run(service, bank, source)) == {"changed": 1}
        assert {one["document_id"] for one in (await documents(service, bank)).values()} == {before["document_id"]}


async def test_a_sitemap_is_followed_within_its_own_host_and_as_robots_allows(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        public, hidden = there.page("/public/wires", WIRES), there.page("/private/cards", CARDS)
        there.types["/public/wires"] = "text/markdown"
        there.pages["/robots.txt"] = b"User-agent: *\nDisallow: /private/\n"
        other = "https://127.0.0.1:1/elsewhere.md"
        urls = "".join(f"<url><loc>{url}</loc><lastmod>2099-01-01</lastmod></url>" for url in (public, hidden, other))
        there.pages["/one.xml"] = (
            f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'.encode()
        )
        there.pages["/map.xml"] = (
            f"<sitemapindex><sitemap><loc>{there.url}/one.xml</loc></sitemap></sitemapindex>".encode()
        )
        source = await created(service, bank, f"{there.url}/map.xml", "sitemap")
        found = await run(service, bank, source)
        assert (counted(found), found["counts"]["reasons"]) == (
            {"new": 1, "refused": 2},
            {"robots": 1, "other_host": 1},
        )
        assert [path for _, path, _ in there.asked if path == "/private/cards"] == []


@pytest.mark.parametrize("rule", ["Disallow: //[x", "Crawl-delay: \u00b2"])
async def test_a_host_whose_robots_txt_cannot_be_read_is_left_alone_and_the_others_are_not(
    service: Service, rule: str
) -> None:
    bank = await bank_with_policies(service)
    async with site() as odd, site() as there, reaching(service):
        odd.pages["/robots.txt"] = f"User-agent: *\n{rule}\n".encode()
        source = await created(service, bank, f"{odd.page('/cards.md', CARDS)} {there.page('/wires.md', WIRES)}")
        found = await run(service, bank, source)
        assert (counted(found), found["counts"]["reasons"]) == ({"new": 1, "refused": 1}, {"robots": 1})
        assert odd.fetched("/cards.md") == []


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        wires, cards = there.page("/wires.md", WIRES), there.page("/cards.md", CARDS)
        source = await created(service, bank, f"{wires} {cards}")
        dry = await run(service, bank, source, dry_run=True)
        assert (counted(dry), dry["dry_run"]) == ({"new": 2}, True)
        assert {one["path"] for one in dry["changes"]} == {without_scheme(wires), without_scheme(cards)}
        assert await documents(service, bank) == {}
        await run(service, bank, source)
        there.page("/wires.md", "Wires leave before ten.")
        del there.pages["/cards.md"]
        assert counted(await run(service, bank, source, dry_run=True)) == {"changed": 1, "gone": 1}
        assert len(await documents(service, bank)) == 2
        assert counted(await run(service, bank, source)) == {"changed": 1, "gone": 1}
