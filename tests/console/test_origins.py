"""Pages of sources: from where documents come, how the last runs fared, and what each brought."""

import re

import asyncpg
import pytest

from tests.console.visits import form_token, send, visiting
from tests.service import Service, Tenant
from tests.sources.dav import dav_server
from tests.sources.site import site
from tests.sources.sources import POLICIES, bank_with_policies, created, documents, reaching, run, work

pytestmark = pytest.mark.anyio

PAGE = "/console/administration/sources"


async def test_sources_their_runs_and_what_they_brought_are_shown(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service), visiting(service, bank, "admin") as client:
        assert "There are none yet." in (await client.get(PAGE)).text
        wires, tool = there.page("/wires.md", "Wires leave before noon."), there.page("/tool.exe", "Nothing.")
        there.types["/tool.exe"] = "application/x-msdownload"
        source = await created(service, bank, f"{wires} {tool}", name="<b>Intranet</b>")
        place = f"{PAGE}/{source['id']}"
        assert "&lt;b&gt;Intranet&lt;/b&gt;" in (await client.get(PAGE)).text
        token = form_token(await client.get(place))
        assert (await client.post(f"{place}/runs", data={"form_token": token})).status_code == 303
        assert "waiting to begin" in (await client.get(place)).text
        await work(service)
        shown = (await client.get(place)).text
        assert ("succeeded" in shown, "succeeded" in (await client.get(PAGE)).text) == (True, True)
        (ran,) = re.findall(rf'href="({place}/runs/[0-9a-f-]+)"', shown)
        brought = (await client.get(ran)).text
        assert ("wires.md" in brought, "tool.exe" in brought, "not taken" in brought) == (True, True, True)
        client.cookies.set("language", "de")
        assert "Was hat dieser Lauf gebracht?" in (await client.get(ran)).text
        client.cookies.delete("language")
        failing = await created(service, bank, f"{there.url}/none.txt", "sitemap")
        await run(service, bank, failing)
        assert "no_list" in (await client.get(PAGE)).text
    for role in ("editor", "approver", "compliance"):
        async with visiting(service, bank, role) as client:
            answers = [await client.get(path) for path in (PAGE, place, ran)]
            assert [answer.status_code for answer in answers] == [403, 403, 403]


async def test_a_source_is_made_changed_asked_rested_and_ended(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service), visiting(service, bank, "admin") as client:
        first, second = there.page("/wires.md", "Wires leave before noon."), there.page("/cards.md", "Within 60 days.")
        made = await send(
            client, PAGE, PAGE, kind="urls", collection=POLICIES, name="Intranet", address=first, every_minutes="60",
            metadata='{"owner": "Treasury"}', source_type="policy",
        )  # fmt: skip
        place = made.headers["location"]
        assert (made.status_code, place.startswith(f"{PAGE}/")) == (303, True)
        assert 'value="60"' in (await client.get(place)).text
        changed = await send(client, place, place, name="Intranet", address=f"{first}\r\n{second}", daily_at="02:30",
                             metadata='{"owner": "Treasury"}', source_type="policy")  # fmt: skip
        assert changed.status_code == 303, changed.text
        (event, *_) = await service.events(bank, action="source:changed")
        said = await service.get(f"/audit/events/{event['id']}", bank, "compliance")
        assert said.json()["event"]["document_source"]["changed"] == ["address", "schedule"]
        source = (await service.get("/sources", bank, "admin")).json()["sources"][0]
        assert (source["address"], source["schedule"]["daily_at"]) == (f"{first}\n{second}", "02:30")
        assert (await send(client, place, f"{place}/runs", dry_run="true")).status_code == 303
        await work(service)
        assert "only to say what it would do" in (await client.get(place)).text
        assert await documents(service, bank) == {}
        await send(client, place, f"{place}/runs")
        await work(service)
        assert set(await documents(service, bank)) == {f"{one.partition('://')[2]} 1" for one in (first, second)}
        await send(client, place, f"{place}/status", status="disabled")
        assert (
            await client.post(f"{place}/runs", data={"form_token": form_token(await client.get(place))})
        ).status_code == 409
        await send(client, place, f"{place}/status", status="enabled")
        assert (await send(client, place, f"{place}/delete")).headers["location"] == PAGE
        assert (await client.get(place)).status_code == 404
    assert len(await documents(service, bank)) == 2


async def test_credentials_are_typed_in_and_never_shown_again(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with dav_server() as there, reaching(service), visiting(service, bank, "admin") as client:
        there.put("wires.md", "Wires leave before noon.")
        made = await send(client, PAGE, PAGE, kind="webdav", collection=POLICIES, name="Share", address=there.url,
                          identity="reader", secret="wrong-one")  # fmt: skip
        place = made.headers["location"]
        assert (
            await send(client, place, f"{place}/credentials", identity="reader", secret="secret")
        ).status_code == 303
        await send(client, place, f"{place}/runs")
        await work(service)
        shown = (await client.get(place)).text
        assert ("succeeded" in shown, "shown to nobody" in shown) == (True, True)
        for page in (shown, (await client.get(PAGE)).text, str(await service.events(bank))):
            assert ("wrong-one" in page, re.search(r"value=.secret|>secret<|: .secret.", page)) == (False, None)
        odd = await send(client, place, f"{place}/credentials", identity="a-token-of-mine")
        assert (odd.status_code, "a-token-of-mine" in odd.text) == (422, False)
        await send(client, place, f"{place}/credentials")
        assert "It is asked without credentials." in (await client.get(place)).text
        moved = await send(client, place, place, name="Share", address="not an address", source_type="document")
        assert moved.status_code == 422
        assert (await service.get("/sources", bank, "admin")).json()["sources"][0]["address"] == there.url


async def signed_in_long_ago(service: Service, tenant: Tenant) -> None:
    connection = await asyncpg.connect(service.database.superuser_url)
    try:
        aged = "update identity.browser_session set opened_at = now() - interval '6 minutes' where tenant_id = $1"
        assert await connection.execute(aged, tenant.id) == "UPDATE 1"
    finally:
        await connection.close()


async def test_what_touches_rights_or_secrets_asks_for_a_fresh_sign_in(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service), visiting(service, bank, "admin") as client:
        source = await created(service, bank, there.page("/wires.md", "Wires leave before noon."))
        place = f"{PAGE}/{source['id']}"
        token = form_token(await client.get(place))
        await signed_in_long_ago(service, bank)
        said = {"name": "Intranet", "address": source["address"], "source_type": "document"}
        for path, fields in (
            (PAGE, said | {"kind": "urls", "collection": POLICIES}), (place, said), (f"{place}/credentials", {"secret": "x"}),
            (f"{place}/status", {"status": "enabled"}), (f"{place}/delete", {}), (f"{place}/runs", {"accept_gone": "true"}),
        ):  # fmt: skip
            asked = await client.post(path, data={"form_token": token, **fields})
            assert (asked.status_code, asked.headers["location"][-9:]) == (303, "why=fresh"), path
        kept = (await service.get("/sources", bank, "admin")).json()["sources"]
        assert kept == [source]
        assert (await client.post(f"{place}/status", data={"form_token": token, "status": "disabled"})).headers[
            "location"
        ] == place
