"""Sources: from where documents come by themselves, and what each run brought."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from backend.audit.details import Activity, Details


class _OfSource(Details):
    """A source. Its address can hold names, so only its host is told, and never what it proves itself with."""

    id: UUID


class SourceCreated(_OfSource, action="source:created", activity=Activity.CREATE, within="document_source"):
    """Documents of a collection come from there, too."""

    kind: str
    collection: str
    host: str | None = None


class SourceChanged(_OfSource, action="source:changed", activity=Activity.UPDATE, within="document_source"):
    """Of a source something is different; `changed` names what. Who changed it answers for what it writes from then on."""

    changed: Sequence[str]
    host: str | None = None
    status: str | None = None


class SourceDeleted(_OfSource, action="source:deleted", activity=Activity.DELETE, within="document_source"):
    """Nothing comes from there any more; the documents that came stay."""


class SourceRunAsked(_OfSource, action="source:run_asked", activity=Activity.CREATE, within="document_source"):
    """Somebody asked for a run, besides those that are due."""

    run: UUID
    dry_run: bool
    accept_gone: bool


class SourceRan(_OfSource, action="source:run", activity=Activity.UPDATE, within="document_source"):
    """A run is over. Counts are of files: what they were, and why some were refused. Why a run failed is the event's reason."""

    run: UUID
    dry_run: bool
    collection: str | None = None
    asked_by: UUID | None = None
    counts: Mapping[str, int] | None = None
    refused: Mapping[str, int] | None = None
