"""A database that is behind its own checkpoints is not sealed on, until two people have declared what it lost."""

import asyncio
import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from backend.database import open_pool
from backend.embedded_postgres import EmbeddedPostgres
from backend.errors import Conflict, ServiceError
from backend.ledger import history
from backend.ledger.checkpoints import open_kept
from backend.ledger.history import Lost
from backend.ledger.keyring import Keyring
from backend.ledger.rounds import head_of
from backend.ledger.sealer import Sealer
from backend.ledger.sinks import CheckpointFolder
from backend.ledger.verifier import Report, notes_in
from backend.operation import operator_keys
from backend.operation.restoring import Restoring
from backend.self_check import check_sealer
from tests.ledger.sealed_log import KEY, SealedLog
from tests.ledger.servers import copy_of, migrated, server
from tests.ledger.test_restored import executed, fetched, newest_note, until, written
from tests.ledger.test_sealer import leaves_of
from tests.service import Database, Secrets, running, sealing_to, settings_for
from tests.serving import affidavit

pytestmark = pytest.mark.anyio

SEALED = "count(*) = 0 from audit.unsealed"
HALTED = "halted is not null from audit.sealer"


async def restore(
    database: Database, folder: Path, credentials: tuple[str, str], reason: str = "disk failure"
) -> list[Lost]:
    """Proposes with the first credential and confirms with the second."""
    owner, sealer = await asyncpg.connect(database.owner_url), await asyncpg.connect(database.sealer_url)
    try:
        restoring = Restoring(owner, sealer, [CheckpointFolder(folder)], Keyring(KEY))
        return await restoring.confirm(await restoring.propose(reason, credentials[0]), credentials[1])
    finally:
        await owner.close()
        await sealer.close()


async def restore_by_commands(
    database: Database, folder: Path, credentials: tuple[str, str], reason: str
) -> list[dict[str, Any]]:
    """The same, as two people type it; returns what each log has lost."""
    settings = {
        "AFFIDAVIT_DATABASE_URL": database.owner_url, "AFFIDAVIT_SEALER_DATABASE_URL": database.sealer_url,
        "AFFIDAVIT_CHECKPOINT_KEY": KEY.pem().decode(), "AFFIDAVIT_CHECKPOINT_KEY_NAME": KEY.name,
        "AFFIDAVIT_CHECKPOINT_FOLDER": str(folder),
    }  # fmt: skip

    async def typed(credential: str, *words: str) -> dict[str, Any]:
        own = settings | {"AFFIDAVIT_OPERATOR_KEY": credential}
        done = await asyncio.to_thread(affidavit, "audit", "restore", *words, "--json", settings=own)
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    proposed = await typed(credentials[0], "--reason", reason)
    confirmed = await typed(credentials[1], "--confirm", proposed["proposal"])
    assert confirmed["logs"] == len(proposed["lost"])
    lost: list[dict[str, Any]] = proposed["lost"]
    return lost


async def doctor_says(database: Database) -> str | None:
    connection = await asyncpg.connect(database.runtime_url)
    found = await check_sealer(connection)
    await connection.close()
    return found.problem


async def operators(database: Database) -> tuple[str, str]:
    owner = await asyncpg.connect(database.owner_url)
    credentials = await operator_keys.create(owner, "alice"), await operator_keys.create(owner, "bob")
    await owner.close()
    return credentials


async def verified(
    database: Database, secrets: Secrets, home: Path, tenant: UUID, folder: Path, notes: list[str]
) -> Report:
    async with running(settings_for(database, secrets, home), database) as service:
        made = await service.create_tenant()
        made.id = tenant
        log = SealedLog(service, made, database, folder)
        log.end = datetime.now(UTC)
        await until(database.superuser_url, SEALED)
        await written(database, tenant, 1)
        await until(database.superuser_url, SEALED)
        return await log.verify(*notes)


async def until_kept(database: Database, tenant: UUID, folder: Path) -> None:
    """Waits until everything is sealed, and what was signed of the tenant is kept, which comes after its commit."""
    await until(database.superuser_url, SEALED)
    newest = head_of(await newest_note(database, tenant))
    async with asyncio.timeout(60):
        while newest not in [one for note in notes_in(folder) for one in open_kept(note, [KEY.verifier_key])]:
            await asyncio.sleep(0.1)


