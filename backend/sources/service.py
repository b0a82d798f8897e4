"""The rules of sources: how they are made, changed and forgotten, and how a run is asked for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.sources import SourceChanged, SourceCreated, SourceDeleted, SourceRunAsked
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.documents.collections.metadata_schema import check_metadata
from backend.documents.collections.models import CollectionView
from backend.documents.collections.service import get_collection
from backend.documents.files import uploads
from backend.egress import RefusedAddress
from backend.errors import Conflict, InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.jobs import service as jobs
from backend.sources import credentials
from backend.sources.asking import SourceHosts
from backend.sources.models import (
    LastRun,
    NewSource,
    NewSourceRun,
    RunDetails,
    RunPage,
    RunView,
    Schedule,
    SourceChange,
    SourceCredentials,
    SourceList,
    SourceOptions,
    SourceView,
)
from backend.sources.plan import KnownItem
from backend.sources.running import RUN
from backend.sources.scheduling import acting_source
from backend.sources.stored import StoredSource
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

queries = Queries.beside(__file__, source=StoredSource, item=KnownItem)

MOST_SOURCES = 50
_AFTER_ALL = UUID(int=2**128 - 1)
_OPTIONS = {"s3": frozenset({"prefix", "region"}), "graph": frozenset({"authority"})}
_NEVER_NULL = ("name", "address", "options", "source_type", "metadata", "schedule", "status")


async def create_source(
    connection: Connection, caller: Caller, recorder: Recorder, vault: FileVault, hosts: SourceHosts, wanted: NewSource
) -> SourceView:
    """Makes a source; raises NotFound and Conflict for the collection, and InvalidInput for an address that is not allowed."""
    host = _host(hosts, wanted.kind, wanted.address, wanted.options, wanted.credentials)
    _check_needs(wanted.kind, wanted.options, wanted.credentials)
    collection = await get_collection(connection, caller, wanted.collection)
    if not collection.approval_required:
        raise Conflict(
            "What a source brings is reviewed, and this collection asks for no approval.", reason="source:unreviewed"
        )
    _check_metadata(collection, wanted.metadata)
    await connection.execute(queries.one_source_at_a_time, str(caller.tenant_id))
    if await connection.fetchval(queries.count_sources, caller.tenant_id) >= MOST_SOURCES:
        raise Conflict(f"There are {MOST_SOURCES} sources already.", reason="source:many")
    source_id = uuid7()
    place = _place(wanted.kind, wanted.address, wanted.options, wanted.credentials)
    sealed = await _sealed(connection, caller, vault, source_id, place, wanted.credentials)
    with _name_is_free(wanted.name):
        await connection.execute(
            queries.add_source, caller.tenant_id, source_id, wanted.name, wanted.kind, collection.id, wanted.address,
            wanted.options.given(), sealed, wanted.source_type, wanted.metadata,
            wanted.schedule.every_minutes, wanted.schedule.daily_minute,
            caller.principal_id,
        )  # fmt: skip
    created = SourceCreated(id=source_id, kind=wanted.kind, collection=collection.slug, host=host)
    await recorder.record(connection, caller, Event(created))
    return await get_source(connection, caller, source_id)


async def list_sources(connection: Connection, caller: Caller) -> SourceList:
    """Returns the tenant's sources."""
    rows = await connection.fetch(queries.sources, caller.tenant_id, None)
    return SourceList(sources=[_view(dict(row)) for row in rows])


async def get_source(connection: Connection, caller: Caller, source_id: UUID) -> SourceView:
    """Returns a source; raises NotFound."""
    row = await connection.fetchrow(queries.sources, caller.tenant_id, source_id)
    if row is None:
        raise NotFound(reason="source:unknown")
    return _view(dict(row))


