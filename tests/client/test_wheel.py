"""The client's wheel alone: it imports nothing of the service, and verifies an export."""

import asyncio
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.jobs.worker import Worker
from backend.ledger.verifier.single_file import single_file
from backend.provenance import VERSION
from tests.client.wheel import PROJECT, built, unpacked
from tests.ledger.sealed_log import KEY
from tests.listening import listening
from tests.service import PASSWORD, Database, Service, Tenant, sealing

pytestmark = pytest.mark.anyio

PROGRAM = """
import pathlib, sys
from datetime import datetime, timedelta, UTC
from affidavit_client import Client, verify_export

url, tenant, password, key, folder = sys.argv[1:]
now = datetime.now(UTC)
with Client.sign_in(url, tenant=tenant, username="compliance", password=password) as client:
    asked = client.exports.request(now - timedelta(days=1), now, reason="yearly review")
    files = client.exports.fetch(asked, pathlib.Path(folder) / "export.zip")
verified = verify_export(files, key=key)
print(verified.ok, verified.events > 0, *verified.lines, sep="\\n")
assert "backend" not in sys.modules
damaged = files[0].read_bytes().replace(b'"analyst"', b'"unknown"')
files[0].write_bytes(damaged)
print(verify_export(files, key=key).ok)
"""


@pytest.fixture(scope="module")
async def url(service: Service, database: Database) -> AsyncIterator[str]:
    own = service.services
    working = asyncio.create_task(Worker(own.tenancy, own.job_handlers()).run())
    async with listening(service) as address, sealing(database, KEY):
        yield address
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


def test_it_holds_the_client_and_the_verifier_and_asks_for_httpx_alone(tmp_path: Path) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert (project["version"], [name.split(">")[0] for name in project["dependencies"]]) == (VERSION, ["httpx"])
    with zipfile.ZipFile(built(tmp_path)) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        assert wheel.read("affidavit_client/verifier.py").decode() == single_file()
    modules = {path.name for path in PROJECT.glob("*.py")} - {"build_hook.py"}
    assert held == {f"affidavit_client/{name}" for name in modules | {"py.typed", "verifier.py"}}


async def test_an_export_is_fetched_and_verified_with_nothing_of_the_service(
    service: Service, tenant: Tenant, url: str, tmp_path: Path
) -> None:
    assert (await service.post("/retrieve", tenant, "analyst", {"query": "fees"})).status_code == 200
    site = unpacked(tmp_path)
    arguments = [url, tenant.slug, PASSWORD, str(KEY.verifier_key), str(tmp_path)]
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *arguments, env={"PYTHONPATH": str(site)}, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output = (await running.communicate())[0].decode()
    assert running.returncode == 0, output
    ok, some, *lines, after = output.splitlines()
    assert (ok, some, after) == ("True", "True", "False")
    assert any(line.startswith("OK ") for line in lines)
