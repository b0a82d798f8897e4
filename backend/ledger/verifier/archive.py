"""The archive, which may be hostile."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Self

from backend.ledger.verifier.bundle_format import (
    CHECKPOINTS,
    DECLARATIONS,
    ERASURES,
    EVENTS,
    HANDOVERS,
    MANIFEST,
    MAX_LINE_BYTES,
    MAX_RATIO,
    MAX_READ_BYTES,
    RATIO_APPLIES_FROM,
    UNSEALED,
    BadBundle,
)
from backend.ledger.verifier.findings import shown
from backend.ledger.verifier.spelling import object_of

_CHUNK = 2**18


class _BoundedFile(io.FileIO):
    """A file that refuses to be read in one piece, as zipfile would do with an archive's huge directory."""

    def read(self, size: int | None = -1) -> bytes:
        limit = MAX_READ_BYTES
        content = super().read(limit + 1 if size is None or size < 0 else min(size, limit + 1))
        if len(content) > limit:
            raise BadBundle("the archive has an oversized directory")
        return content


class BundleArchive:
    """The members of a bundle, read as streams; nothing is ever extracted."""

    def __init__(self, path: str | Path, progress: Callable[[float], None] = lambda _: None) -> None:
        self._progress = progress
        self._file = _BoundedFile(path)
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._members = {info.filename: info for info in self._zip.infolist()}
            self._refuse_unexpected()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def _refuse_unexpected(self) -> None:
        if len(self._members) != len(self._zip.infolist()):
            raise BadBundle("the archive names a member twice")
        optional = {ERASURES, DECLARATIONS, UNSEALED, HANDOVERS}
        allowed = {MANIFEST, CHECKPOINTS, EVENTS} | optional
        for name, info in self._members.items():
            if name not in allowed:
                raise BadBundle(f"the archive has an unexpected member {shown(name)}")
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadBundle(f"{name} is encrypted or compressed in an unknown way")
            if info.file_size > max(RATIO_APPLIES_FROM, MAX_RATIO * info.compress_size):
                raise BadBundle(f"{name} would expand more than {MAX_RATIO} times")
        for name in allowed - optional - self._members.keys():
            raise BadBundle(f"{name} is missing")

    def text(self, name: str, limit: int) -> str:
        """Returns a whole member."""
        with self._zip.open(name) as stream:
            content = stream.read(limit + 1)
            # Reading to the end is what checks the member's CRC.
            if len(content) > limit or stream.read(1):
                raise BadBundle(f"{name} is larger than {limit} bytes")
        return content.decode()

    def lines(self, name: str) -> Iterator[bytes]:
        """Yields the lines of a member without their newlines; an absent one has none."""
        if name in self._members:
            with self._zip.open(name) as stream:
                for block in _whole_lines(name, iter(lambda: stream.read(_CHUNK), b"")):
                    yield from lines_of(block)

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yields a member in blocks of whole lines, and tells the progress."""
        with self._zip.open(name) as stream:
            yield from _whole_lines(name, self._chunks(stream, self._members[name].file_size))

    def _chunks(self, stream: IO[bytes], size: int) -> Iterator[bytes]:
        read = 0
        while chunk := stream.read(_CHUNK):
            yield chunk
            read += len(chunk)
            self._progress(read / size)


def _whole_lines(name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields blocks that end where a line ends."""
    rest = b""
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            yield rest + chunk[:end]
            rest = b""
        rest += chunk[end:]
        if len(rest) > MAX_LINE_BYTES:
            raise BadBundle(f"{name} has a line longer than {MAX_LINE_BYTES} bytes")
    if rest:
        raise BadBundle(f"{name} ends within a line")


def lines_of(block: bytes) -> list[bytes]:
    """Returns the lines of a block of whole ones, without their newlines."""
    lines = block.split(b"\n")
    lines.pop()
    return lines


def notes_in(path: Path) -> Iterator[str]:
    """Yields what was signed in a file (an empty line between two), in each file of a directory, or in a bundle."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield from notes_in(file)
    elif zipfile.is_zipfile(path):
        with BundleArchive(path) as archive:
            yield from (str(object_of(line.decode()).get("checkpoint")) for line in archive.lines(CHECKPOINTS))
    else:
        pending: list[str] = []
        for block in path.read_text(encoding="utf-8").split("\n\n"):
            if pending and block.startswith("\u2014 "):
                yield "\n\n".join([*pending, f"{block.rstrip()}\n"])
                pending = []
            else:
                pending.append(block)
        if pending:
            raise ValueError("the last note is not signed")
