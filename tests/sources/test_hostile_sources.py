"""A source that points inside, lies, or never ends: a clear state on the run, nothing half-ingested, nobody's rights changed."""

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from backend.egress import Egress
from backend.sources.asking import SourceHosts
from tests.service import Service, Tenant
from tests.sources.raw_http import said
from tests.sources.site import Site, site
from tests.sources.sources import HERE, POLICIES, bank_with_policies, counted, created, documents, reaching, run
from tests.test_egress import response, serving

pytestmark = pytest.mark.anyio

WIRES = "Wires leave before noon."


async def leftovers(service: Service, tenant: Tenant) -> list[int]:
    """How many files, uploads, documents and items of the source there are."""
    connection = await asyncpg.connect(service.database.superuser_url)
    try:
        return [
            await connection.fetchval(f"select count(*) from {table} where tenant_id = $1", tenant.id)
            for table in ("documents.file", "documents.upload", "documents.document", "sources.item")
        ]
    finally:
        await connection.close()


def stored_files(service: Service, tenant: Tenant) -> list[Path]:
    folder = service.services.settings.home_folder / "files" / str(tenant.id)
    return list(folder.glob("*")) if folder.exists() else []


async def failed(service: Service, tenant: Tenant, source: dict[str, Any], code: str) -> None:
    ended = await run(service, tenant, source)
    assert (ended["state"], ended["reason"], ended["counts"]) == ("failed", code, None)
    assert await leftovers(service, tenant) == [0, 0, 0, 0]
    assert stored_files(service, tenant) == []
    (event, *_) = await service.events(tenant, action="source:run")
    assert (event["outcome"], event["reason"]) == ("failed", code)


@pytest.mark.parametrize(
    "address",
    [
        "https://10.1.2.3/a.md", "https://169.254.169.254/latest/meta-data", "https://[::1]/a.md", "http://example.com/a.md",
        "https://user:secret@example.com/a.md", "https://not-allowed.example/a.md", "https://127.0.0.1:5432/",
    ],
)  # fmt: skip
async def test_addresses_that_nobody_allowed_are_refused_when_a_source_is_made(
    service: Service, tenant: Tenant, address: str
) -> None:
    async with reaching(service, SourceHosts(["files.bank.example"])):
        body = {"name": "inside", "kind": "urls", "collection": POLICIES, "address": address}
        refused = await service.post("/sources", tenant, "admin", body)
    assert (refused.status_code, refused.json()["detail"].startswith("address: ")) == (422, True), refused.text


async def test_a_name_that_points_inside_is_not_asked(service: Service) -> None:
    """Whatever the operator allows by name: where it leads is looked at when it is asked, and the connection goes there."""
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service, SourceHosts(["*"], plain=True)):
        source = await created(service, bank, f"{there.url}/map.txt", "sitemap")
        there.pages["/map.txt"] = there.page("/wires.md", WIRES).encode()
        opening = service.services.source_opening
        async with httpx.AsyncClient() as client:
            service.exchange(source_opening=replace(opening, egress=Egress(client, plain=True)))
            await failed(service, bank, source, "address_refused")
        assert there.asked == []


