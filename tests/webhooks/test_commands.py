"""Commands by which an administrator has others told, sees what was sent, and sends it again."""

import json

import pytest
from anyio import to_thread
from click.testing import Result
from typer.testing import CliRunner

from backend.cli import app as cli
from tests.service import PASSWORD, Service, Tenant
from tests.webhooks.endpoints import delivering, serve, signatures_by
from tests.webhooks.receiver import answering, receiving

pytestmark = pytest.mark.anyio


async def run(url: str, tenant: Tenant, *arguments: str, username: str = "admin") -> Result:
    named = ["webhook", *arguments, "--tenant", tenant.slug, "--username", username, "--url", url]
    return await to_thread.run_sync(lambda: CliRunner().invoke(cli, named, env={"AFFIDAVIT_PASSWORD": PASSWORD}))


async def said(url: str, tenant: Tenant, *arguments: str) -> str:
    done = await run(url, tenant, *arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_commands_make_test_replay_rotate_and_end_a_webhook(service: Service, address: str) -> None:
    tenant = await service.create_tenant()
    async with receiving() as receiver, delivering(service) as deliverer:
        endpoint, secret = (await said(address, tenant, "create", receiver.url, "--kind", "hold.placed")).split()
        (listed,) = json.loads(await said(address, tenant, "list", "--json"))
        assert (listed["id"], listed["kinds"], listed["status"]) == (endpoint, ["hold.placed"], "enabled")
        receiver.next = [answering("500 Internal Server Error")] * 3
        message = (await said(address, tenant, "test", endpoint)).strip()
        await serve(deliverer)
        (dead,) = json.loads(await said(address, tenant, "deliveries", endpoint, "--json"))
        assert (dead["id"], dead["state"], dead["response_status"]) == (message, "dead", 500)
        assert "dead" in (await said(address, tenant, "deliveries", endpoint)).split()
        assert "again" in await said(address, tenant, "replay", endpoint, "--delivery", message)
        rotated = (await said(address, tenant, "rotate", endpoint, "--overlap", "0")).strip()
        assert rotated != secret
        await serve(deliverer)
        assert [one.id for one in receiver.received] == [message] * 4
        assert receiver.received[-1].headers["webhook-signature"] == signatures_by(rotated, receiver.received[-1])
        assert "events of the log" in await said(address, tenant, "replay", endpoint, "--since", "2026-11-01")
        await said(address, tenant, "disable", endpoint)
        (listed,) = json.loads(await said(address, tenant, "list", "--json"))
        assert (listed["status"], listed["disabled_because"]) == ("disabled", "asked")
        assert "given up" in await said(address, tenant, "list")
        refused = await run(address, tenant, "test", endpoint)
        assert (refused.exit_code, "is disabled" in refused.output) == (1, True)
        await said(address, tenant, "enable", endpoint)
        await said(address, tenant, "delete", endpoint)
        assert json.loads(await said(address, tenant, "list", "--json")) == []


async def test_who_may_not_manage_webhooks_and_who_says_too_much_is_told_so(
    service: Service, tenant: Tenant, address: str
) -> None:
    refused = await run(address, tenant, "list", username="compliance")
    assert (refused.exit_code, "This needs the permission webhooks:manage" in refused.output) == (1, True)
    nowhere = await run(address, tenant, "create", "https://elsewhere.example/", "--kind", "hold.placed")
    assert (nowhere.exit_code, "does not allow" in nowhere.output) == (1, True), nowhere.output
    endpoint = "01968a1c-9c5e-7d60-8a3f-0f6d2a4c1b7e"
    for more in ((), ("--since", "2026-11-01", "--delivery", endpoint)):
        assert (await run(address, tenant, "replay", endpoint, *more)).exit_code == 2
