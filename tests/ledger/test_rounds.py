"""One signature a round: for all tenants at once, beside sealers of before, and held against what was kept outside."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.database import Pool, open_pool
from backend.ledger import verifier
from backend.ledger.checkpoints import (
    Checkpoint,
    SigningKey,
    log_origin,
    open_checkpoint,
    open_kept,
    sign_checkpoint,
    sign_text,
)
from backend.ledger.history import META_LOG
from backend.ledger.keyring import Keyring
from backend.ledger.rounds import head_of
from backend.ledger.sealer import Sealer
from backend.operation.checking import check_checkpoints
from tests.ledger.sealed_log import KEY, SealedLog
from tests.ledger.test_sealer_rounds import lead, write
from tests.service import Database, Service

pytestmark = pytest.mark.anyio

VERIFYING = [KEY.verifier_key]
TENANTS = 50


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    opened = await open_pool(database.sealer_url, size=2, timeout=5)
    yield opened
    await opened.close()


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


class SignatureCount:
    """Counts what is signed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, sign = 0, SigningKey.signature_line

        def counted(key: SigningKey, text: str) -> str:
            self.count += 1
            return sign(key, text)

        monkeypatch.setattr(SigningKey, "signature_line", counted)


@pytest.mark.parametrize(("sign_each", "signatures"), [(False, 1), (True, TENANTS + 1)])
async def test_one_signature_proves_what_was_sealed_of_all_tenants(
    pool: Pool, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, *, sign_each: bool, signatures: int
) -> None:
    sealer = Sealer(pool, Keyring(KEY), sign_each=sign_each)
    epoch = await lead(sealer, superuser)
    tenants = [uuid7() for _ in range(TENANTS)]
    for tenant in tenants:
        await write(superuser, uuid7(), uuid7(), tenant_id=tenant)
    signing = SignatureCount(monkeypatch)
    sealed = await sealer.seal(epoch)
    assert (sealed.events, signing.count) == (2 * TENANTS, signatures)
    rows = await superuser.fetch(
        "select tenant_id, note from audit.checkpoint where tenant_id = any ($1) order by id", tenants
    )
    stored = {row["tenant_id"]: open_checkpoint(row["note"], VERIFYING) for row in rows}
    assert {tenant: (each.origin, each.size) for tenant, each in stored.items()} == {
        tenant: (f"affidavit-test/{tenant}", 2) for tenant in tenants
    }
    for tenant, each in stored.items():
        assert each.root == (await root_of(superuser, tenant))
    kept = [one for note in sealed.notes for one in open_kept(note, VERIFYING)]
    assert set(stored.values()) < set(kept)
    assert len(sealed.notes) == (TENANTS + 1 if sign_each else 2)
    newest = await superuser.fetchval(
        "select note from audit.checkpoint where tenant_id = $1 order by id desc limit 1", META_LOG
    )
    assert sealed.notes[-1] == newest  # by itself, as a sealer of before looks for it
    assert head_of(newest).size == await superuser.fetchval("select size from audit.log where tenant_id = $1", META_LOG)


async def root_of(superuser: asyncpg.Connection, tenant: UUID) -> bytes:
    hashes = await superuser.fetch("select hash from audit.leaf where tenant_id = $1 order by index", tenant)
    tree = verifier.Tree()
    tree.extend(bytes(row["hash"]) for row in hashes)
    return tree.root()


@pytest.fixture
async def log(service: Service, database: Database, tmp_path: Path) -> SealedLog:
    return SealedLog(service, await service.create_tenant(), database, tmp_path)


async def test_sealers_of_before_and_of_now_continue_each_other(log: SealedLog) -> None:
    kept = []
    for sign_each in (True, False, True, False, False):
        await log.act(1)
        kept.append(await log.seal(sign_each=sign_each))
        log.end = datetime.fromtimestamp(head_of(kept[-1]).time / 1000, UTC)
    assert [note.count("tlog-proof") for note in kept] == [0, 1, 0, 1, 1]
    report = await log.verify(*kept)
    assert report.ok, list(report.lines())
    said = [str(finding) for finding in report.findings]
    assert any("5 signed by 'affidavit-test', 3 of them with the log of all checkpoints" in line for line in said)
    assert "OK      history: agrees with 5 kept checkpoints" in said
    checked = await check_checkpoints(log.database.sealer_url, str(KEY.verifier_key), kept)
    assert checked.ok, list(checked.lines())
    assert "OK      checkpoints: agree with 3 that were kept of all logs" in checked.lines()


