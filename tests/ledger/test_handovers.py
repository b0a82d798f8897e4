"""A checkpoint key takes another's place: whoever trusts one of the two verifies all that both signed, and nothing that a thief signs."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from backend.database import open_pool
from backend.ledger.checkpoints import Checkpoint, SigningKey, log_origin, open_checkpoint, sign_checkpoint
from backend.ledger.history import META_LOG_NAME, lost
from backend.ledger.keyring import Keyring
from backend.ledger.sealer import Sealer
from backend.ledger.sinks import CheckpointFolder
from backend.ledger.verifier import HANDOVERS, Kind, Report, notes_in, verify
from tests.ledger.sealed_log import SealedLog
from tests.ledger.small_log import SmallLog, at, contents, convicted, said, saved, zipped
from tests.ledger.test_restored import fetched, newest_note, until
from tests.service import Database, Service

pytestmark = pytest.mark.anyio

DAY = 86_400.0
SEALED = "count(*) = 0 from audit.unsealed"
FIRST, SECOND, THIRD, STRANGER, FOREIGN = (
    *(SigningKey.generate("affidavit.example") for _ in range(4)),
    SigningKey.generate("elsewhere.example"),
)


def handover(old: SigningKey, new: SigningKey, day: float) -> str:
    note = Keyring(new, previous=old).handover(at(day * DAY))
    assert note is not None
    return note


def signed_daily(*days: Sequence[SigningKey]) -> SmallLog:
    """A log with an event and a checkpoint a day, each signed by the keys of its day."""
    log = SmallLog(key=FIRST)
    for number, keys in enumerate(days):
        log.clock = number * DAY
        log.append("retrieval:executed")
        log.clock += 1
        log.notes.append((len(log.envelopes), log.note(len(log.envelopes), log.frontier.root(), log.clock, *keys)))
    return log


def judged(folder: Path, log: SmallLog, trusted: SigningKey, *handovers: str, kept: Sequence[str] = ()) -> Report:
    lines = "".join(json.dumps({"handover": note}) + "\n" for note in handovers).encode()
    members = [*contents(log.complete(revealed=False)).items(), *([(HANDOVERS, lines)] if lines else [])]
    return verify(saved(folder, zipped(members)), str(trusted.verifier_key), known=kept)


EXCHANGED = signed_daily([FIRST], [FIRST, SECOND], [SECOND])


@pytest.mark.parametrize("trusted", [FIRST, SECOND])
@pytest.mark.parametrize("kept", [False, True])
def test_who_trusts_one_key_verifies_what_the_other_signed(tmp_path: Path, trusted: SigningKey, *, kept: bool) -> None:
    note = handover(FIRST, SECOND, 1)
    given, beside = ((), (note,)) if kept else ((note,), ())
    report = judged(tmp_path, EXCHANGED, trusted, *given, kept=beside)
    assert report.ok, convicted(report)
    assert any(line.startswith("keys:") for line in said(report, Kind.NOTE))


def test_without_the_handover_the_other_key_is_a_stranger(tmp_path: Path) -> None:
    for trusted, at_fault in ((FIRST, 3), (SECOND, 1)):
        report = judged(tmp_path, EXCHANGED, trusted)
        assert convicted(report)[0].startswith(f"INVALID checkpoint {at_fault}: ")


def test_whoever_is_given_both_keys_needs_no_handover(tmp_path: Path) -> None:
    both = f"{FIRST.verifier_key}\n{SECOND.verifier_key}\n"
    assert verify(saved(tmp_path, EXCHANGED.complete(revealed=False)), both).ok


@pytest.mark.parametrize("trusted", [FIRST, SECOND, THIRD])
def test_keys_that_followed_each_other_are_learned_in_either_direction(tmp_path: Path, trusted: SigningKey) -> None:
    log = signed_daily([FIRST], [FIRST, SECOND], [SECOND], [SECOND, THIRD], [THIRD])
    report = judged(tmp_path, log, trusted, handover(SECOND, THIRD, 3), handover(FIRST, SECOND, 1))
    assert report.ok, convicted(report)


def test_a_key_that_was_handed_over_signs_nothing_dated_later(tmp_path: Path) -> None:
    forged = signed_daily([FIRST], [FIRST, SECOND], [FIRST])
    report = judged(tmp_path, forged, SECOND, handover(FIRST, SECOND, 1))
    assert convicted(report)[0].startswith("INVALID checkpoint 3: ")


def test_a_stolen_key_that_was_handed_over_brings_in_no_other_key(tmp_path: Path) -> None:
    forged = signed_daily([FIRST], [FIRST, SECOND], [STRANGER])
    notes = handover(FIRST, SECOND, 1), handover(FIRST, STRANGER, 2)
    assert convicted(judged(tmp_path, forged, SECOND, *notes))[0].startswith("INVALID checkpoint 3: ")


def test_a_key_signs_nothing_dated_before_it_was_handed_to(tmp_path: Path) -> None:
    forged = signed_daily([SECOND], [FIRST, SECOND], [SECOND])
    assert convicted(judged(tmp_path, forged, FIRST, handover(FIRST, SECOND, 1)))[0].startswith(
        "INVALID checkpoint 1: "
    )


def _other_signature(note: str) -> str:
    head, _, tail = note.rpartition("\n\n")
    mine, _ = tail.splitlines()
    return f"{head}\n\n{mine}\n{STRANGER.signature_line(head)}"


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda note: note.replace(note.splitlines()[-1] + "\n", ""),
        lambda note: note.replace("affidavit.example/keys", "affidavit.example/key"),
        lambda note: note.replace("time 1", "time 2", 1),
        lambda note: note.replace("\n2\n", "\n3\n"),
        lambda note: note.replace(str(SECOND.verifier_key), str(STRANGER.verifier_key)),
        _other_signature,
        lambda _: Keyring(FOREIGN, previous=FIRST).handover(at(DAY)),
        lambda _: 7,
        lambda _: "key x\n\n\u2014 x y\n",
    ],
)
def test_a_handover_that_not_all_of_its_keys_signed_as_it_is_teaches_nothing(tmp_path: Path, spoilt: object) -> None:
    note = spoilt(handover(FIRST, SECOND, 1))  # type: ignore[operator]
    report = judged(tmp_path, EXCHANGED, FIRST, note)
    assert convicted(report)[0].startswith("INVALID checkpoint 3: "), list(report.lines())


@asynccontextmanager
async def sealing(database: Database, keys: Keyring, folder: Path) -> AsyncIterator[None]:
    pool = await open_pool(database.sealer_url, size=3, timeout=5)
    running = asyncio.create_task(Sealer(pool, keys, [CheckpointFolder(folder)]).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.close()


async def test_a_log_is_verified_with_either_key_after_the_sealer_exchanged_them(
    service: Service, database: Database, tmp_path: Path
) -> None:
    old, new = (SigningKey.generate("affidavit-test") for _ in range(2))
    tenant, kept = await service.create_tenant(), tmp_path / "kept"
    log = SealedLog(service, tenant, database, tmp_path)
    signers = []
    for keys in (Keyring(old), Keyring(old, coming=new), Keyring(new, previous=old), Keyring(new)):
        async with sealing(database, keys, kept):
            await log.act(1)
            await until(database.superuser_url, SEALED)
        note = await newest_note(database, tenant.id)
        signers.append([key for key in (old, new) if _signed(note, key)])
        log.end = datetime.fromtimestamp(open_checkpoint(note, keys.verifying).time / 1000, UTC)
    assert signers == [[old], [old, new], [old, new], [new]]
    assert len(await fetched(database.superuser_url, "select from audit.handover")) == 1
    assert sum("affidavit-test/keys\n" in note for note in notes_in(kept)) >= 1
    read = [note async for note in CheckpointFolder(kept).since(log.end - timedelta(minutes=1))]
    assert read == list(notes_in(kept))  # whole, with both signatures
    bundle = await log.export(reveal=False)
    for trusted in (old, new):
        report = verify(bundle, str(trusted.verifier_key), known=list(notes_in(kept)))
        assert report.ok, list(report.lines())
    assert not verify(bundle, str(SigningKey.generate("affidavit-test").verifier_key)).ok


async def test_a_sealer_knows_the_checkpoints_that_the_key_before_signed(database: Database, tmp_path: Path) -> None:
    """With the public key of before it stops on a fork, although no checkpoint of its own is lost."""
    old, new = (SigningKey.generate("affidavit-test") for _ in range(2))
    now = int(datetime.now(UTC).timestamp() * 1000)
    lost = Checkpoint(log_origin(old.name, META_LOG_NAME), 1_000_000, bytes(32), now)
    await CheckpointFolder(tmp_path).publish([sign_checkpoint(lost, old)])
    async with sealing(database, Keyring(new, known=(old.verifier_key,)), tmp_path):
        await until(database.superuser_url, "halted is not null from audit.sealer")


async def test_what_a_database_lost_is_found_beside_handovers(database: Database, tmp_path: Path) -> None:
    old, new = (SigningKey.generate("affidavit-test") for _ in range(2))
    handed = Keyring(new, previous=old).handover(datetime.now(UTC))
    assert handed is not None
    now = int(datetime.now(UTC).timestamp() * 1000)
    gone = Checkpoint(log_origin(new.name, META_LOG_NAME), 1_000_000, bytes(32), now)
    await CheckpointFolder(tmp_path).publish([handed, sign_checkpoint(gone, new)])
    sealer = await asyncpg.connect(database.sealer_url)
    found = await lost(sealer, [CheckpointFolder(tmp_path)], [new.verifier_key, old.verifier_key])
    await sealer.close()
    assert [(one.log, one.newest) for one in found] == [(META_LOG_NAME, gone)]


def _signed(note: str, key: SigningKey) -> bool:
    *_, text, signatures = note.split("\n\n")
    return key.signature_line(f"{text}\n").strip() in signatures.splitlines()
