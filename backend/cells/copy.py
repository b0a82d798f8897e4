"""The last signed copy of the directory in a file: entries one a line, an empty line, and the note that signs them.

A directory of a million tenants is some 120 MB. So the copy is read and written line by line, and a directory in memory keeps
only the lines that the copy lacks.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from backend.cells.directory import Directory
from backend.cells.entries import NotTheDirectory

_PAGE = 10_000
_NOTE_BYTES = 4096  # more than a note has


class CopyFallsShort(OSError):
    """The file lacks entries that the directory has no longer as lines: they must be asked for once more."""


@dataclass(frozen=True, slots=True)
class UnsavedEntries:
    """The last entries of a directory, which no copy has yet, and the note that signs all."""

    directory: Directory
    lines: Sequence[str]
    note: str
    size: int


def unsaved(directory: Directory) -> UnsavedEntries:
    """Returns what is to be written as it is now, for a thread that writes it."""
    return UnsavedEntries(directory, list(directory.lines), directory.note, directory.size)


def save(directory: Directory, path: Path) -> None:
    """Brings the copy to the state of the directory; several processes may. Raises OSError."""
    write(written := unsaved(directory), path)
    forget(written)


def forget(written: UnsavedEntries) -> None:
    """Lets a directory keep no longer what is written."""
    del written.directory.lines[: len(written.lines)]


def load(directory: Directory, path: Path) -> None:
    """Lets an empty directory take the copy; raises NotTheDirectory for a copy that was changed, and OSError for none."""
    with path.open("rb") as file:
        try:
            directory.begin(_pages(file), lambda: file.read(_NOTE_BYTES).decode())
        except UnicodeDecodeError:
            raise NotTheDirectory(f"{path} is no copy of a directory") from None


def load_rest(directory: Directory, path: Path) -> None:
    """Lets a directory take what the copy has more than is known; raises as `load` does, and the directory stays as it is."""
    with path.open("rb") as file:
        if sum(1 for _ in islice(iter(file.readline, b"\n"), directory.size)) < directory.size:
            return  # it has less
        try:
            lines = [line for page in _pages(file) for line in page]
            note = file.read(_NOTE_BYTES).decode()
        except UnicodeDecodeError:
            raise NotTheDirectory(f"{path} is no copy of a directory") from None
    if lines:
        directory.extend(lines, note)
        directory.lines.clear()


def write(entries: UnsavedEntries, path: Path) -> None:
    """Brings the copy to a state, unless it is there already; raises OSError, of which one is CopyFallsShort."""
    first = entries.size - len(entries.lines)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.partial")
    try:
        with ExitStack() as stack:
            known = 0
            if first:  # else all there is is in these lines, whatever the file holds
                before = stack.enter_context(_opened(path))
                known, end = _known(entries.directory, before)
                if known >= entries.size:
                    return  # another process has been here
                if known < first:
                    raise CopyFallsShort(f"{path} holds {known} entries of {first}")
            created = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            file = stack.enter_context(os.fdopen(created, "wb"))
            if first:
                _copy_bytes(before, file, end)
            file.writelines(line.encode() + b"\n" for line in entries.lines[max(known - first, 0) :])
            file.write(b"\n" + entries.note.encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise CopyFallsShort(f"{path} is gone") from None


def _pages(file: BinaryIO) -> Iterator[list[str]]:
    """Yields the entries, and leaves the file where the note begins."""
    while True:
        page: list[str] = []
        for line in islice(iter(file.readline, b""), _PAGE):
            if line == b"\n":
                if page:
                    yield page
                return
            page.append(line.decode().removesuffix("\n"))
        if not page:
            raise NotTheDirectory("what is no copy of a directory has no end")
        yield page


def _known(directory: Directory, file: BinaryIO) -> tuple[int, int]:
    """Returns how many entries the note at the end of a file signs, 0 where none of the operator's is, and where they end."""
    start = max(file.seek(0, os.SEEK_END) - _NOTE_BYTES, 0)
    file.seek(start)
    # The note has an empty line of its own, before its signatures.
    entries, *note = file.read().rsplit(b"\n\n", 2)
    try:
        return directory.size_signed_by(b"\n\n".join(note).decode()), start + len(entries) + 1
    except (NotTheDirectory, UnicodeDecodeError):
        return 0, 0


def _copy_bytes(source: BinaryIO, target: BinaryIO, left: int) -> None:
    source.seek(0)
    while left and (block := source.read(min(left, 1 << 20))):
        target.write(block)
        left -= len(block)
