"""Two cells as a deployment has them: servers, stores, keys and sealers of their own, and a directory in a control database."""

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from backend.app import create_app
from backend.embedded_postgres import EmbeddedPostgres
from backend.front.several import CellFront
from backend.identity.sign_in.tokens import generate_private_key_pem
from backend.ledger.checkpoints import SigningKey
from backend.ledger.sinks import CheckpointFolder
from backend.services import Services
from backend.settings import Settings
from tests.factories import ingest, post_file, work
from tests.ledger.servers import migrated, server
from tests.service import Database, Secrets, Service, Tenant, running, sealing_to, settings_for, share_routes
from tests.serving import affidavit, environment

DIRECTORY_KEY = SigningKey.generate("affidavit")
JWT_KEY, SEARCH_KEY = generate_private_key_pem(), secrets.token_urlsafe(48)


@dataclass
class CellUnderTest:
    """One cell: its server, and what its processes are configured with."""

    name: str
    server: EmbeddedPostgres
    database: Database
    secrets: Secrets
    home: Path
    folder: Path
    key: SigningKey = field(default_factory=lambda: SigningKey.generate("affidavit"))

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Asks the database as superuser."""
        connection = await asyncpg.connect(self.database.superuser_url)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    async def fetchval(self, statement: str, *values: object) -> Any:
        """Asks for one value."""
        return (await self.fetch(statement, *values))[0][0]

    async def until(self, condition: str, *values: object, seconds: float = 60) -> None:
        """Returns when the database says so."""
        async with asyncio.timeout(seconds):
            while not await self.fetchval(f"select {condition}", *values):
                await asyncio.sleep(0.005)

    async def residence(self, tenant: Tenant) -> tuple[str, int] | None:
        """State and epoch of a tenant, as this cell has them."""
        rows = await self.fetch("select state, epoch from tenancy.residence where tenant_id = $1", tenant.id)
        return (rows[0]["state"], rows[0]["epoch"]) if rows else None

    def sealing(self) -> Any:
        """A sealer of the cell, while the block runs."""
        return sealing_to(self.database, self.key, CheckpointFolder(self.folder / "checkpoints"))


@dataclass
class World:
    """The cells, and what the operator works with."""

    cells: dict[str, CellUnderTest]
    control_url: str
    folder: Path

    @property
    def away(self) -> str:
        """The address of a control database that does not answer."""
        return self.control_url.replace("/control", "/nowhere")

    @property
    def public_keys(self) -> str:
        """The verifier keys of all cells' sealers, one a line."""
        return "\n".join(str(each.key.verifier_key) for each in self.cells.values())

    @property
    def operator(self) -> dict[str, str]:
        """The environment of the operator's commands."""
        return {
            "AFFIDAVIT_HOME": str(self.folder / "operator"),
            "AFFIDAVIT_DIRECTORY_URL": self.control_url,
            "AFFIDAVIT_DIRECTORY_KEY": DIRECTORY_KEY.pem().decode(),
            "AFFIDAVIT_CELLS_FOLDER": str(self.folder / "cells"),
        }

    async def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs one of the operator's commands to its end; all that it says is JSON."""
        done = await asyncio.to_thread(affidavit, *arguments, "--json", settings=self.operator)
        for line in (*done.stdout.splitlines(), *done.stderr.splitlines()):
            json.loads(line)
        return done

    async def move(self, tenant: Tenant, to: str, *more: str) -> None:
        """Moves a tenant; fails with what the command says."""
        done = await self.command("tenant", "move", tenant.slug, "--to", to, *more)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def moving(self, tenant: Tenant, to: str) -> Iterator[subprocess.Popen[bytes]]:
        """The command while it runs, to be killed."""
        command = [sys.executable, "-m", "backend", "tenant", "move", tenant.slug, "--to", to]
        process = subprocess.Popen(command, env=environment(self.operator), stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait(30)

    async def home(self, tenant: Tenant) -> tuple[str, int]:
        """Cell and epoch of a tenant, as the newest entry of the directory has them."""
        control = await asyncpg.connect(self.control_url)
        try:
            row = await control.fetchrow(
                "select entry::jsonb ->> 'cell' as cell, (entry::jsonb ->> 'epoch')::int as epoch from cells.entry"
                " where entry::jsonb ->> 'tenant' = $1 and entry::jsonb ->> 'kind' = 'tenant' order by index desc limit 1",
                str(tenant.id),
            )
        finally:
            await control.close()
        assert row is not None
        return row["cell"], row["epoch"]

    def settings(self, cell: CellUnderTest, **changed: Any) -> dict[str, Any]:
        """What a process of a cell is configured with beside its database."""
        return {
            "cell": cell.name, "directory_url": self.control_url, "directory_public_key": str(DIRECTORY_KEY.verifier_key),
            "directory_file": cell.folder / "directory", "directory_seconds": 30, "search_key": SEARCH_KEY,
            "payload_other_keys": [other.secrets.payload_key for other in self.cells.values() if other is not cell],
            "storage_folder": cell.folder / "files",
            "checkpoint_public_key": self.public_keys,
            **changed,
        }  # fmt: skip

    @asynccontextmanager
    async def serving(self, name: str, **changed: Any) -> AsyncIterator[Service]:
        """The service of a cell."""
        cell = self.cells[name]
        settings = settings_for(cell.database, cell.secrets, cell.home, **self.settings(cell, **changed))
        async with running(settings, cell.database) as service:
            yield service

    @asynccontextmanager
    async def serving_several(
        self, *names: str, **changed: Any
    ) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, Services]]]:
        """A client of one process that serves several cells, and what it has of each.

        Its folder has no more than such a process needs.
        """
        folder = self.folder / f"served-{secrets.token_hex(4)}"
        folder.mkdir()
        for name in names:
            cell = self.cells[name]
            others = [other.secrets.payload_key for other in self.cells.values() if other is not cell]
            own = {
                "runtime_database_url": cell.database.runtime_url, "operator_database_url": cell.database.operator_url,
                "context_key": cell.secrets.context_key, "payload_key": cell.secrets.payload_key,
                "storage_folder": str(cell.folder / "files"), "checkpoint_public_key": self.public_keys,
            }  # fmt: skip
            text = "".join(
                f"{name} = {json.dumps(value)}\n" for name, value in {**own, "payload_other_keys": others}.items()
            )
            (folder / f"{name}.toml").write_text(text)
        settings = Settings(
            **{
                "served_cells": list(names), "cells_folder": folder, "home": self.cells[names[0]].home, "log_level": "WARNING",
                "directory_url": self.control_url, "directory_public_key": str(DIRECTORY_KEY.verifier_key),
                "directory_seconds": 30, "search_key": SEARCH_KEY, "jwt_private_key": JWT_KEY, "database_timeout": 30,
                **changed,
            }
        )  # fmt: skip
        app = create_app(settings)
        share_routes(app)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://several.test") as client:
                async with asyncio.timeout(30):
                    while (await client.get("/ready")).json().get("away") != []:
                        await asyncio.sleep(0.05)
                front = next(layer for layer in app.user_middleware if layer.cls is CellFront)
                yield client, front.kwargs["cells"].services

    async def tenant(self, service: Service, cell: str) -> Tenant:
        """A tenant made in a cell, and entered into the directory."""
        tenant = await service.create_tenant()
        await self.add(cell)
        return tenant

    async def add(self, name: str, address: str | None = None) -> None:
        """Enters a cell, and its tenants."""
        address = address or f"https://{name}.example"
        added = await self.command("cell", "add", name, "--region", name.partition("-")[0], "--address", address)
        assert added.returncode == 0, added.stderr


