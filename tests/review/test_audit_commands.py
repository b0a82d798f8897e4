"""The log is exported and proved by two commands, and checked in the live database by one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anyio import to_thread
from click.testing import Result
from typer.testing import CliRunner

from backend.cli import app as cli
from backend.jobs.worker import Worker
from tests.ledger.sealed_log import KEY, SealedLog
from tests.listening import listening
from tests.service import PASSWORD, Database, Secrets, Service, Tenant, sealing
from tests.webhooks.endpoints import sealed

pytestmark = pytest.mark.anyio

PUBLIC = str(KEY.verifier_key)


@pytest.fixture(scope="module")
async def url(service: Service, database: Database) -> AsyncIterator[str]:
    """The service on a socket, with a worker and a sealer."""
    own = service.services
    working = asyncio.create_task(Worker(own.tenancy, own.job_handlers()).run())
    async with listening(service) as address, sealing(database, KEY):
        yield address
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def run(*arguments: str, **environment: str) -> Result:
    return await to_thread.run_sync(lambda: CliRunner().invoke(cli, ["audit", *arguments], env=environment))


async def test_two_commands_prove_the_log(service: Service, tenant: Tenant, url: str, tmp_path: Path) -> None:
    assert (await service.post("/retrieve", tenant, "analyst", {"query": "fees"})).status_code == 200
    bundle = tmp_path / "export.zip"
    arguments = ("--tenant", tenant.slug, "--username", "compliance", "--url", url, "--reason", "yearly review")
    exported = await run("export", str(bundle), *arguments, AFFIDAVIT_PASSWORD=PASSWORD)
    assert exported.exit_code == 0, exported.output
    verified = await run("verify", str(bundle), "--key", PUBLIC)
    assert verified.exit_code == 0, verified.output
    assert "OK      payloads:" in verified.output
    assert list(tmp_path.iterdir()) == [bundle]


async def test_who_may_not_export_is_told_so(service: Service, tenant: Tenant, url: str, tmp_path: Path) -> None:
    arguments = ("--tenant", tenant.slug, "--username", "analyst", "--url", url)
    refused = await run("export", str(tmp_path / "export.zip"), *arguments, AFFIDAVIT_PASSWORD=PASSWORD)
    assert (refused.exit_code, "This needs the permission audit:export" in refused.output) == (1, True), refused.output


async def test_a_command_checks_the_live_log_and_fails_when_it_was_changed(
    service: Service, url: str, database: Database, run_secrets: Secrets, tmp_path: Path
) -> None:
    assert url
    log = SealedLog(service, await service.create_tenant(), database, tmp_path)
    await log.act(2)
    await sealed(database, log.tenant)
    environment = {
        "AFFIDAVIT_DATABASE_URL": database.owner_url, "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url,
        "AFFIDAVIT_SEALER_DATABASE_URL": database.sealer_url, "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key,
        "AFFIDAVIT_PAYLOAD_KEY": run_secrets.payload_key, "AFFIDAVIT_HOME": str(tmp_path),
    }  # fmt: skip
    checking = ("check", "--key", PUBLIC, "--texts")
    sound = await run(*checking, **environment)
    assert sound.exit_code == 0, sound.output
    assert f"OK      {log.tenant.slug}: completeness" in sound.output
    assert "OK      all logs: checkpoints" in sound.output
    await log.execute(f"delete from audit.payload where tenant_id = '{log.tenant.id}' and name = 'query'")
    changed = await run(*checking, "--tenant", log.tenant.slug, **environment)
    assert changed.exit_code == 1, changed.output
    assert "payload 'query'" in changed.output
    unknown = await run(*checking, "--tenant", "nobody", **environment)
    assert (unknown.exit_code, "there is no tenant nobody" in unknown.output) == (1, True)
