"""`affidavit backup` and `affidavit restore`: all that the home folder of the embedded database holds, in one file.

Checkpoints are copied first and uploaded files last: a log that is behind a checkpoint which was kept looks like a fork, and a
row whose file is missing is damaged, while a file too many is none.
"""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from backend.demo.home import DemoHome, DemoHomeInUse
from backend.embedded_postgres import binaries
from backend.provenance import VERSION
from backend.shipped import newest_revision

FORMAT = "affidavit backup 1"
_BEFORE = ("checkpoints",)
_AFTER = ("secrets.json", "checkpoint-key.pub", "demo-credentials.json", "files", "archives")


class BackupError(Exception):
    """The backup cannot be made or used; the message says why."""


def back_up(folder: Path, target: Path) -> int:
    """Writes everything to one file, readable by its owner alone, while the service runs or not; returns its size in bytes.

    Raises BackupError.
    """
    if target.exists():
        raise BackupError(f"{target} exists")
    if not (folder / "database.json").exists():
        raise BackupError(f"{folder} holds no embedded database")
    partial = target.with_name(f"{target.name}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            _write(folder, file)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size


def _write(folder: Path, file: BinaryIO) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as work, tarfile.open(fileobj=file, mode="w") as archive:
        _describe(archive, Path(work))
        _add(archive, folder, _BEFORE)
        with _running(folder) as url:
            _copy_database(url, Path(work) / "postgres")
        archive.add(Path(work) / "postgres", "postgres")
        _add(archive, folder, _AFTER)
    file.flush()
    os.fsync(file.fileno())


def restore(archive: Path, folder: Path) -> str:
    """Makes a home folder of a backup, and returns when that was made; raises BackupError, and then there is no folder."""
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty; set AFFIDAVIT_HOME to a folder that does not exist")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(work, filter="data")
        described = json.loads((work / "backup.json").read_text())
        if described["format"] != FORMAT or described["revision"] > newest_revision():
            raise BackupError(f"{archive} was made by release {described['version']}, which is newer than {VERSION}")
        _unpack_database(work / "postgres")
        (work / "backup.json").unlink()
        if folder.exists():
            folder.rmdir()
        work.replace(folder)
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise BackupError(f"{archive} is no whole backup ({type(error).__name__})") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    with DemoHome(folder).locked():
        DemoHome(folder).postgres().hand_over()
    made: str = described["made"]
    return made


def _describe(archive: tarfile.TarFile, work: Path) -> None:
    described = {
        "format": FORMAT,
        "version": VERSION,
        "revision": newest_revision(),
        "made": datetime.now(UTC).isoformat(),
    }
    (work / "backup.json").write_text(json.dumps(described))
    archive.add(work / "backup.json", "backup.json")


def _add(archive: tarfile.TarFile, folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if (folder / name).exists():
            archive.add(folder / name, name)


@contextmanager
def _running(folder: Path) -> Iterator[str]:
    """Gives the superuser's address of the database, which is started when no demo runs."""
    home = DemoHome(folder)
    try:
        with home.locked():
            postgres = home.postgres()
            postgres.start()
            try:
                yield postgres.urls()["superuser_url"]
            finally:
                postgres.stop()
    except DemoHomeInUse:
        yield str(json.loads((folder / "database.json").read_text())["superuser_url"])


def _copy_database(url: str, target: Path) -> None:
    """Copies the server's files and the log that makes them consistent, as of the copy's end."""
    program = str(binaries() / "pg_basebackup")
    arguments = [
        program,
        f"--dbname={url}",
        f"--pgdata={target}",
        "--format=tar",
        "--wal-method=stream",
        "--checkpoint=fast",
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if done.returncode != 0:
        raise BackupError(f"the database was not copied: {done.stderr.strip()}")


def _unpack_database(folder: Path) -> None:
    for name, target in (("base.tar", folder), ("pg_wal.tar", folder / "pg_wal")):
        packed = folder / name
        with tarfile.open(packed) as files:
            files.extractall(target, filter="data")
        packed.unlink()
    (folder / "backup_manifest").unlink(missing_ok=True)
