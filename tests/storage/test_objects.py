"""Both stores behave alike: an object is there whole or not at all."""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from backend.errors import Unavailable
from backend.storage.objects import LocalStore, ObjectMissing, ObjectStore
from backend.storage.s3 import S3Store

pytestmark = pytest.mark.anyio

KEY = "0193f0c0-tenant/0193f0c0-file"


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def read(store: ObjectStore, key: str = KEY) -> bytes:
    return b"".join([piece async for piece in store.read(key)])


@pytest.fixture(scope="module")
def bucket_url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if request.param == "local":
        return LocalStore(tmp_path / "files")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    url = request.getfixturevalue("bucket_url")
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="files")
    return S3Store("files", url)


async def test_an_object_is_read_as_it_was_written_until_it_is_deleted(store: ObjectStore) -> None:
    content = os.urandom(9 * 1024 * 1024)  # more than one part of an upload
    await store.write(KEY, stream(content[:1_000_000], content[1_000_000:], b""))
    assert await read(store) == content
    await store.write(KEY, stream())
    assert await read(store) == b""
    await store.delete(KEY)
    with pytest.raises(ObjectMissing):
        await read(store)
    await store.delete(KEY)


async def test_an_interrupted_write_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield os.urandom(9 * 1024 * 1024)
        raise ConnectionResetError

    with pytest.raises((ConnectionResetError, Unavailable)):
        await store.write(KEY, breaks())
    with pytest.raises(ObjectMissing):
        await read(store)
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


async def test_a_key_that_leaves_the_store_is_refused(store: ObjectStore) -> None:
    for key in ("../secret", "tenant/../other/file", "/etc/passwd", "tenant", "tenant//file", "Tenant/file"):
        with pytest.raises(ValueError, match="no key"):
            await store.delete(key)


async def test_a_bucket_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(Unavailable):
        await S3Store("files", "http://127.0.0.1:9").write(KEY, stream(b"x"))
