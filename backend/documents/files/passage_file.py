"""Keeps the passages of a version on disk until they are stored, so that a long document does not fill the memory."""

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import orjson
from pgvector import HalfVector

from backend.documents.chunks.vectors import ChunkVectors
from backend.documents.tables import ChunkSpan
from backend.documents.versions.submission import SubmittedPassage

_LENGTH_BYTES = 4


class PassageSpool:
    """The passages of one version in a file, in the order in which they were added; they can be read many times."""

    def __init__(self, path: Path) -> None:
        """The file is made anew; it holds plain text, so its folder must be this process's own."""
        self._path = path
        self._count = 0
        path.write_bytes(b"")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[SubmittedPassage]:
        with self._path.open("rb") as file:
            for _ in range(self._count):
                yield _read(file)

    def add(self, passages: Iterable[SubmittedPassage]) -> None:
        """Appends passages."""
        with self._path.open("ab") as file:
            for passage in passages:
                for part in _parts(passage):
                    file.write(len(part).to_bytes(_LENGTH_BYTES))
                    file.write(part)
                self._count += 1


def _parts(passage: SubmittedPassage) -> tuple[bytes, ...]:
    sparse = passage.vectors.sparse
    return (
        passage.text.encode(), passage.vectors.dense.to_binary(), array("q", sparse).tobytes(),
        array("d", sparse.values()).tobytes(), orjson.dumps(passage.span.model_dump()),
    )  # fmt: skip


def _read(file: BinaryIO) -> SubmittedPassage:
    text, dense, dimensions, weights, span = (file.read(int.from_bytes(file.read(_LENGTH_BYTES))) for _ in range(5))
    sparse = dict(zip(array("q", dimensions), array("d", weights), strict=True))
    return SubmittedPassage(
        text.decode(), ChunkVectors(HalfVector.from_binary(dense), sparse),
        ChunkSpan(**orjson.loads(span)),
    )  # fmt: skip
