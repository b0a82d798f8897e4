"""Commands by which an administrator makes sources, runs them and sees what came of it."""

import asyncio
import json

import pytest
from anyio import to_thread
from typer.testing import CliRunner, Result

from backend.cli import app as cli
from tests.service import PASSWORD, Service, Tenant
from tests.sources.site import site
from tests.sources.sources import POLICIES, bank_with_policies, reaching, work

pytestmark = pytest.mark.anyio


async def invoked(url: str, tenant: Tenant, *arguments: str, typed: str | None = None) -> Result:
    named = ["source", *arguments, "--tenant", tenant.slug, "--username", "admin", "--url", url]
    return await to_thread.run_sync(
        lambda: CliRunner().invoke(cli, named, input=typed, env={"AFFIDAVIT_PASSWORD": PASSWORD})
    )


async def test_commands_make_run_and_end_a_source(service: Service, address: str) -> None:
    bank = await bank_with_policies(service)

    async def said(*arguments: str, typed: str | None = None) -> str:
        done = await invoked(address, bank, *arguments, typed=typed)
        assert done.exit_code == 0, done.output
        return done.stdout

    async with site() as there, reaching(service):
        wires = there.page("/wires.md", "Wires leave before noon.")
        options = ("--kind", "urls", "--collection", POLICIES, "--every", "60", "--credential", "token")
        source = (await said("create", "wires", wires, *options, typed="a-secret-of-this-source\n")).split()[-1]
        asked = (await said("run", source, "--dry-run")).strip()
        refused = await invoked(address, bank, "run", source)
        assert (refused.exit_code, "not over yet" in refused.output) == (1, True)
        await work(service)
        (dry,) = json.loads(await said("runs", source, "--json"))
        assert (dry["id"], dry["dry_run"], dry["counts"]["new"]) == (asked, True, 1)
        waiting = asyncio.create_task(said("run", source, "--wait"))
        while not waiting.done():
            await work(service)
            await asyncio.sleep(0.05)
        told = await waiting
        assert ("1 new" in told, "wires.md" in told) == (True, True)
        assert there.asked[-1][2]["authorization"] == "Bearer a-secret-of-this-source"
        assert "1 new" in await said("runs", source)
        assert "wires" in await said("list")
        await said("disable", source)
        (listed,) = json.loads(await said("list", "--json"))
        assert (listed["id"], listed["status"], listed["last_run"]["state"]) == (source, "disabled", "succeeded")
        assert "a-secret-of-this-source" not in str(listed)
        await said("enable", source)
        await said("delete", source)
        assert json.loads(await said("list", "--json")) == []
