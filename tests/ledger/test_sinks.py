"""Checkpoints outside the database: whole, in order, locked, and brought up to date after an outage."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from backend.ledger.checkpoints import Checkpoint, open_checkpoint, sign_checkpoint
from backend.ledger.rounds import hidden
from backend.ledger.sinks import CheckpointBucket, CheckpointFolder, CheckpointsNotKept
from backend.ledger.verifier import notes_in
from tests.ledger.proven_log import OTHERS, AllLogs, foreign
from tests.ledger.test_sealer import KEY

pytestmark = pytest.mark.anyio


def signed(size: int) -> str:
    return sign_checkpoint(Checkpoint("affidavit-test/x", size, bytes(32), 1), KEY)


@pytest.fixture
def bucket_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


async def test_a_folder_keeps_whole_notes_whatever_a_crash_left_half_written(tmp_path: Path) -> None:
    notes = [signed(size) for size in range(5)]
    for cut in range(1, len(notes[2]), 7):
        folder = tmp_path / str(cut)
        await CheckpointFolder(folder).publish(notes[:2])
        (file,) = folder.iterdir()
        with file.open("a") as torn:
            torn.write("\n" + notes[2][:cut])
        await CheckpointFolder(folder).publish(notes[3:])
        assert list(notes_in(folder)) == [*notes[:2], *notes[3:]]


async def test_a_round_that_a_crash_left_half_written_is_cut_off_however_long_it_is(tmp_path: Path) -> None:
    all_logs = AllLogs(key=KEY)
    first, second, third = (
        all_logs.seal(*(hidden(foreign(OTHERS[0], 1)) for _ in range(size)), time=1) for size in (1, 2_000, 3)
    )
    assert len(second.whole) > 300_000
    await CheckpointFolder(tmp_path).publish([first.whole, first.signed])
    (file,) = tmp_path.iterdir()
    with file.open("a") as torn:
        torn.write("\n" + second.whole[:-50])
    await CheckpointFolder(tmp_path).publish([third.whole, third.signed])
    assert list(notes_in(tmp_path)) == [first.whole, first.signed, third.whole, third.signed]
    await CheckpointFolder(tmp_path).publish([second.whole])
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    kept = [first.whole, first.signed, third.whole, third.signed, second.whole]
    assert [note async for note in CheckpointFolder(tmp_path).since(begin)] == kept


async def test_a_bucket_keeps_notes_that_nobody_can_delete(bucket_url: str) -> None:
    s3 = boto3.client("s3", endpoint_url=bucket_url)
    s3.create_bucket(Bucket="kept", ObjectLockEnabledForBucket=True)
    bucket = CheckpointBucket("kept", retention_days=30, endpoint_url=bucket_url)
    await bucket.publish([signed(1), signed(2)])
    await bucket.publish([signed(3)])
    objects = s3.list_object_versions(Bucket="kept")["Versions"]
    texts = [s3.get_object(Bucket="kept", Key=found["Key"])["Body"].read().decode() for found in objects]
    assert texts == [f"{signed(1)}\n{signed(2)}", signed(3)]
    assert open_checkpoint(texts[1], [KEY.verifier_key]).size == 3
    for found in objects:
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.delete_object(
                Bucket="kept", Key=found["Key"], VersionId=found["VersionId"], BypassGovernanceRetention=True
            )


async def test_sinks_that_are_away_say_so(bucket_url: str, tmp_path: Path) -> None:
    absent = CheckpointBucket("absent", endpoint_url=bucket_url)
    unreachable = CheckpointBucket("kept", endpoint_url="http://127.0.0.1:9")
    removed = CheckpointFolder(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for sink in (absent, unreachable, removed):
        with pytest.raises(CheckpointsNotKept):
            await sink.publish([signed(1)])


def signed_at(moment: datetime, size: int, log: str = "checkpoints") -> str:
    return sign_checkpoint(Checkpoint(f"affidavit-test/{log}", size, bytes(32), int(moment.timestamp() * 1000)), KEY)


async def test_sinks_give_back_what_they_kept_since_a_moment(
    bucket_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.ledger.sinks._BLOCK_BYTES", 1000)
    boto3.client("s3", endpoint_url=bucket_url).create_bucket(Bucket="recent", ObjectLockEnabledForBucket=True)
    now = datetime.now(UTC)
    notes = [signed_at(now - timedelta(seconds=100 - number), number) for number in range(100)]
    folder, bucket = CheckpointFolder(tmp_path), CheckpointBucket("recent", endpoint_url=bucket_url)
    for first in range(0, 100, 25):
        for sink in (folder, bucket):
            await sink.publish(notes[first : first + 25])
    begin = now - timedelta(days=2)
    for sink in (folder, bucket):
        assert [note async for note in sink.since(begin)] == notes
        assert [note async for note in sink.since(now + timedelta(days=1))] == []
    recent = [note async for note in folder.since(now - timedelta(seconds=10))]
    assert recent == notes[-len(recent) :]
    assert 10 <= len(recent) < 40  # the end of the file was read, and not the whole


async def test_a_folder_gives_back_what_it_kept_before_it_was_brought_up_to_date_with_much_that_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after each change of the leader: it is then given the newest checkpoint of every tenant, of whom most are at rest."""
    monkeypatch.setattr("backend.ledger.sinks._BLOCK_BYTES", 1000)
    folder, now = CheckpointFolder(tmp_path), datetime.now(UTC)
    recent = [signed_at(now - timedelta(seconds=60 - number), number, "busy") for number in range(10)]
    newest = [signed_at(now - timedelta(days=3), number, f"resting-{number}") for number in range(30)]
    await folder.publish([signed_at(now - timedelta(seconds=70), 1), *recent])
    await folder.publish([*newest, signed_at(now, 2)])
    kept = [note async for note in folder.since(now - timedelta(seconds=65))]
    assert kept[-31 - len(recent) : -31] == recent