async def test_a_redirect_is_followed_nowhere(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, site() as inside, reaching(service):
        away = said("302 Found", b"", f"Location: {inside.url}/secret.md\r\n")
        inside.page("/secret.md", WIRES)
        there.raw["/map.txt"] = away
        await failed(service, bank, await created(service, bank, f"{there.url}/map.txt", "sitemap"), "redirected")
        there.raw["/page.md"] = away
        ended = await run(service, bank, await created(service, bank, f"{there.url}/page.md"))
        assert (counted(ended), ended["counts"]["reasons"]) == ({"refused": 1}, {"redirected": 1})
        assert inside.asked == []


async def test_a_feed_without_end_ends_at_a_bound(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service, file_bytes=50_000):
        there.endless |= {"/map.txt", "/page.txt"}
        await failed(service, bank, await created(service, bank, f"{there.url}/map.txt", "sitemap"), "endless")
        ended = await run(service, bank, await created(service, bank, f"{there.url}/page.txt"))
        assert ended["counts"]["reasons"] == {"too_large": 1}
        assert stored_files(service, bank) == []


async def test_a_source_that_holds_too_much_is_not_begun(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service, items=3):
        there.pages["/map.txt"] = "\n".join(there.page(f"/{n}.md", WIRES) for n in range(4)).encode()
        await failed(service, bank, await created(service, bank, f"{there.url}/map.txt", "sitemap"), "too_many_items")
        assert [path for _, path, _ in there.asked] == ["/map.txt"]


async def test_a_source_that_lies_of_types_and_sizes_is_taken_at_its_bytes(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        there.types["/tool.exe"] = "application/x-msdownload"
        program, empty = there.page("/tool.exe", WIRES), f"{there.url}/empty.md"
        there.pages["/empty.md"] = b""
        contradicting = there.page("/rules.pdf", WIRES)  # says that it is Markdown
        lying = f"{there.url}/real.pdf"
        there.pages["/real.pdf"], there.types["/real.pdf"] = b"MZ this is no PDF", "application/pdf"
        cut = f"{there.url}/cut.md"
        there.raw["/cut.md"] = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/markdown\r\nContent-Length: 5000\r\n\r\n# Wires\n"
        )
        packed = f"{there.url}/packed.md"
        there.raw["/packed.md"] = said("200 OK", b"\x1f\x8b", "Content-Encoding: gzip\r\n")
        source = await created(service, bank, f"{program} {empty} {contradicting} {lying} {cut} {packed}")
        ended = await run(service, bank, source)
        assert ended["counts"]["reasons"] == {"type": 2, "empty": 1, "no_answer": 1, "compressed": 1}
        assert counted(ended)["new"] == 1  # the false PDF, of which the reader in its sandbox makes no version
        assert await documents(service, bank) == {}
        assert (await leftovers(service, bank))[0] == 0


@pytest.mark.parametrize(
    "sitemap",
    [
        b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><urlset><url><loc>&b;</loc></url></urlset>',
        b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><urlset><url><loc>&f;</loc></url></urlset>',
        b"<urlset><url><loc>", b"<" * 100_000,
    ],
)  # fmt: skip
async def test_a_sitemap_that_attacks_its_reader_is_none(service: Service, sitemap: bytes) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        there.pages["/map.xml"] = sitemap
        await failed(service, bank, await created(service, bank, f"{there.url}/map.xml", "sitemap"), "no_list")


async def test_a_certificate_that_changed_is_not_trusted(service: Service, tmp_path: Path) -> None:
    """As when somebody else answers under the name: the run fails, and what came before stays as it is."""
    bank = await bank_with_policies(service)
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    answers = {"/robots.txt": response(b"", "404 Not Found")}
    async with reaching(service), serving(tmp_path / "first", answers) as (url, client):
        answers["/map.txt"] = response(f"{url}/wires.md".encode(), headers="Content-Type: text/plain\r\n")
        answers["/wires.md"] = response(
            b"# Wires\n\nWires leave before noon.\n", headers="Content-Type: text/markdown\r\n"
        )
        opening = service.services.source_opening
        service.exchange(source_opening=replace(opening, egress=Egress(client, own_machine=True)))
        source = await created(service, bank, f"{url}/map.txt", "sitemap")
        assert counted(await run(service, bank, source)) == {"new": 1}
        before = await documents(service, bank)
        async with serving(tmp_path / "second", {}):
            other = ssl.create_default_context(cafile=str(tmp_path / "second" / "localhost.pem"))
            async with httpx.AsyncClient(verify=other) as distrusting:
                service.exchange(source_opening=replace(opening, egress=Egress(distrusting, own_machine=True)))
                ended = await run(service, bank, source)
    assert (ended["state"], ended["reason"]) == ("failed", "certificate_refused")
    assert await documents(service, bank) == before
    assert len(before) == 1


async def _ten_and_more(there: Site) -> str:
    return "\n".join(there.page(f"/{n}.md", f"Rule {n}: wires leave before noon.") for n in range(12))


async def test_whoever_drops_files_that_cannot_be_read_stops_no_run_by_taking_them_away(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        rule = there.page("/rule.md", "Wires leave before noon.")
        for time in ("first", "second"):
            odd = [there.page(f"/{time}-{n}", "x") for n in range(12)]
            there.types |= {f"/{time}-{n}": "application/x-odd" for n in range(12)}
            there.pages["/map.txt"] = "\n".join([rule, *odd]).encode()
            if time == "first":
                source = await created(service, bank, f"{there.url}/map.txt", "sitemap")
                assert counted(await run(service, bank, source)) == {"new": 1, "refused": 12}
        there.page("/rule.md", "Wires leave before ten.")
        ended = await run(service, bank, source)
        assert (ended["state"], counted(ended)["changed"]) == ("succeeded", 1)


async def test_a_source_that_is_suddenly_empty_retires_nothing_unless_a_person_accepts_that(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        there.pages["/map.txt"] = (await _ten_and_more(there)).encode()
        source = await created(service, bank, f"{there.url}/map.txt", "sitemap")
        assert counted(await run(service, bank, source)) == {"new": 12}
        there.pages["/map.txt"] = b""
        ended = await run(service, bank, source)
        assert (ended["state"], ended["reason"]) == ("failed", "too_many_gone")
        assert counted(await run(service, bank, source, accept_gone=True)) == {"gone": 12}
        assert len(await documents(service, bank)) == 12  # in review, where people decide on them


async def test_a_run_takes_so_much_and_the_next_one_the_rest(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service, files=5):
        there.pages["/map.txt"] = (await _ten_and_more(there)).encode()
        source = await created(service, bank, f"{there.url}/map.txt", "sitemap")
        assert counted(await run(service, bank, source)) == {"new": 5, "left": 7}
        await run(service, bank, source)
        assert counted(await run(service, bank, source)) == {"new": 2, "unchanged": 10}


async def test_a_host_that_the_operator_no_longer_allows_is_not_asked(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        source = await created(service, bank, f"{there.url}/map.txt", "sitemap")
        opening = service.services.source_opening
        service.exchange(source_opening=replace(opening, hosts=SourceHosts(["files.bank.example"], plain=True)))
        await failed(service, bank, source, "address_refused")
        assert (there.asked, HERE.hosts) == ([], ["127.0.0.1", "localhost"])
