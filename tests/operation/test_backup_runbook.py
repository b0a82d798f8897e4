"""The handbook's commands for a PostgreSQL of one's own, run as they stand: a base backup with its log, restored to a moment."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import asyncpg
import pytest

from backend.embedded_postgres import EmbeddedPostgres, binaries
from backend.self_check import check
from tests.ledger.servers import PASSWORDS, migrated, server
from tests.scratch import new_folder
from tests.service import Database, Secrets
from tests.serving import ROOT, affidavit

pytestmark = [pytest.mark.anyio, pytest.mark.servers]

HANDBOOK = (ROOT / "infra" / "README.md").read_text()
(RUNBOOK,) = (block for block in re.findall(r"```sh\n(.*?)```", HANDBOOK, re.DOTALL) if "pg_basebackup" in block)
BACKUP, RESTORE = RUNBOOK.split("# Restore:")


def typed(commands: str, folder: Path, source: EmbeddedPostgres, data: Path) -> None:
    """Runs commands of the handbook in these places."""
    here = commands.replace("/backup", str(folder)).replace("/var/lib/postgresql/data", str(data))
    given = {
        "PATH": f"{binaries()}:{os.environ['PATH']}", "PGHOST": "127.0.0.1", "PGPORT": str(source.port),
        "PGUSER": "postgres", "PGPASSWORD": PASSWORDS.superuser,
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", here], env=os.environ | given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def tenant_made(slug: str, database: Database) -> None:
    done = affidavit("tenant", "create", slug, settings={"AFFIDAVIT_DATABASE_URL": database.owner_url})
    assert done.returncode == 0, done.stderr


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_base_backup_and_its_log_are_restored_to_a_moment(run_secrets: Secrets) -> None:
    folder = new_folder()
    (folder / "wal").mkdir(parents=True)
    for path in (folder, folder / "wal"):
        path.chmod(0o777)  # the server's account writes here
    archiving = {"archive_mode": "on", "archive_command": f"cp %p {folder}/wal/%f", "wal_level": "replica"}
    data = new_folder() / "data"
    try:
        with server(**archiving) as primary:
            database = await migrated(primary, run_secrets)
            await asyncio.to_thread(typed, BACKUP, folder, primary, data)
            await asyncio.to_thread(tenant_made, "kept", database)
            moment = await value(database.superuser_url, "select now()::text")
            await asyncio.to_thread(tenant_made, "lost", database)
            last = await value(database.superuser_url, "select pg_walfile_name(pg_switch_wal())")
            async with asyncio.timeout(60):
                while not (folder / "wal" / str(last)).exists():
                    await asyncio.sleep(0.1)
            primary.stop("fast")
            data.mkdir()
            restoring = f"#{RESTORE}".replace("2026-03-02 02:00:00+00", str(moment))
            assert restoring != f"#{RESTORE}"
            await asyncio.to_thread(typed, restoring, folder, primary, data)
            restored = EmbeddedPostgres(data, PASSWORDS, port=primary.port)
            restored.hand_over()
            try:
                await asyncio.to_thread(restored.start)
                url = restored.urls()["superuser_url"]
                async with asyncio.timeout(60):
                    while await value(url, "select pg_is_in_recovery()"):
                        await asyncio.sleep(0.1)
                connection = await asyncpg.connect(restored.urls()["runtime_url"])
                assert [finding for finding in await check(connection) if finding.problem] == []
                await connection.close()
                there = await asyncpg.connect(url)
                assert [row["slug"] for row in await there.fetch("select slug from tenancy.tenant")] == ["kept"]
                await there.close()
            finally:
                restored.stop("immediate")
    finally:
        for path in (folder, data.parent):
            shutil.rmtree(path, ignore_errors=True)