async def change_source(
    connection: Connection, caller: Caller, recorder: Recorder, vault: FileVault, hosts: SourceHosts, source_id: UUID,
    change: SourceChange,
) -> SourceView:  # fmt: skip
    """Changes what is named; the caller's person answers for the source from then on. Raises as `create_source` does."""
    # Before anything of it is read: who moves it decides by whether it has credentials, which somebody else may be giving it.
    await connection.execute(queries.lock_source, caller.tenant_id, source_id)
    present = await get_source(connection, caller, source_id)
    named = {name: getattr(change, name) for name in change.model_fields_set}
    for name in _NEVER_NULL:
        if name in named and named[name] is None:
            raise InvalidInput(f"{name}: cannot be taken away")
    becomes = present.model_copy(update=named)
    host = _host(
        hosts,
        becomes.kind,
        becomes.address,
        becomes.options,
        change.credentials,
        has_credentials=present.has_credentials,
    )
    if "address" in named or "options" in named:
        _check_moved(present, becomes, given="credentials" in named)
    _check_needs(
        becomes.kind, becomes.options, change.credentials, kept=present.has_credentials and "credentials" not in named
    )
    _check_metadata(await get_collection(connection, caller, present.collection), becomes.metadata)
    with _name_is_free(becomes.name):
        await connection.execute(
            queries.change_source, caller.tenant_id, source_id, becomes.name, becomes.address,
            becomes.options.given(), becomes.source_type,
            becomes.metadata, becomes.schedule.every_minutes, becomes.schedule.daily_minute, becomes.status,
        )  # fmt: skip
    if "credentials" in named:
        place = _place(becomes.kind, becomes.address, becomes.options, change.credentials)
        sealed = await _sealed(connection, caller, vault, source_id, place, change.credentials)
        await connection.execute(queries.seal_credentials, caller.tenant_id, source_id, sealed)
    changed = SourceChanged(
        id=source_id, changed=sorted(named), host=host if "address" in named else None, status=named.get("status")
    )
    await recorder.record(connection, caller, Event(changed))
    return await get_source(connection, caller, source_id)


async def delete_source(connection: Connection, caller: Caller, recorder: Recorder, source_id: UUID) -> None:
    """Forgets a source and its runs, of which the log keeps the counts; what came from it stays. Raises NotFound."""
    if await connection.fetchval(queries.delete_source, caller.tenant_id, source_id) is None:
        raise NotFound(reason="source:unknown")
    await recorder.record(connection, caller, Event(SourceDeleted(id=source_id)))


async def ask_run(
    tenancy: Tenancy, connection: Connection, caller: Caller, recorder: Recorder, source_id: UUID, wanted: NewSourceRun
) -> RunView:
    """Queues a run, which acts as the source; raises NotFound, and Conflict for one that is disabled or runs already."""
    source = await get_source(connection, caller, source_id)
    if source.status != "enabled":
        raise Conflict("The source is disabled: enable it first.", reason="source:disabled")
    acting = acting_source(caller.tenant_id, source_id, caller.request_id)
    await tenancy.bind(connection, acting.claims())
    await connection.execute(queries.end_lost_run, caller.tenant_id, source_id)
    await tenancy.bind(connection, caller.claims())
    run_id = uuid7()
    added = await connection.fetchval(
        queries.add_run, caller.tenant_id, run_id, source_id, wanted.dry_run, wanted.accept_gone
    )
    if added is None:
        raise Conflict("A run of this source is not over yet.", reason="source:runs")
    asked = SourceRunAsked(id=source_id, run=run_id, dry_run=wanted.dry_run, accept_gone=wanted.accept_gone)
    await recorder.record(connection, caller, Event(asked))
    await tenancy.bind(connection, acting.claims())
    await jobs.enqueue(connection, acting, RUN, {}, job_id=run_id)
    await tenancy.bind(connection, caller.claims())
    return await get_run(connection, caller, source_id, run_id)


async def list_runs(
    connection: Connection, caller: Caller, source_id: UUID, *, limit: int, cursor: UUID | None
) -> RunPage:
    """Returns a page of the runs of a source; raises NotFound."""
    await get_source(connection, caller, source_id)
    rows = await connection.fetch(queries.runs, caller.tenant_id, source_id, cursor or _AFTER_ALL, limit + 1)
    shown = [RunView(**dict(row)) for row in rows[:limit]]
    return RunPage(runs=shown, next_cursor=shown[-1].id if len(rows) > limit else None)


