"""Moves a tenant between the partition that small tenants share and one of its own, while it is read and written.

A chunk's `placement` names its partition, so moving it is an update: every snapshot has it exactly once. Searches look in
both partitions at any time and writers follow `retrieval.placement`, so nothing depends on when who notices the move. Each
step is a transaction that can be repeated: a command that was killed is carried on by giving it again.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import asyncpg

from backend.audit.actions.operation import TenantChanged
from backend.database import Connection, Queries
from backend.documents.locks import lock_documents
from backend.operation.service import Operator, OperatorError

queries = Queries(Path(__file__).with_name("placement.sql"))

SHARED = UUID(int=0)
_BATCH = 500  # chunks whose versions are locked at once: some tens of milliseconds
_ATTEMPTS = 20  # to get a lock that others hold for moments
_DENSE_GRAPH = "with (m = 32, ef_construction = 128)"
_SPARSE_GRAPH = "with (m = 16, ef_construction = 64)"
# What has a rare word may be near to nothing in the graph.
_INVERTED = "using gin (retrieval.dimensions(sparse)) with (fastupdate = off)"

# Told of each step: its name, how many chunks or indexes it is through with, and of how many.
Progress: TypeAlias = Callable[[str, int, int], None]


async def promote(owner_url: str, tenant_id: UUID, progress: Progress) -> None:
    """Gives a tenant a partition and indexes of its own; returns when searches use them."""
    async with _moving(owner_url, tenant_id) as connection:
        await _place(connection, tenant_id, "promoting", create=True)
        await _move(connection, tenant_id, SHARED, tenant_id, progress)
        models = await _build_indexes(connection, tenant_id, progress)
        await connection.execute(queries.indexed, tenant_id, models)
        # Whoever wrote while the move began may have used the shared partition until now.
        await _move(connection, tenant_id, SHARED, tenant_id, progress)


async def demote(owner_url: str, tenant_id: UUID, progress: Progress) -> None:
    """Brings a tenant back into the shared partition and drops its own."""
    async with _moving(owner_url, tenant_id) as connection:
        if not await is_private(connection, tenant_id):
            raise OperatorError("the tenant has no partition of its own")
        await _place(connection, tenant_id, "demoting", create=False)
        while True:
            await _move(connection, tenant_id, tenant_id, SHARED, progress)
            if await _drop(connection, tenant_id):
                return


async def proposals(connection: Connection, crossover: int) -> list[tuple[str, int]]:
    """Returns tenants (slug, chunks) that searches would serve faster from a partition of their own."""
    return [(row["slug"], row["chunks"]) for row in await connection.fetch(queries.proposals, crossover)]


def _partition(tenant_id: UUID) -> str:
    return f"documents.chunk_{tenant_id.hex}"


@asynccontextmanager
async def _moving(owner_url: str, tenant_id: UUID) -> AsyncIterator[Connection]:
    """Opens a connection that nobody else moves this tenant on."""
    connection = await asyncpg.connect(owner_url)
    try:
        name = f"placement {tenant_id}"
        if not await connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", name):
            raise OperatorError("this tenant is being moved already")
        # Else an index goes on being built for a command that was killed, and holds up the one that carries on.
        await connection.execute("set client_connection_check_interval = '1s'")
        await connection.execute("set lock_timeout = '1s'; set maintenance_work_mem = '512MB'")
        yield connection
    finally:
        await connection.close()


async def _place(connection: Connection, tenant_id: UUID, state: str, *, create: bool) -> None:
    async def step() -> bool:
        if create:
            await connection.execute("select retrieval.create_private_partition($1)", tenant_id)
        await connection.execute(queries.place, tenant_id, state)
        await Operator(connection).record(tenant_id, TenantChanged(placement=state))
        return True

    await _locking(connection, step)


async def _locking(connection: Connection, step: Callable[[], Awaitable[int]]) -> int:
    """Runs a step in a transaction of its own, again when others hold its locks for more than a second."""
    for attempt in range(_ATTEMPTS):
        try:
            async with connection.transaction():
                return await step()
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if attempt == _ATTEMPTS - 1:
                raise OperatorError("the table of chunks is locked by others; try again when it is quieter") from None
    raise AssertionError


async def _move(connection: Connection, tenant_id: UUID, source: UUID, target: UUID, progress: Progress) -> None:
    total = await connection.fetchval(queries.chunks_at, tenant_id, source)
    done = 0

    async def step() -> int:
        versions = [
            row["version_id"] for row in await connection.fetch(queries.next_versions, tenant_id, source, _BATCH)
        ]
        await locked_versions(connection, tenant_id, versions)
        moved = await connection.execute(queries.move_chunks, tenant_id, source, target, versions)
        nonlocal done
        done += int(moved.rpartition(" ")[2])
        return len(versions)

    while await _locking(connection, step):
        progress("moving", done, max(done, total))


async def _build_indexes(connection: Connection, tenant_id: UUID, progress: Progress) -> list[str]:
    """Builds what is missing without holding anybody up; returns the models whose vectors are indexed."""
    table = _partition(tenant_id)
    models = await connection.fetch(queries.models, tenant_id)
    for number, row in enumerate(models):
        progress("indexing meanings", number, len(models) + 1)
        await index_model(connection, tenant_id, row["embedding_model"], row["dimensions"])
    progress("indexing words", len(models), len(models) + 1)
    name = f"chunk_{tenant_id.hex}"
    await _index(connection, table, f"{name}_sparse", f"using hnsw (sparse sparsevec_ip_ops) {_SPARSE_GRAPH}")
    await _index(connection, table, f"{name}_terms", _INVERTED)
    await connection.execute(f"analyze {table}")
    progress("indexing words", len(models) + 1, len(models) + 1)
    return [row["embedding_model"] for row in models]


async def index_model(connection: Connection, tenant_id: UUID, model: str, dimensions: int) -> None:
    """Indexes a model's vectors in a tenant's partition, and lets searches use the index once the tenant is private."""
    literal = await connection.fetchval("select quote_literal($1)", model)
    name = f"chunk_{tenant_id.hex}_dense_{hashlib.sha256(model.encode()).hexdigest()[:8]}"
    await _index(
        connection, _partition(tenant_id), name,
        f"using hnsw ((dense::halfvec({int(dimensions)})) halfvec_cosine_ops) {_DENSE_GRAPH} where embedding_model = {literal}",
    )  # fmt: skip
    await connection.execute(queries.add_indexed_model, tenant_id, model)


async def is_private(connection: Connection, tenant_id: UUID) -> bool:
    """Returns whether a tenant has a partition of its own."""
    return await connection.fetchval("select to_regclass($1)", _partition(tenant_id)) is not None


async def locked_versions(connection: Connection, tenant_id: UUID, versions: Collection[UUID]) -> None:
    """Keeps everybody else from changing, moving or deleting the chunks of versions until the transaction ends."""
    documents = await connection.fetch(queries.documents_of_versions, tenant_id, list(versions))
    await lock_documents(connection, tenant_id, [row["document_id"] for row in documents])


async def _index(connection: Connection, table: str, name: str, definition: str) -> None:
    """Builds an index without holding anybody up; one that was being built when its command was killed is built anew."""
    async with _no_lock_timeout(connection):  # concurrent building waits for others and blocks nobody
        if await connection.fetchval(queries.is_unfinished, f"documents.{name}"):
            await connection.execute(f"drop index concurrently documents.{name}")
        await connection.execute(f"create index concurrently if not exists {name} on {table} {definition}")


@asynccontextmanager
async def _no_lock_timeout(connection: Connection) -> AsyncIterator[None]:
    await connection.execute("set lock_timeout = 0")
    try:
        yield
    finally:
        await connection.execute("set lock_timeout = '1s'")


async def _drop(connection: Connection, tenant_id: UUID) -> bool:
    """Drops the tenant's partition; False when somebody has written to it since it was emptied."""

    async def step() -> bool:
        # The table before its partition, as readers lock them: the other way round would deadlock with them.
        await connection.execute("lock table only documents.chunk in access exclusive mode")
        if await connection.fetchval(queries.chunks_at, tenant_id, tenant_id):
            return False
        await connection.execute(f"drop table {_partition(tenant_id)}")
        await connection.execute(queries.unplace, tenant_id)
        await Operator(connection).record(tenant_id, TenantChanged(placement="shared"))
        return True

    return bool(await _locking(connection, step))
