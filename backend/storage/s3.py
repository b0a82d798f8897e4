"""Keeps encrypted files in an S3-compatible bucket, by multipart upload: an object appears when its last part is there."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, TypeVar

import boto3
from anyio import CancelScope, to_thread
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from backend.errors import Unavailable
from backend.storage.objects import ObjectMissing, checked

_PART_BYTES = 8 * 1024 * 1024  # a part but the last has at least 5 MiB, and an object at most 10,000 parts
_READ_BYTES = 256 * 1024
_Result = TypeVar("_Result")


class S3Store:
    """Keeps objects in one bucket; credentials come from where AWS's own tools look for them."""

    def __init__(self, bucket: str, url: str | None = None) -> None:
        """Connects to `url`, or without one to AWS."""
        config = Config(retries={"max_attempts": 3, "mode": "standard"}, connect_timeout=5, read_timeout=30)
        self._client: Any = boto3.client("s3", endpoint_url=url, config=config)
        self._bucket = bucket

    async def write(self, key: str, content: AsyncIterator[bytes]) -> None:
        """Uploads part by part; at most two parts are in memory."""
        target = {"Bucket": self._bucket, "Key": checked(key)}
        upload = await _call(lambda: self._client.create_multipart_upload(**target))
        target["UploadId"] = upload["UploadId"]
        try:
            parts = [await self._upload(target, number, part) async for number, part in _parts(content)]
            await _call(lambda: self._client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts}))
        except BaseException:
            with CancelScope(shield=True), suppress(Unavailable):
                await _call(lambda: self._client.abort_multipart_upload(**target))
            raise

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Yields an object in pieces of 256 KiB."""
        try:
            body = (await _call(lambda: self._client.get_object(Bucket=self._bucket, Key=checked(key))))["Body"]
        except Unavailable as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and cause.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                raise ObjectMissing(key) from error
            raise
        try:
            while piece := await _call(lambda: body.read(_READ_BYTES)):
                yield piece
        finally:
            body.close()

    async def delete(self, key: str) -> None:
        """Removes an object."""
        await _call(lambda: self._client.delete_object(Bucket=self._bucket, Key=checked(key)))

    async def _upload(self, target: dict[str, Any], number: int, part: bytes) -> dict[str, object]:
        sent = await _call(lambda: self._client.upload_part(**target, PartNumber=number, Body=part))
        return {"PartNumber": number, "ETag": sent["ETag"]}


async def _parts(content: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Yields numbered parts, at least one, gathered from small pieces."""
    number, gathered = 1, bytearray()
    async for piece in content:
        gathered += piece
        if len(gathered) >= _PART_BYTES:
            yield number, bytes(gathered)
            number, gathered = number + 1, bytearray()
    if gathered or number == 1:
        yield number, bytes(gathered)


async def _call(request: Callable[[], _Result]) -> _Result:
    try:
        return await to_thread.run_sync(request)
    except (BotoCoreError, ClientError) as error:
        raise Unavailable("The file store does not answer.", reason=f"storage:{type(error).__name__}") from error
