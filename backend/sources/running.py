"""Runs a source, as a job: looks at what it holds, fetches what is new, and lets all of it into review at once, or nothing.

A run acts as its source, which may write to one collection and nothing else. What it brings is reviewed; what is gone it asks to
be retired, and a person confirms that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from backend.audit.actions.sources import SourceRan
from backend.audit.events import Event, Outcome
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_row, fetch_rows
from backend.documents.collections.metadata_schema import check_metadata
from backend.documents.collections.models import CollectionView
from backend.documents.collections.service import readable_collection
from backend.documents.files import uploads
from backend.errors import InvalidInput
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.jobs.failures import JobFailure
from backend.jobs.job import Job, JobFailed
from backend.metrics import SOURCE_RUNS
from backend.sources import credentials
from backend.sources.applying import Applying
from backend.sources.connector import Connector, Listing, SourceFailed
from backend.sources.expecting import expected
from backend.sources.fetching import Fetching, Looked
from backend.sources.opening import Opening
from backend.sources.plan import KnownItem, Plan, planned
from backend.sources.report import RunReport
from backend.sources.stored import StoredSource
from backend.storage.service import FileVault, TenantKey
from backend.tenancy import Purpose, Tenancy

queries = Queries.beside(__file__, source=StoredSource, item=KnownItem)

RUN = "source:run"  # the kind of job


@dataclass(frozen=True, slots=True)
class BegunRun:
    """A run that a worker has, and what it begins with."""

    source: StoredSource
    collection: CollectionView
    connector: Connector
    items: Sequence[KnownItem]
    cursor: str | None
    key: TenantKey
    dry_run: bool
    accept_gone: bool


@dataclass(frozen=True, slots=True)
class RunEnding:
    """Says why nothing came of a run."""

    tenancy: Tenancy
    recorder: Recorder

    async def on_failure(self, connection: Connection, caller: Caller, failure: JobFailure) -> None:
        """Ends the run and records why; a later one, which is due by itself, begins anew."""
        await self.tenancy.bind(connection, caller.claims(presented={Purpose.WITHDRAWING: str(failure.job_id)}))
        state = "cancelled" if failure.outcome is Outcome.ABORTED else "failed"
        row = await connection.fetchrow(
            queries.end_run, caller.tenant_id, failure.job_id, state, failure.reason[:200]
        )  # fmt: skip
        if row is None:  # the source was deleted
            return
        SOURCE_RUNS.labels(state).inc()
        told = SourceRan(id=row["source_id"], run=failure.job_id, dry_run=row["dry_run"], asked_by=row["asked_by"])
        await self.recorder.record(connection, caller, Event(told, failure.outcome, failure.reason))


@dataclass(frozen=True, slots=True)
class Running(RunEnding):
    """Runs sources."""

    vault: FileVault
    opening: Opening

    async def run(self, job: Job) -> None:
        """Raises JobFailed for a source that cannot be read; nothing has changed then."""
        if job.caller.kind != "source":
            raise JobFailed("no_source", "This was not asked for by a source.")
        job.caller.require(Permission.DOCUMENTS_WRITE)
        try:
            begun = await self._begin(job)
            try:
                await self._run(job, begun)
            finally:
                await begun.connector.aclose()
        except SourceFailed as error:
            raise JobFailed(error.code, error.detail) from error

    async def _begin(self, job: Job) -> BegunRun:
        assert job.caller.principal_id is not None
        own = (job.tenant_id, job.caller.principal_id)
        async with job.transaction() as connection:
            row = await connection.fetchrow(queries.begin_run, job.tenant_id, job.id, job.caller.principal_id)
            source = await fetch_row(connection, StoredSource, queries.own_source, *own)
            if row is None or source is None:
                raise JobFailed("run_over", "The run is over already, or its source was deleted.")
            collection = await readable_collection(connection, job.caller, source.collection_id)
            if not collection.approval_required:
                raise JobFailed("collection_unreviewed", "The collection asks for no approval any more.")
            key = await self.vault.key(connection, job.tenant_id)
            sealed = await connection.fetchval(queries.own_sealed)
            proved = _proof(key, source, sealed)
            items = await fetch_rows(connection, KnownItem, queries.items, *own)
            cursor = source.cursor_of(await connection.fetchval(queries.last_cursor, *own))
            stale = await uploads.end_stale(connection)
            await connection.execute(queries.forget_old_runs)
        for file_id in stale:
            await self.vault.delete(job.tenant_id, file_id)
        try:
            check_metadata(source.metadata, collection.metadata_schema)
        except InvalidInput as error:
            raise JobFailed("metadata", "The collection takes no documents with this source's metadata.") from error
        connector = self.opening.connector(source, proved)
        return BegunRun(source, collection, connector, items, cursor, key, row["dry_run"], row["accept_gone"])

    async def _run(self, job: Job, begun: BegunRun) -> None:
        bounds = self.opening.bounds
        listing = await begun.connector.listing(begun.cursor)
        if len(listing.seen) > bounds.items:
            raise SourceFailed("too_many_items", f"The source holds more than {bounds.items} files.")
        plan = planned(listing, begun.items, bounds.file_bytes)
        if begun.dry_run:
            await self._finish_dry(job, begun, await expected(begun.connector, plan))
            return
        fetching = Fetching(
            job=job, vault=self.vault, recorder=self.recorder, key=begun.key, bounds=bounds, connector=begun.connector
        )
        looked = Looked()
        try:
            await fetching.look(plan, looked)
            applied = await self._finish(job, begun, listing, plan, looked)
        except BaseException as error:
            await fetching.discard([staged.stored.id for staged in looked.staged if not _may_be_kept(error)])
            raise
        await fetching.discard(applied.refused_files)
        for file_id in applied.known_files:
            await self.vault.delete(job.tenant_id, file_id)

    async def _finish(self, job: Job, begun: BegunRun, listing: Listing, plan: Plan, looked: Looked) -> Applying:
        """Lets everything in, and ends the run and its job, in one transaction."""
        async with job.transaction() as connection:
            await job.hold(connection)
            applying = Applying(
                connection=connection, caller=job.caller, recorder=self.recorder, source=begun.source,
                collection=begun.collection, renew=job.renewal(connection, {}),
            )  # fmt: skip
            report = await applying.apply(plan, looked, accept_gone=begun.accept_gone)
            # Where something was left, or was not taken for a reason that may pass, the next run begins where this one did.
            again = looked.left > 0 or report.asks_again
            cursor = begun.source.stored_cursor(begun.cursor if again else listing.cursor)
            await self._end(connection, job, begun, report, cursor)
        return applying

    async def _finish_dry(self, job: Job, begun: BegunRun, report: RunReport) -> None:
        async with job.transaction() as connection:
            await self._end(connection, job, begun, report, None)

    async def _end(
        self, connection: Connection, job: Job, begun: BegunRun, report: RunReport, cursor: str | None
    ) -> None:
        ended = await connection.fetchval(
            queries.finish_run, job.tenant_id, job.id, begun.source.id, report.result(), report.changes, cursor
        )
        if ended is None:
            raise JobFailed("run_over", "The run is over already.")
        told = SourceRan(
            id=begun.source.id, run=job.id, dry_run=begun.dry_run, collection=begun.collection.slug,
            counts=report.counted(), refused=dict(report.reasons),
        )  # fmt: skip
        await self.recorder.record(connection, job.caller, Event(told))
        await job.finish(connection, report.result())
        SOURCE_RUNS.labels("dry" if begun.dry_run else "succeeded").inc()


def _proof(key: TenantKey, source: StoredSource, sealed: bytes | None) -> Mapping[str, str]:
    """Returns what a source proves itself with, where it points now; raises SourceFailed."""
    if sealed is None:
        return {}
    place = credentials.place_of(source.kind, source.address, source.options)
    return credentials.unseal(key, source.id, place, sealed)


def _may_be_kept(error: BaseException) -> bool:
    """Tells whether a transaction that failed may have been committed all the same; its files then stay for a day."""
    return isinstance(error, asyncpg.PostgresConnectionError | asyncpg.InterfaceError) or getattr(
        error, "reason", ""
    ).startswith("commit:")
