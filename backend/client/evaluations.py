"""Evaluation sets and their runs, for who reviews documents."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from .connection import Connection
from .errors import AffidavitError, Refused
from .jobs import Jobs, Told
from .wire import as_json

_NOT_FOUND = "not_found"


class Evaluations:
    """The tenant's sets and runs; `/docs` of the service describes their members."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get_set(self, name: str, version: int | None = None) -> dict[str, Any] | None:
        """Returns a version of a set, or the newest that was approved; None where there is none. Raises Refused."""
        asked = "" if version is None else f"?version={version}"
        try:
            found: dict[str, Any] = self._connection.get(f"/evaluations/sets/{name}{asked}")
        except Refused as error:
            if error.code == _NOT_FOUND:
                return None
            raise
        return found

    def newest_version(self, name: str) -> dict[str, Any] | None:
        """Returns the version that was written last, approved or not; None where there is none. Raises Refused."""
        for known in self._connection.get("/evaluations/sets")["sets"]:
            if known["name"] == name:
                return self.get_set(name, known["newest_version"])
        return None

    def write(self, name: str, questions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Writes the next version of a set, which counts once another person has approved it. Raises Refused."""
        body = as_json({"questions": list(questions)})
        written: dict[str, Any] = self._connection.post(f"/evaluations/sets/{name}/versions", body)
        return written

    def run(
        self,
        name: str,
        *,
        version: int | None = None,
        change: UUID | str | None = None,
        progress: Told = lambda _: None,
    ) -> dict[str, Any]:
        """Runs a set, and returns what became of each question; `progress` is told how far it is.

        Raises JobFailed and Refused.
        """
        asked = as_json({"name": name, "version": version, "change": change})
        started = self._connection.post("/evaluations/runs", asked)
        Jobs(self._connection).wait(UUID(started["id"]), progress)
        return self.get_run(started["id"])

    def get_run(self, run: UUID | str) -> dict[str, Any]:
        """Returns a run as it is now; raises Refused."""
        found: dict[str, Any] = self._connection.get(f"/evaluations/runs/{run}")
        if "results" not in found:
            raise AffidavitError("the service answered with something else than a run")
        return found
