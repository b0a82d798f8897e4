"""What goes wrong in a deployment is said in a sentence or answered 503, and mended without a restart where that can be."""

import asyncio
import resource
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from backend.ledger.checkpoints import SigningKey
from tests import pooler
from tests.ledger.servers import PASSWORDS, copy_of, migrated, server
from tests.operation.test_processes import background
from tests.service import Database, Secrets, Service, running, settings_for
from tests.serving import affidavit, eventually, is_ready, started

pytestmark = [pytest.mark.anyio, pytest.mark.servers]

FEW_FILES = 64


@pytest.fixture(scope="module")
def settings(database: Database, run_secrets: Secrets, model_home: Path) -> dict[str, str]:
    return {
        "AFFIDAVIT_HOME": str(model_home), "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url,
        "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key, "AFFIDAVIT_PAYLOAD_KEY": run_secrets.payload_key,
        "AFFIDAVIT_JWT_PRIVATE_KEY": run_secrets.jwt_private_key, "AFFIDAVIT_DRAIN_SECONDS": "0.5",
    }  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken_costs_one_sentence(workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = affidavit("serve", "--port", port, "--workers", str(workers), settings={})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [f"error: port {port} of 127.0.0.1: Address already in use"]


async def test_a_port_of_measures_that_is_taken_is_named(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        own = {"AFFIDAVIT_METRICS_PORT": port, "AFFIDAVIT_SEALER_DATABASE_URL": database.sealer_url}
        done = affidavit("sealer", settings=own)
    assert (done.returncode, done.stderr) == (1, f"error: port {port} for metrics: Address already in use\n")


async def test_a_process_that_serves_and_whose_terminal_hangs_up_ends_in_order(settings: dict[str, str]) -> None:
    with started("serve", settings=settings) as serving:
        serving.process.send_signal(signal.SIGHUP)
        eventually(lambda: httpx.get(f"{serving.url}/ready").status_code == 503, 30, serving.written)
        assert serving.process.wait(60) == -signal.SIGTERM  # as asked by that
        assert "Application shutdown complete" in serving.written()


@pytest.mark.parametrize("command", ["worker", "sealer"])
async def test_a_worker_or_sealer_whose_terminal_hangs_up_ends_in_order_unless_nohup_started_it(
    command: str, settings: dict[str, str], database: Database
) -> None:
    own = settings | {
        "AFFIDAVIT_SEALER_DATABASE_URL": database.sealer_url,
        "AFFIDAVIT_CHECKPOINT_KEY": SigningKey.generate("affidavit").pem().decode(),
    }
    watching = await asyncpg.connect(database.superuser_url)
    await watching.execute("update audit.sealer set lease_until = '-infinity'")
    with background(command, settings=own, until={"worker": "worker ready", "sealer": '"sealing"'}[command]) as running:
        assert running.stop(signal.SIGHUP) == 0, running.written()
        assert f"{command} stopped" in running.written()
    assert await watching.fetchval("select lease_until = '-infinity' from audit.sealer")
    await watching.close()
    with before_the_program(lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)):  # as `nohup` has it
        kept = background(command, settings=own, until={"worker": "worker ready", "sealer": '"sealing"'}[command])
        running = kept.__enter__()
    with ExitStack() as stack:
        stack.push(kept.__exit__)
        running.process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1)
        assert running.stop(signal.SIGTERM) == 0


@contextmanager
def before_the_program(act: Callable[[], object]) -> Iterator[None]:
    """What is started in the block does something before it becomes its program."""
    usual = subprocess.Popen.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            subprocess.Popen, "__init__", lambda self, *given, **named: usual(self, *given, preexec_fn=act, **named)
        )
        yield


