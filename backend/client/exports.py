"""Exports of the audit log: asked for, waited for, fetched, and verified without the service."""

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from .connection import Connection
from .errors import AffidavitError
from .jobs import Jobs, Told
from .models import Export
from .reading import read
from .wire import as_json


class Exports:
    """The tenant's exports, for who may make them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def request(self, since: datetime, until: datetime, *, reason: str | None = None) -> Export:
        """Asks for a bundle of the events of a period, with decrypted texts where a `reason` is given; raises Refused."""
        asked = {"from": since, "to": until, "format": "bundle", "reveal": reason is not None, "reason": reason}
        return read(Export, self._connection.post("/audit/exports", as_json(asked)))

    def get(self, export_id: UUID) -> Export:
        """Returns an export as it is now; raises Refused."""
        return read(Export, self._connection.get(f"/audit/exports/{export_id}"))

    def fetch(self, export: Export, file: Path, progress: Told = lambda _: None) -> tuple[Path, ...]:
        """Waits until an export is written, and fetches it: one file, or one for each part, with its number in the name.

        Raises JobFailed, Refused and Unreachable.
        """
        Jobs(self._connection).wait(export.job_id, progress)
        numbers = [part.number for part in self.get(export.id).parts]
        if not numbers:
            return (self._download(export.id, file),)
        named = {number: file.with_name(f"{file.stem}-part-{number}{file.suffix}") for number in numbers}
        return tuple(self._download(export.id, path, part=number) for number, path in named.items())

    def _download(self, export_id: UUID, target: Path, **part: int) -> Path:
        """Writes a file, which is there only once it is whole."""
        partial = target.with_name(f"{target.name}.partial")
        path = f"/audit/exports/{export_id}/file"
        with self._connection.stream("GET", path, params=part) as answer, partial.open("wb") as file:
            for piece in answer.iter_bytes():
                file.write(piece)
        return partial.replace(target)


@dataclass(frozen=True, slots=True)
class Verified:
    """What the offline verifier says of bundles; only where `ok` is true was nothing changed, lost or forged."""

    ok: bool
    events: int
    lines: tuple[str, ...]


def verify_export(bundles: Sequence[Path], *, key: str, checkpoints: Path | None = None) -> Verified:
    """Verifies a bundle, or the parts of one, against the public key and checkpoints that somebody kept: a file or a folder.

    Asks the service nothing. Needs the extra `verify`; raises AffidavitError without it.
    """
    try:
        # The service's own verifier in one file, which the wheel of this client holds.
        verifier = importlib.import_module(".verifier", __package__)
    except ImportError as error:
        raise AffidavitError("the verifier is not here: install affidavit-client[verify]") from error
    known: Iterable[str] = verifier.notes_in(checkpoints) if checkpoints else ()
    if len(bundles) == 1:
        report = verifier.verify(bundles[0], key, known=list(known))
    else:
        report = verifier.verify_together(bundles, key, known=list(known))
    return Verified(report.ok, report.events, tuple(report.lines()))