async def get_run(connection: Connection, caller: Caller, source_id: UUID, run_id: UUID) -> RunDetails:
    """Returns a run with what became of files; raises NotFound."""
    row = await connection.fetchrow(queries.run, caller.tenant_id, source_id, run_id)
    if row is None:
        raise NotFound(reason="source:run")
    return RunDetails(**dict(row))


def _view(row: dict[str, Any]) -> SourceView:
    last = None
    if row["run_id"] is not None:
        last = LastRun(
            id=row["run_id"], state=row["run_state"], reason=row["run_reason"], finished_at=row["run_finished_at"],
            counts=row["run_counts"],
        )  # fmt: skip
    schedule = Schedule.of(row["every_minutes"], row["daily_minute"])
    shown = {name: row[name] for name in SourceView.model_fields if name in row}
    return SourceView(**shown, schedule=schedule, last_run=last)


def _host(
    hosts: SourceHosts, kind: str, address: str, options: SourceOptions, given: SourceCredentials | None, *,
    has_credentials: bool = False,
) -> str | None:  # fmt: skip
    """Returns the host of an address, None for several; raises InvalidInput for one from which nothing may be fetched."""
    urls = address.split()
    if kind != "urls" and len(urls) != 1:
        raise InvalidInput("address: The source has one address, without spaces.", reason="source:address")
    try:
        found = {hosts.mail_host_of(url) if kind == "imap" else hosts.host_of(url) for url in urls}
        if options.authority is not None:
            hosts.host_of(options.authority)
    except RefusedAddress as error:
        raise InvalidInput(f"address: {error}", reason="source:address") from error
    if len(credentials.origins_of(address)) > 1 and (has_credentials or given is not None):
        raise InvalidInput("credentials: The addresses must be on one host, or each would be sent them.")
    return found.pop() if len(found) == 1 else None


def _check_needs(kind: str, options: SourceOptions, given: SourceCredentials | None, *, kept: bool = False) -> None:
    """Raises InvalidInput where a kind of source lacks what it needs, or is told what it does not know."""
    names = set(given.given()) if given is not None else set()
    if unknown := options.given().keys() - _OPTIONS.get(kind, frozenset()):
        raise InvalidInput(f"options.{min(unknown)}: sources of this kind do not have it")
    if kind == "graph" and options.authority is None:
        raise InvalidInput("options.authority: a library is asked with tokens that a directory grants")
    if (needed := credentials.NEEDED.get(kind)) is not None:
        if not kept and names != needed:
            raise InvalidInput(f"credentials: this kind is asked with {' and '.join(sorted(needed))}")
    elif names not in (set(), {"token"}, {"username", "password"}):
        raise InvalidInput("credentials: are either token, or username and password")


def _check_moved(present: SourceView, becomes: SourceView, *, given: bool) -> None:
    """Raises InvalidInput where stored credentials would be sent to another server than the one that they are for."""
    moved = credentials.origins_of(becomes.address) != credentials.origins_of(present.address)
    moved = moved or becomes.options.authority != present.options.authority
    if present.has_credentials and not given and moved:
        raise InvalidInput("credentials: must be given anew for another host", reason="source:moved")


def _check_metadata(collection: CollectionView, metadata: Mapping[str, Any]) -> None:
    if reserved := set(metadata) & uploads.OWN_FIELDS:
        raise InvalidInput(f"metadata.{min(reserved)}: has a meaning of its own")
    check_metadata(metadata, collection.metadata_schema)


def _place(kind: str, address: str, options: SourceOptions, given: SourceCredentials | None) -> str:
    """Returns what credentials are for that are given; nothing for none."""
    return "" if given is None or not given.given() else credentials.place_of(kind, address, options.given())


async def _sealed(
    connection: Connection,
    caller: Caller,
    vault: FileVault,
    source_id: UUID,
    place: str,
    given: SourceCredentials | None,
) -> bytes | None:
    """Returns credentials for the server that the source points to from now on."""
    if given is None or not given.given():
        return None
    return credentials.seal(await vault.key(connection, caller.tenant_id), source_id, place, given.given())


@contextmanager
def _name_is_free(name: str) -> Iterator[None]:
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"There is a source {name!r} already.", reason="source:exists") from error