@asynccontextmanager
async def cells_of(folder: Path, model_home: Path, *names: str) -> AsyncIterator[World]:
    """Cells, migrated and in the directory, each with a sealer; the first one's server holds the control database."""
    async with AsyncExitStack() as stack:
        cells = {}
        for name in names:
            started = stack.enter_context(server(wal_level="logical"))
            own = Secrets(jwt_private_key=JWT_KEY)
            (folder / name).mkdir()
            cells[name] = CellUnderTest(name, started, await migrated(started, own), own, model_home, folder / name)
        first = cells[names[0]]
        admin = await asyncpg.connect(first.database.superuser_url)
        await admin.execute("create database control")
        await admin.close()
        control = first.server.url("postgres", first.server.passwords.superuser, "control")
        world = World(cells, control, folder)
        (folder / "cells").mkdir()
        for cell in cells.values():
            (folder / "cells" / f"{cell.name}.toml").write_text(_settings_file(world, cell))
            await world.add(cell.name)
            await stack.enter_async_context(cell.sealing())
        yield world


def _settings_file(world: World, cell: CellUnderTest) -> str:
    others = [other.secrets.payload_key for other in world.cells.values() if other is not cell]
    return (
        f'replication_url = "{cell.database.superuser_url}"\n'
        f'database_url = "{cell.database.owner_url}"\nruntime_database_url = "{cell.database.runtime_url}"\n'
        f'payload_key = "{cell.secrets.payload_key}"\npayload_other_keys = {others}\nstorage_folder = "{cell.folder / "files"}"\n'
        f'checkpoint_public_key = "{cell.key.verifier_key}"\n'
    )


async def asked(service: Service, tenant: Tenant, token: dict[str, str]) -> int:
    answer = await service.client.post("/retrieve", json={"query": "dispute a card payment"}, headers=token)
    assert answer.status_code != 200 or answer.json()["contexts"], tenant.slug
    return answer.status_code


async def newest_note(cell: CellUnderTest, tenant: Tenant) -> str:
    return str(
        await cell.fetchval(
            "select note from audit.checkpoint where tenant_id = $1 order by size desc limit 1", tenant.id
        )
    )


async def sealed(cell: CellUnderTest, tenant: Tenant) -> None:
    await cell.until("not exists (select from audit.unsealed where tenant_id = $1)", tenant.id)


async def working_tenant(world: World, service: Service, cell: str) -> Tenant:
    """A tenant with a document, an uploaded file and a sealed log."""
    tenant = await world.tenant(service, cell)
    await ingest(service, tenant, "disputes", "Customers dispute a card payment within 60 days of the statement.")
    uploaded = await post_file(service, tenant, "fees.md", b"# Fees\n\nA wire costs $25.", doc_id="fees")
    assert uploaded.status_code == 202, uploaded.text
    await work(service)
    await sealed(world.cells[cell], tenant)
    return tenant


@asynccontextmanager
async def held_up(cell: CellUnderTest, statement: str = "select 1") -> AsyncIterator[None]:
    """An open transaction of somebody, with the snapshot that it began with, until the block ends."""
    connection = await asyncpg.connect(cell.database.superuser_url)
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute(statement)
        yield
    await connection.close()