async def loses_a_tail_and_goes_on(
    behind: Database, kept: Path, tenant: UUID, lost: tuple[int, int], secrets: Secrets, home: Path, folder: Path
) -> None:
    """The sealer stops; one person cannot let it go on; two can, and the verifier names what was lost."""
    credentials = await operators(behind)
    before = await leaves_of(behind, tenant)
    async with sealing_to(behind, KEY, CheckpointFolder(kept)):
        await written(behind, tenant, 2)
        await until(behind.superuser_url, HALTED)
        assert "audit restore" in str(await doctor_says(behind))
        assert await leaves_of(behind, tenant) == before
        with pytest.raises(Conflict, match="Somebody else"):
            await restore(behind, kept, (credentials[0], credentials[0]))
        with pytest.raises(ServiceError):
            await restore(behind, kept, (credentials[0], "afo_forged"))
        assert await leaves_of(behind, tenant) == before
        declared = await restore_by_commands(behind, kept, credentials, "disk failure in zone b")
        found = [(one["first_lost"], one["last_lost"] + 1) for one in declared if one["log"] == str(tenant)]
        assert found == [lost]
        await until(behind.superuser_url, SEALED)
        assert await doctor_says(behind) is None
        assert (await leaves_of(behind, tenant))[: len(before)] == before
        report = await verified(behind, secrets, home, tenant, folder, list(notes_in(kept)))
    assert report.ok, list(report.lines())
    said = [line for line in report.lines() if line.startswith("LOST")]
    assert len(said) == 1
    assert said[0].startswith(f"LOST    leaves {lost[0]} to {lost[1] - 1}: were lost by a restore")
    assert "disk failure in zone b" in said[0]


@pytest.mark.servers
async def test_point_in_time_recovery_stops_the_sealer_until_two_people_declare_what_was_lost(
    run_secrets: Secrets, model_home: Path, tmp_path: Path
) -> None:
    archive = Path(tempfile.mkdtemp(prefix="affidavit-wal-"))
    archive.chmod(0o777)
    archiving = {"archive_mode": "on", "archive_command": f"cp %p {archive}/%f", "wal_level": "replica"}
    tenant, kept = UUID(int=7), tmp_path / "kept"
    try:
        with server(**archiving) as primary:
            database = await migrated(primary, run_secrets)
            recovery = {
                "restore_command": f"cp {archive}/%f %p",
                "recovery_target_name": "before",
                "recovery_target_action": "promote",
            }
            with copy_of(primary, signal="recovery.signal", **recovery) as restored:
                async with sealing_to(database, KEY, CheckpointFolder(kept)):
                    await written(database, tenant, 5)
                    await until(database.superuser_url, SEALED)
                    await executed(database.superuser_url, "select pg_create_restore_point('before')")
                    await written(database, tenant, 4)
                    await until_kept(database, tenant, kept)
                await executed(database.superuser_url, "select pg_switch_wal()")
                await until(database.superuser_url, "archived_count > 1 from pg_stat_archiver")
                primary.stop("fast")
                await asyncio.to_thread(restored.start)
                behind = Database(**restored.urls())
                await until(behind.superuser_url, "not pg_is_in_recovery()")
                await loses_a_tail_and_goes_on(behind, kept, tenant, (5, 9), run_secrets, model_home, tmp_path)
    finally:
        shutil.rmtree(archive)


@pytest.mark.servers
async def test_a_promoted_replica_that_lacks_a_tail_stops_the_sealer(
    run_secrets: Secrets, model_home: Path, tmp_path: Path
) -> None:
    tenant, kept = UUID(int=8), tmp_path / "kept"
    with server(wal_level="replica") as primary:
        database = await migrated(primary, run_secrets)
        with copy_of(primary, "--write-recovery-conf") as replica:
            await asyncio.to_thread(replica.start)
            standby = Database(**replica.urls())
            async with sealing_to(database, KEY, CheckpointFolder(kept)):
                await written(database, tenant, 3)
                await until(database.superuser_url, SEALED)
                await until(standby.superuser_url, "count(*) = 3 from audit.leaf where tenant_id = $1", tenant)
                _cut_off(replica)
                await until(standby.superuser_url, "count(*) = 0 from pg_stat_wal_receiver")
                await written(database, tenant, 6)
                await until_kept(database, tenant, kept)
            primary.stop("immediate")
            await executed(standby.superuser_url, "select pg_promote()")
            await until(standby.superuser_url, "not pg_is_in_recovery()")
            await loses_a_tail_and_goes_on(standby, kept, tenant, (3, 9), run_secrets, model_home, tmp_path)