@contextmanager
def few_files() -> Iterator[None]:
    """What is started in the block may open few files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))

    with before_the_program(limit):
        yield
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


async def test_a_process_that_may_open_few_files_says_so_and_refuses_with_503_what_is_too_much(
    settings: dict[str, str],
) -> None:
    with few_files():
        serve = started("serve", settings=settings)
        serving = serve.__enter__()
    with ExitStack() as stack:
        stack.push(serve.__exit__)
        assert '"few files may be open' in serving.written()
        with ExitStack() as idle:
            for _ in range(FEW_FILES // 2):
                idle.enter_context(closing(socket.create_connection(("127.0.0.1", serving.port))))
            eventually(lambda: httpx.get(f"{serving.url}/health").status_code == 503, 8, serving.written)
        eventually(lambda: is_ready(serving), 30, serving.written)
        assert "Traceback" not in serving.written()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_disk_for_files_that_is_full_refuses_uploads_until_there_is_room(
    small_disk: Path, database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    async def upload(service: Service, headers: dict[str, str]) -> httpx.Response:
        content = b"Wires leave before noon. " * 4000 + uuid4().hex.encode()
        form = {"doc_id": uuid4().hex, "source_type": "policy"}
        return await service.client.post(
            "/documents", files={"file": ("a.txt", content, "text/plain")}, data=form, headers=headers
        )

    settings = settings_for(database, run_secrets, model_home, storage_folder=small_disk / "files")
    async with running(settings, database) as service:
        tenant = await service.create_tenant()
        headers = await service.as_user(tenant, "editor")
        filler = small_disk / "filler"
        filler.write_bytes(bytes(1_000_000))
        refused = await upload(service, headers)
        assert (refused.status_code, refused.json()["detail"]) == (503, "The file store does not work.")
        assert not [path for path in (small_disk / "files").rglob("*") if path.is_file()]
        assert (await service.post("/retrieve", tenant, "analyst", {"query": "wires"})).status_code == 200
        filler.unlink()
        assert (await upload(service, headers)).status_code == 202


async def test_a_certificate_that_has_ended_is_refused_until_there_is_another(
    database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    with pooler.pooled(database.runtime_url, mode="transaction", certificate=True) as ((runtime,), folder):
        pooler.certify(folder, -timedelta(days=1))
        pooler.reload(folder)
        trusted = replace(database, runtime_url=f"{runtime}?sslmode=verify-full&sslrootcert={folder / 'cert.pem'}")
        settings = settings_for(trusted, run_secrets, model_home, database_pooler="pgbouncer", database_timeout=2)
        async with running(settings, database) as service:
            assert (await service.ready()).status_code == 503
            assert getattr(service.services.probe._found, "reason", "") == "database:SSLCertVerificationError"
            pooler.certify(folder)
            pooler.reload(folder)
            async with asyncio.timeout(60):
                while (await service.ready()).status_code != 200:
                    await asyncio.sleep(0.1)


def commands_that_write_are_refused(standby: Database, run_secrets: Secrets) -> None:
    """Also where they would have nothing to do, as `migrate` here: whoever gave this address means another server."""
    owner = {"AFFIDAVIT_DATABASE_URL": standby.owner_url, "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key}
    said = "error: the database is a standby, and nothing was changed: give the address of the primary\n"
    for command in ("migrate", "tenant create acme", "operator-key create provisioning"):
        done = affidavit(*command.split(), settings=owner)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", said), command


async def test_a_standby_is_not_ready_until_it_is_promoted_and_passed_over_where_another_host_is_named(
    run_secrets: Secrets, model_home: Path
) -> None:
    with server() as primary:
        there = await migrated(primary, run_secrets)
        source = primary.url("postgres", PASSWORDS.superuser, "postgres")
        with copy_of(primary, signal="standby.signal", primary_conninfo=source) as standby:
            standby.start()
            here = Database(**standby.urls())
            hosts = [url.partition("@")[2].partition("/")[0] for url in (here.runtime_url, there.runtime_url)]
            both = f"{here.runtime_url.replace(hosts[0], ','.join(hosts))}?target_session_attrs=read-write"
            async with running(
                settings_for(replace(there, runtime_url=both), run_secrets, model_home), there
            ) as service:
                assert (await service.ready()).status_code == 200
                tenant = await service.create_tenant()
                assert (await service.post("/retrieve", tenant, "analyst", {"query": "wires"})).status_code == 200
            async with running(settings_for(here, run_secrets, model_home), here) as service:
                refused = await service.ready()
                assert refused.status_code == 503
                assert "is a standby" in refused.json()["detail"]
                await asyncio.to_thread(commands_that_write_are_refused, here, run_secrets)
                promoting = await asyncpg.connect(here.superuser_url)
                assert await promoting.fetchval("select pg_promote()")
                assert [row["slug"] for row in await promoting.fetch("select slug from tenancy.tenant")] == [
                    tenant.slug
                ]
                await promoting.close()
                async with asyncio.timeout(60):
                    while (await service.ready()).status_code != 200:
                        await asyncio.sleep(0.1)
