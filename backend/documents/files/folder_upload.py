"""The files that `affidavit ingest` uploads, and what their documents are called."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backend.documents.parsing.errors import ParseError
from backend.documents.parsing.formats import declared_format


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to upload, and what its document is called."""

    path: Path
    doc_id: str


@dataclass(slots=True)
class Summary:
    """What became of the files."""

    ingested: int = 0
    unchanged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


class AmbiguousName(ValueError):
    """Two files would be versions of one document, or one is not below the root that documents are called by."""


def files_below(paths: Iterable[Path], root: Path | None = None) -> tuple[list[LocalFile], list[Path]]:
    """Returns the files of supported types, and those of others; raises AmbiguousName.

    A document is called by its path below `root`, or else from the folder that was named, with that folder's own name: the
    same from wherever it is asked for, and another for a file of the same name in another folder.
    """
    found, others = [], []
    for given in paths:
        path = given.absolute()
        above = root.absolute() if root else (path if path.is_dir() else path.parent).parent
        for file in sorted(_walk(path)):
            try:
                declared_format(file.name, None)
            except ParseError:
                others.append(file)
                continue
            if not file.is_relative_to(above):
                raise AmbiguousName(f"{file} is not below {above}")
            found.append(LocalFile(file, file.relative_to(above).as_posix()))
    _refuse_collisions(found)
    return found, others


def _refuse_collisions(files: Iterable[LocalFile]) -> None:
    known: dict[str, Path] = {}
    for file in files:
        other = known.setdefault(file.doc_id, file.path)
        if other != file.path:
            raise AmbiguousName(
                f"{other} and {file.path} would both be {file.doc_id}; name a folder above both with --root"
            )


def _walk(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            if not entry.name.startswith("."):
                yield from _walk(entry)
