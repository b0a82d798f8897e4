"""A tenant's sealed log for tests: what is done in it, how it is sealed, exported, verified, and changed behind its back."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

from backend.database import Connection, open_pool
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import ROLE_PERMISSIONS, Role
from backend.ledger import verifier
from backend.ledger.checkpoints import SigningKey
from backend.ledger.keyring import Keyring
from backend.ledger.sealer import Sealer
from backend.review.exports.export import Export, ExportFormat
from backend.review.exports.service import Exporter
from tests.service import Database, Service, Tenant

KEY = SigningKey.generate("affidavit-test")
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class SealedLog:
    """A tenant's sealed log, and what a reviewer kept of it."""

    service: Service
    tenant: Tenant
    database: Database
    folder: Path
    end: datetime = BEGIN

    async def seal(self, key: SigningKey = KEY, *, sign_each: bool = False) -> str:
        """Seals what is there and returns the newest note."""
        pool = await open_pool(self.database.sealer_url, size=2, timeout=5)
        try:
            await self.execute("update audit.sealer set lease_until = '-infinity'")
            sealer = Sealer(pool, Keyring(key), sign_each=sign_each)
            await sealer.enter_unsealed()  # what was inserted with triggers off
            epoch = await sealer.take_lead()
            assert epoch is not None
            await sealer.seal(epoch)
        finally:
            await pool.close()
        return str(
            await self.fetchval(
                "select note from audit.checkpoint where tenant_id = $1 order by id desc limit 1", self.tenant.id
            )
        )

    async def seal_at(self, later: timedelta) -> str:
        """Seals when the clock says that it is later."""
        now = (datetime.now(UTC) + later).timestamp()
        with pytest.MonkeyPatch.context() as clock:
            clock.setattr("backend.ledger.sealer.time", SimpleNamespace(time=lambda: now, monotonic=time.monotonic))
            return await self.seal()

    async def act(self, count: int) -> None:
        for number in range(count):
            body = {"query": f"question {number} about fees"}
            assert (await self.service.post("/retrieve", self.tenant, "analyst", body)).status_code == 200

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Connection]:
        """Opens a transaction of the tenant's reviewer."""
        reviewer = Caller(
            self.tenant.id, self.tenant.slug, self.tenant.users["compliance"], "user", "compliance", "export",
            permissions=ROLE_PERMISSIONS[Role.COMPLIANCE],
        )  # fmt: skip
        async with self.service.services.tenancy.transaction(reviewer.claims()) as connection:
            yield connection

    async def export(self, **changed: object) -> Path:
        async def report(_done: int, _all: int) -> None:
            await asyncio.sleep(0)

        wanted = {"format": ExportFormat.BUNDLE, "reveal": True} | changed
        export = Export(self.tenant.id, BEGIN, self.end, **wanted)  # type: ignore[arg-type]
        stream = io.BytesIO()
        exporter = Exporter(self.opened, self.service.services.payloads, export, report)
        await exporter.write(stream, *(await exporter.parts(1_000_000)))
        path = self.folder / "bundle.zip"
        path.write_bytes(stream.getvalue())
        return path

    async def verify(self, *kept: str) -> verifier.Report:
        return verifier.verify(await self.export(), str(KEY.verifier_key), known=list(kept))

    async def execute(self, *statements: str) -> None:
        """Runs statements as superuser with triggers off."""
        connection = await asyncpg.connect(self.database.superuser_url)
        try:
            await connection.execute("set session_replication_role = replica")
            for table in ("event", "leaf", "node", "checkpoint"):
                await connection.execute(f"alter table audit.{table} disable trigger all")
            for statement in statements:
                await connection.execute(statement)
        finally:
            for table in ("event", "leaf", "node", "checkpoint"):
                await connection.execute(f"alter table audit.{table} enable always trigger no_change")
            await connection.execute("alter table audit.event enable trigger await_sealing")
            await connection.close()

    async def partition(self) -> str:
        """The partition of this month, which holds everything of the tenant."""
        return str(await self.fetchval("select 'audit.event_' || to_char(now() at time zone 'UTC', 'YYYY_MM')"))

    async def fetchval(self, statement: str, *arguments: object) -> object:
        connection = await asyncpg.connect(self.database.superuser_url)
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()


def kinds(report: verifier.Report) -> set[str]:
    return {finding.kind.value for finding in report.findings if finding.kind in verifier.CONVICTING}
