"""Decrypted files on the disk: gone with their process, and never those of a process that lives."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest

from backend.documents.files.scratch import plain_file, sweep_scratch
from backend.storage.service import FileVault, TenantKey

pytestmark = pytest.mark.anyio

NOBODY = UUID(int=1)

KILLED = """
import asyncio, os, signal
from tests.documents.test_scratch import opened

async def main():
    async with opened():
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


class Plain:
    """Stands in for a vault; what is tried here begins where its reading ends."""

    @staticmethod
    async def read(*_: object) -> AsyncIterator[bytes]:
        yield b"plain"


def opened():  # type: ignore[no-untyped-def]  # noqa: ANN201 - as plain_file
    return plain_file(cast("FileVault", Plain()), cast("TenantKey", None), NOBODY, b"")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def killed_while_it_reads(folder: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, env=os.environ | {"TMPDIR": str(folder)}, cwd=Path(__file__).parents[2]
    )
    assert await process.wait() < 0
    return process.pid


async def test_a_killed_process_leaves_a_file_that_the_next_worker_removes(folder: Path) -> None:
    await killed_while_it_reads(folder)
    (left,) = folder.iterdir()
    assert (left / "file").read_bytes() == b"plain"
    sweep_scratch()
    assert not list(folder.iterdir())


async def test_no_file_is_removed_that_a_process_reads_whose_number_is_unknown_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where two containers share a folder: each has numbers of its own for its processes."""
    ended = await killed_while_it_reads(folder)
    sweep_scratch()
    monkeypatch.setattr(os, "getpid", lambda: ended)
    async with opened() as path:
        sweep_scratch()
        assert path.read_bytes() == b"plain"
    assert not list(folder.iterdir())


async def test_a_killed_process_leaves_nothing_behind_whose_number_another_has_by_now(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = await killed_while_it_reads(folder)
    kill = os.kill
    monkeypatch.setattr(os, "kill", lambda number, signal: number == ended or kill(number, signal))
    sweep_scratch()
    assert not list(folder.iterdir())


async def test_a_worker_starts_beside_a_folder_of_another_name(folder: Path) -> None:
    (folder / "affidavit-scratch-of somebody").mkdir()
    (folder / "affidavit-scratch-link").symlink_to("/")
    sweep_scratch()
    async with opened() as path:
        assert path.read_bytes() == b"plain"
