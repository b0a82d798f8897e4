"""The last signed copy of the directory in a file: entries one a line, an empty line, and the note that signs them."""

import os
import secrets
from pathlib import Path

from backend.cells.directory import Directory, NotTheDirectory


def load(directory: Directory, path: Path) -> None:
    """Lets an empty directory take the copy; raises NotTheDirectory for a copy that was changed, and OSError for none."""
    entries, separator, note = path.read_text(encoding="utf-8").partition("\n\n")
    if not separator:
        raise NotTheDirectory(f"{path} is no copy of a directory")
    directory.extend(entries.split("\n"), note)


def save(directory: Directory, path: Path) -> None:
    """Replaces the copy; several processes may."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
            file.write("\n".join(directory.lines) + "\n\n" + directory.note)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