def _cut_off(replica: EmbeddedPostgres) -> None:
    with (replica.folder / "postgresql.auto.conf").open("a") as configuration:
        configuration.write("primary_conninfo = ''\n")
    replica._run("pg_ctl", "-D", str(replica.folder), "reload")


async def test_a_sealer_that_cannot_read_what_was_kept_waits(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    sink = CheckpointFolder(folder)
    folder.rmdir()
    pool = await open_pool(database.sealer_url, size=3, timeout=5)
    await executed(database.superuser_url, "update audit.sealer set lease_until = '-infinity'")
    sealer = asyncio.create_task(Sealer(pool, Keyring(KEY), [sink]).run())
    await written(database, UUID(int=9), 1)
    await asyncio.sleep(2)
    assert await leaves_of(database, UUID(int=9)) == []
    folder.mkdir()
    await until_kept(database, UUID(int=9), folder)
    sealer.cancel()
    await asyncio.gather(sealer, return_exceptions=True)
    await pool.close()


async def test_a_sealer_goes_on_where_much_more_is_kept_than_it_looks_at(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after each pause of the database, and each start, of a service that has run for more than some minutes."""
    monkeypatch.setattr(history, "_OVERLAP", timedelta(0))
    tenant = UUID(int=11)
    pool = await open_pool(database.sealer_url, size=3, timeout=5)
    await executed(database.superuser_url, "update audit.sealer set lease_until = '-infinity'")
    for number in range(1, 4):
        sealer = asyncio.create_task(Sealer(pool, Keyring(KEY), [CheckpointFolder(tmp_path)]).run())
        await written(database, tenant, 1)
        await until(database.superuser_url, f"(select {SEALED}) or (select {HALTED})")
        assert len(await leaves_of(database, tenant)) == number
        await until_kept(database, tenant, tmp_path)
        sealer.cancel()
        await asyncio.gather(sealer, return_exceptions=True)
    await pool.close()


async def test_a_sealer_whose_database_was_exchanged_under_it_looks_before_it_seals(
    database: Database, tmp_path: Path
) -> None:
    """As when a pool connects anew to a replica that was promoted, between two rounds."""
    pool = await open_pool(database.sealer_url, size=3, timeout=5)
    await executed(database.superuser_url, "update audit.sealer set lease_until = '-infinity'")
    sealer = asyncio.create_task(Sealer(pool, Keyring(KEY), [CheckpointFolder(tmp_path)]).run())
    await written(database, UUID(int=10), 1)
    await until(database.superuser_url, SEALED)
    meta = "tenant_id = '00000000-0000-0000-0000-000000000001'"
    connection = await asyncpg.connect(database.superuser_url)
    async with connection.transaction():
        await connection.execute(
            "lock table audit.sealer in exclusive mode; set local session_replication_role = replica"
        )
        for table in ("leaf", "node", "checkpoint"):
            await connection.execute(
                f"alter table audit.{table} disable trigger all; delete from audit.{table} where {meta}"
            )
            await connection.execute(
                f"alter table audit.{table} enable always trigger no_change; alter table audit.{table} enable always trigger no_truncate"
            )
        await connection.execute(f"delete from audit.log where {meta}")
    await connection.close()
    await written(database, UUID(int=10), 1)
    await until(database.superuser_url, HALTED)
    assert len(await leaves_of(database, UUID(int=10))) == 1
    assert (await fetched(database.superuser_url, f"select from audit.checkpoint where {meta}")) == []
    sealer.cancel()
    await asyncio.gather(sealer, return_exceptions=True)
    await pool.close()
