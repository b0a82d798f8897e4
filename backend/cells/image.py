"""An image of the tables beside the signed copy: it is read in moments, where a million entries take half a minute.

Whoever made it had verified every entry, and says so by a code under a secret of the deployment (HMAC-SHA-256 over all of it).
The operator's signature is verified once more: over the root that the image names. What does not fit is no image, and the copy
is read entry by entry. What the copy has more than the image is read from there.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import orjson

from backend.cells.directory import Directory
from backend.cells.entries import NotTheDirectory

FORMAT = b"affidavit directory image 1\n"
WORTH = 10_000  # entries that an image saves to read; for fewer there is none
_CODE_BYTES = 32


class NoImage(Exception):
    """There is none, it is of another deployment, or somebody changed it."""


def path_of(copy: Path) -> Path:
    """Returns where the image of a copy is."""
    return copy.with_name(f"{copy.name}.image")


def taken(directory: Directory) -> list[bytes]:
    """Returns what an image consists of, as it is now, for a thread that writes it."""
    head, sections = directory.dump()
    lengths = [len(section) for section in sections]
    return [FORMAT, orjson.dumps({**head, "lengths": lengths}), b"\n", *sections]


def write(parts: Sequence[bytes], path: Path, secret: str) -> None:
    """Writes an image in place of what there is; raises OSError."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.partial")
    code = _code(secret)
    try:
        created = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(created, "wb") as file:
            for part in parts:
                code.update(part)
                file.write(part)
            file.write(code.digest())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(directory: Directory, path: Path, secret: str) -> None:
    """Lets an empty directory take an image; raises NoImage, and the directory is empty then."""
    code = _code(secret)
    try:
        with path.open("rb") as file:
            head, sections = _read(file, code)
        directory.restore(head, sections)
    except (OSError, ValueError, KeyError, TypeError, NotTheDirectory) as error:
        raise NoImage(str(error)) from None


def _read(file: BinaryIO, code: "hmac.HMAC") -> tuple[dict[str, object], list[bytes]]:
    """Returns what an image says; raises ValueError unless all of it is as it was written."""
    if file.readline(len(FORMAT)) != FORMAT:
        raise ValueError("another format")
    line = file.readline()
    head = orjson.loads(line)
    code.update(FORMAT + line)
    sections = []
    for section in _sections(file, head["lengths"]):
        code.update(section)
        sections.append(section)
    if not hmac.compare_digest(file.read(_CODE_BYTES + 1), code.digest()):
        raise ValueError("it was changed, or is of another deployment")
    return head, sections


def _sections(file: BinaryIO, lengths: Iterable[int]) -> Iterator[bytes]:
    left = os.fstat(file.fileno()).st_size
    for length in lengths:
        if not 0 <= length <= left:
            raise ValueError("it ends too soon")
        left -= length
        yield file.read(length)


def _code(secret: str) -> "hmac.HMAC":
    key = hmac.digest(secret.encode(), b"affidavit directory image", "sha256")
    return hmac.new(key, digestmod=hashlib.sha256)
