"""Sources, for who may manage them."""

from typing import Any
from uuid import UUID

from .connection import Connection
from .models import Source, SourceRun
from .reading import read


class Sources:
    """From where documents come by themselves, and what each run brought."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str, kind: str, collection: str, address: str, **more: Any) -> Source:  # noqa: ANN401 - what the service takes
        """Makes a source; `schedule`, `credentials`, `source_type` and `metadata` may be said as well. Raises Refused."""
        asked = {"name": name, "kind": kind, "collection": collection, "address": address, **more}
        return read(Source, self._connection.post("/sources", asked))

    def list(self) -> tuple[Source, ...]:
        """Returns all sources, newest first; raises Refused."""
        return tuple(read(Source, one) for one in self._connection.get("/sources")["sources"])

    def change(self, source_id: UUID, **changed: Any) -> Source:  # noqa: ANN401 - what the service takes
        """Changes what is named, such as `status` (`enabled`, `disabled`) or `schedule`; raises Refused."""
        return read(Source, self._connection.send("PATCH", f"/sources/{source_id}", json=changed).json())

    def delete(self, source_id: UUID) -> None:
        """Lets nothing come from a source any more; what came stays. Raises Refused."""
        self._connection.send("DELETE", f"/sources/{source_id}")

    def run(self, source_id: UUID, *, dry_run: bool = False, accept_gone: bool = False) -> SourceRun:
        """Queues a run, which is a job of the same id; raises Refused."""
        asked = {"dry_run": dry_run, "accept_gone": accept_gone}
        return read(SourceRun, self._connection.post(f"/sources/{source_id}/runs", asked))

    def runs(self, source_id: UUID, limit: int = 50) -> tuple[SourceRun, ...]:
        """Returns the last runs, newest first; raises Refused."""
        found = self._connection.get(f"/sources/{source_id}/runs", limit=limit)
        return tuple(read(SourceRun, one) for one in found["runs"])

    def run_details(self, source_id: UUID, run_id: UUID) -> SourceRun:
        """Returns a run with what became of files; raises Refused."""
        return read(SourceRun, self._connection.get(f"/sources/{source_id}/runs/{run_id}"))
