"""PostgreSQL servers beside the one that tests share, to be backed up, restored, replicated and promoted."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from backend.embedded_postgres import EmbeddedPostgres, Passwords, binaries
from backend.migration import migrate, store_context_key
from backend.tenancy import ContextSigner
from tests.scratch import new_folder
from tests.service import Database, Secrets

PASSWORDS = Passwords.generate()  # the same everywhere, as of servers that replace each other
_FAST = {"fsync": "off", "shared_buffers": "64MB", "maintenance_work_mem": "64MB", "max_wal_size": "512MB"}


@contextmanager
def server(**settings: str) -> Iterator[EmbeddedPostgres]:
    """A server with roles and an empty database."""
    folder = new_folder() / "data"
    started = EmbeddedPostgres(folder, PASSWORDS, settings={**_FAST, **settings})
    try:
        started.start()
        started.prepare_roles()
        yield started
    finally:
        started.stop("immediate")
        shutil.rmtree(folder.parent, ignore_errors=True)


@contextmanager
def copy_of(
    source: EmbeddedPostgres, *basebackup: str, signal: str = "", **settings: str
) -> Iterator[EmbeddedPostgres]:
    """A base backup of a server, not started yet."""
    folder = new_folder() / "data"
    copied = EmbeddedPostgres(folder, PASSWORDS, settings={**_FAST, **settings})
    connection = f"--dbname={source.url('postgres', PASSWORDS.superuser, 'postgres')}"
    run("pg_basebackup", connection, f"--pgdata={folder}", "--checkpoint=fast", "--wal-method=stream", *basebackup)
    if signal:
        (folder / signal).touch()
    for path in (folder, *folder.rglob("*")):
        copied._give(path)
    folder.parent.chmod(0o755)
    try:
        yield copied
    finally:
        copied.stop("immediate")
        shutil.rmtree(folder.parent, ignore_errors=True)


async def migrated(started: EmbeddedPostgres, run_secrets: Secrets) -> Database:
    """The server's database with the schema and the context key."""
    urls = started.urls()
    await asyncio.to_thread(migrate, urls["owner_url"])
    await store_context_key(urls["owner_url"], ContextSigner(run_secrets.context_key))
    return Database(**urls)


def run(program: str, *arguments: str) -> None:
    """Runs one of PostgreSQL's programs; raises with what it says."""
    done = subprocess.run(
        [str(binaries() / program), *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PGPASSWORD": PASSWORDS.superuser},
    )  # fmt: skip
    assert done.returncode == 0, f"{program}: {done.stderr}"
