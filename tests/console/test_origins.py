"""Pages of sources: from where documents come, how the last runs fared, and what each brought."""

import re

import pytest

from tests.console.visits import form_token, visiting
from tests.service import Service
from tests.sources.site import site
from tests.sources.sources import bank_with_policies, created, reaching, run, work

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
