"""Where checkpoints are kept outside the database, so that whoever rewrites the one must also rewrite the other."""

import fcntl
import itertools
import os
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import boto3
from anyio import to_thread
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# The end of a note: an empty line and whole signature lines, two while keys are exchanged.
_SIGNED = re.compile("\n\n(?:\u2014 [^\n]+\n)+".encode())
# When a checkpoint of all logs was signed.
_TIME = re.compile(r"[^\n]+/checkpoints\n(?:[^\n]+\n){2}time ([0-9]{1,19})\n")
_USUAL_NOTE_BYTES = 64 * 1024
_BLOCK_BYTES = 1 << 20


class CheckpointsNotKept(Exception):
    """A sink is away, full or refuses."""


class CheckpointSink(Protocol):
    """A place that keeps signed notes."""

    async def publish(self, notes: Sequence[str]) -> None:
        """Keeps notes, of which it may have some already; returns when they are durable. Raises CheckpointsNotKept."""

    def since(self, moment: datetime) -> AsyncIterator[str]:
        """Yields the notes that were kept since a moment, oldest first, and maybe some before; raises CheckpointsNotKept."""


class CheckpointFolder:
    """Appends notes to one file a day, an empty line between them, as the verifier's --checkpoints reads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    async def publish(self, notes: Sequence[str]) -> None:
        """Appends and flushes to the disk, off the event loop."""
        try:
            await to_thread.run_sync(self._append, notes)
        except OSError as error:
            raise CheckpointsNotKept(f"{type(error).__name__}: {error.strerror}") from error

    async def since(self, moment: datetime) -> AsyncIterator[str]:
        """Reads the ends of the files, off the event loop."""
        try:
            paths = sorted(self._folder.iterdir())
            for path in paths:
                if path.suffix == ".notes" and path.stem >= f"{moment:%Y-%m-%d}":
                    for note in await to_thread.run_sync(_last_notes, path, moment):
                        yield note
        except OSError as error:
            raise CheckpointsNotKept(f"{type(error).__name__}: {error.strerror}") from error

    def _append(self, notes: Sequence[str]) -> None:
        path = self._folder / f"{datetime.now(UTC):%Y-%m-%d}.notes"
        with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # a leader that was replaced may still be writing
            end = _end_of_last_note(file)
            file.write(("\n" if end else "").encode() + "\n".join(notes).encode())
            file.flush()
            os.fsync(file.fileno())


def _last_notes(path: Path, moment: datetime) -> list[str]:
    """Returns the whole notes at the end of a file from a checkpoint of all logs on that is of before a moment, or all.

    A tenant's says nothing about when it was kept: a sink that may have missed some is given the newest, however old.
    """
    wanted, length = moment.timestamp() * 1000, _BLOCK_BYTES
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        while True:
            start = max(0, size - length)
            file.seek(start)
            notes = _whole_notes(file.read(), torn=start > 0)
            if not start or any(_signed_before(note, wanted) for note in notes):
                return notes
            length *= 4


def _whole_notes(content: bytes, *, torn: bool) -> list[str]:
    """Returns the notes in a part of a file, but for the first of one that is torn from the middle."""
    ends = [0, *(match.end() for match in _SIGNED.finditer(content))]
    notes = [content[begin:end].decode().lstrip("\n") for begin, end in itertools.pairwise(ends)]
    return notes[1:] if torn else notes


def _signed_before(note: str, milliseconds: float) -> bool:
    match = _TIME.match(note)
    return match is not None and int(match[1]) < milliseconds


def _end_of_last_note(file: BinaryIO) -> int:
    """Returns where the last whole note ends; cuts off what a crash left half written behind it."""
    size = file.seek(0, os.SEEK_END)
    start, length = size, _USUAL_NOTE_BYTES
    ends: list[int] = []
    while start and not ends:  # a round is as long as it has checkpoints
        start = max(0, size - length)
        file.seek(start)
        ends = [start + match.end() for match in _SIGNED.finditer(file.read())]
        length *= 4
    end = ends[-1] if ends else 0
    if end < size:
        file.truncate(end)
    return end


class CheckpointBucket:
    """Writes one object a sealing to an S3-compatible bucket, locked against deletion for a retention period."""

    def __init__(self, bucket: str, *, prefix: str = "checkpoints/", retention_days: int = 365, **client: Any) -> None:  # noqa: ANN401 - options of boto3
        patience = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
        self._client = boto3.client("s3", config=patience, **client)
        self._bucket, self._prefix, self._retention = bucket, prefix, timedelta(days=retention_days)

    async def publish(self, notes: Sequence[str]) -> None:
        """Uploads, off the event loop."""
        try:
            await to_thread.run_sync(self._upload, notes)
        except (BotoCoreError, ClientError) as error:
            raise CheckpointsNotKept(str(error)) from error

    async def since(self, moment: datetime) -> AsyncIterator[str]:
        """Downloads, off the event loop."""
        try:
            for key in await to_thread.run_sync(self._keys_since, moment):
                content = await to_thread.run_sync(self._download, key)
                for note in _whole_notes(content, torn=False):
                    yield note
        except (BotoCoreError, ClientError) as error:
            raise CheckpointsNotKept(str(error)) from error

    def _keys_since(self, moment: datetime) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix, StartAfter=f"{self._prefix}{moment:%Y/%m/%d/%H%M%S.%f}"
        )
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def _download(self, key: str) -> bytes:
        content: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return content

    def _upload(self, notes: Sequence[str]) -> None:
        now = datetime.now(UTC)
        body = "\n".join(notes).encode()
        self._client.put_object(
            Bucket=self._bucket, Key=f"{self._prefix}{now:%Y/%m/%d/%H%M%S.%f}.notes", Body=body,
            ContentType="text/plain; charset=utf-8", ChecksumAlgorithm="SHA256",
            ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=now + self._retention,
        )  # fmt: skip
