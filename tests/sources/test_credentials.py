"""Credentials of a source are for one server, whoever changes its address and however."""

import asyncio

import asyncpg
import pytest

from tests.identity.test_throttle import until_waited_for
from tests.isolation.injection import acting
from tests.service import Service
from tests.sources.site import site
from tests.sources.sources import bank_with_policies, counted, created, reaching, run

pytestmark = pytest.mark.anyio

TOKEN = {"token": "a-secret-of-this-source"}


async def test_credentials_do_not_follow_an_address_that_sql_has_changed(service: Service) -> None:
    """As SQL of the runtime role, in the name of an administrator: to another host, another port, and into another source."""
    bank = await bank_with_policies(service)
    async with site() as there, site() as elsewhere, reaching(service):
        for one in (there, elsewhere):
            one.pages["/map.txt"] = one.page("/wires.md", "Wires leave before noon.").encode()
        source = await created(service, bank, f"{there.url}/map.txt", "sitemap", credentials=TOKEN)
        caller = await acting(service, bank, "admin")
        moved = "update sources.source set address = $1, responsible_id = identity.acting_user() where id = $2"
        for address in (elsewhere.url, there.url.replace("127.0.0.1", "localhost")):
            async with service.services.tenancy.transaction(caller.claims()) as connection:
                assert await connection.execute(moved, f"{address}/map.txt", source["id"]) == "UPDATE 1"
            ended = await run(service, bank, source)
            assert (ended["state"], ended["reason"]) == ("failed", "credentials_damaged")
        assert (there.asked, elsewhere.asked) == ([], [])
        async with service.services.tenancy.transaction(caller.claims()) as connection:
            await connection.execute(moved, f"{there.url}/map.txt", source["id"])
        assert counted(await run(service, bank, source)) == {"new": 1}


async def test_who_moves_a_source_while_somebody_gives_it_credentials_must_give_them_anew(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, site() as elsewhere, reaching(service):
        source = await created(service, bank, f"{there.url}/map.txt", "sitemap")
        path, headers = f"/sources/{source['id']}", await service.as_user(bank, "admin")
        giving = await asyncpg.connect(service.database.superuser_url)
        try:
            async with giving.transaction():
                await giving.execute("update sources.source set sealed = 'x' where id = $1", source["id"])
                moving = asyncio.create_task(
                    service.client.patch(path, json={"address": f"{elsewhere.url}/map.txt"}, headers=headers)
                )
                await until_waited_for(giving)
            moved = await moving
        finally:
            await giving.close()
        assert (moved.status_code, "given anew for another host" in moved.text) == (422, True), moved.text