async def test_a_history_of_all_checkpoints_that_was_kept_is_held_against_the_database(log: SealedLog) -> None:
    await log.act(1)
    first = await log.seal()
    await log.act(1)
    note = await log.seal()
    signed = "\n\n".join(note.split("\n\n")[-2:])
    keys, head = str(KEY.verifier_key), head_of(signed)
    line = next(line for line in signed.splitlines() if line.startswith("log "))

    async def found(*kept: str) -> list[str]:
        report = await check_checkpoints(log.database.sealer_url, keys, kept)
        return [str(finding) for finding in report.findings if finding.kind in verifier.CONVICTING]

    def view(size: int, root: bytes = bytes(32), says: str = line, key: SigningKey = KEY) -> str:
        return sign_text(f"{Checkpoint(head.origin, size, root, head.time).text}{says}\n", key)

    assert await found(first, note, signed) == []
    assert await found(view(head.size)) == [
        f"INVALID checkpoints: a kept one of all has another root at size {head.size}"
    ]
    gone = f"MISSING checkpoints: had {head.size + 9} leaves when that was kept, and have no more than {head.size}"
    assert await found(view(head.size + 9)) == [gone]
    other_cell = view(head.size, says=f"log {'A' * 43}=")
    assert await found(other_cell, view(head.size, key=SigningKey.generate(KEY.name)), "no note") == []
    # What two people declared lost was there, and is not any more.
    origin = log_origin(KEY.name, "restored/checkpoints")
    left = Checkpoint(origin, head.size, head.root, head.time).text
    declared = sign_text(f"{left}lost {head.size + 9} {'A' * 43}= {head.time}\nreason disk failure\n", KEY)
    assert await found(view(head.size + 9), declared) == []


async def test_a_checkpoint_of_another_log_does_not_pass_for_a_proof(log: SealedLog) -> None:
    """A forger who may write to the database, and has no key, can prove no checkpoint of its own."""
    await log.act(1)
    note = await log.seal()
    head = head_of(note)
    forged = note.replace(f"\n{head.size}\n", f"\n{head.size + 1}\n", 1)
    await log.execute(f"update audit.checkpoint set note = '{forged}' where note = '{note}'")
    log.end = datetime.now(UTC)
    found = [str(finding) for finding in (await log.verify()).findings]
    size = head_of("\n\n".join(note.split("\n\n")[-2:])).size
    named = f"of size {head.size + 1} is not in the log of all checkpoints that was signed at size {size}"
    assert any(line.startswith("INVALID checkpoint") and named in line for line in found), found


async def test_an_export_proves_that_the_log_of_all_checkpoints_only_grew(
    log: SealedLog, superuser: asyncpg.Connection
) -> None:
    sizes = []
    for others in (1, 30, 2):
        for _ in range(others):
            await write(superuser, uuid7(), tenant_id=uuid7())
        await log.act(1)
        note = await log.seal()
        sizes.append(head_of("\n\n".join(note.split("\n\n")[-2:])).size)
    log.end = datetime.fromtimestamp(head_of(note).time / 1000, UTC)
    report = await log.verify()
    assert report.ok, list(report.lines())
    said = [str(finding) for finding in report.findings]
    assert f"OK      checkpoints: the log of all checkpoints only grew, from {sizes[0]} to {sizes[2]}" in said
    await log.execute(f"update audit.node set hash = sha256(hash) where tenant_id = '{META_LOG}'")
    found = [str(one) for one in (await log.verify()).findings if one.kind in verifier.CONVICTING]
    assert any("does not extend that of size" in line for line in found), found


async def test_what_version_0_1_0_signed_and_stored_still_verifies(log: SealedLog) -> None:
    await log.act(2)
    kept = await log.seal(sign_each=True)
    assert kept == sign_checkpoint(head_of(kept), KEY)
    log.end = datetime.fromtimestamp(head_of(kept).time / 1000, UTC)
    answer = await log.service.get("/audit/checkpoint", log.tenant, "compliance")
    assert answer.json()["checkpoint"] == kept
    report = await log.verify(kept)
    assert report.ok, list(report.lines())
