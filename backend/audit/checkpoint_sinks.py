"""Where checkpoints are kept outside the database, so that whoever rewrites the one must also rewrite the other."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import boto3


class CheckpointSink(Protocol):
    """A place that keeps signed notes."""

    async def publish(self, notes: Sequence[str]) -> None:
        """Keeps the notes of one sealing; returns when they are durable."""


class CheckpointFolder:
    """Appends notes to one file a day, an empty line between them, as the verifier's --checkpoints reads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    async def publish(self, notes: Sequence[str]) -> None:
        """Appends and flushes to the disk, off the event loop."""
        if notes:
            await asyncio.to_thread(self._append, notes)

    def _append(self, notes: Sequence[str]) -> None:
        path = self._folder / f"{datetime.now(UTC):%Y-%m-%d}.notes"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            separator = "\n" if os.fstat(descriptor).st_size else ""
            os.write(descriptor, (separator + "\n".join(notes)).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class CheckpointBucket:
    """Writes one object a sealing to an S3-compatible bucket, locked against deletion for a retention period."""

    def __init__(self, bucket: str, *, prefix: str = "checkpoints/", retention_days: int = 365, **client: Any) -> None:  # noqa: ANN401 - options of boto3
        self._client = boto3.client("s3", **client)
        self._bucket, self._prefix, self._retention = bucket, prefix, timedelta(days=retention_days)

    async def publish(self, notes: Sequence[str]) -> None:
        """Uploads, off the event loop."""
        if notes:
            await asyncio.to_thread(self._upload, notes)

    def _upload(self, notes: Sequence[str]) -> None:
        now = datetime.now(UTC)
        body = "\n".join(notes).encode()
        self._client.put_object(
            Bucket=self._bucket, Key=f"{self._prefix}{now:%Y/%m/%d/%H%M%S.%f}.notes", Body=body,
            ContentType="text/plain; charset=utf-8", ChecksumAlgorithm="SHA256",
            ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=now + self._retention,
        )  # fmt: skip
