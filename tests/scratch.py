"""Where tests keep the folders of their servers: in memory where there is room.

A database is a thousand files, and a clone of one is made for nearly every test file. On a disk that takes the better part of
a second each; in memory it takes a thirtieth of that.
"""

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30  # bytes: the servers of three processes have less than one


def place() -> str | None:
    """The folder below which servers' folders are made; None for the usual one."""
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return None
    return str(_MEMORY) if found.f_bavail * found.f_frsize > _ROOM and os.access(_MEMORY, os.W_OK) else None


def new_folder(prefix: str = "affidavit-test-") -> Path:
    """Makes a folder that a server may have its own in. The caller removes it.

    It is not below pytest's own folder: run as root, every starting pytest closes that to the server's account.
    """
    return Path(tempfile.mkdtemp(prefix=prefix, dir=place()))
