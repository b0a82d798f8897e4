"""Connections to PostgreSQL and the named queries that run on them."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg
import orjson
import pgvector.asyncpg
import structlog

from backend import metrics
from backend.errors import NotAtHome, Unavailable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pydantic import BaseModel

Row = TypeVar("Row")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

log = structlog.get_logger()
_CLOSE_SECONDS = 5.0  # for a connection that could not be prepared; then it is cut
_releasing: set[asyncio.Future[None]] = set()  # asyncio itself keeps only weak references

_PACKAGE = Path(__file__).parent
_NAMED_QUERY = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)

# What a database that is away, starting, stopping, full, overloaded, a standby or not migrated looks like to its client.
UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.PostgresSystemError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
)


# What `tenancy.require_home()` raises, and `tenancy.context()`.
_NOT_AT_HOME = "AF421"

# The runtime role may change its own defaults, and so may SQL that is injected into it: what durability and the policies rest on
# does not follow them. Only a server whose commits also wait for its standbys keeps that.
PINNED_COMMIT = """set_config('synchronous_commit',
  case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, {local})"""
_PIN = f"""select {PINNED_COMMIT.format(local=False)}, set_config('row_security', 'on', false),
  set_config('search_path', 'pg_catalog, public', false);"""


class Queries:
    """The statements of a `queries.sql`, as attributes; each starts with `-- name: x` and a sentence.

    A statement says `{x}` for the columns of the row class that is given as `x`.
    """

    def __init__(self, *paths: Path, **rows: "type[DataclassInstance | BaseModel]") -> None:
        self._statements: dict[str, str] = {}
        for path in paths:
            text = path.read_text()
            for name, row in rows.items():
                text = text.replace(f"{{{name}}}", ", ".join(_columns(row)))
            parts = _NAMED_QUERY.split(text)
            self._statements |= zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True)

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(name) from None

    @classmethod
    def beside(cls, module_file: str, **rows: "type[DataclassInstance | BaseModel]") -> "Queries":
        """Loads the `queries.sql` in the folder of a module, given its `__file__`, and those of the folders above it.

        What several sub-packages of a domain ask stands in the domain's own file.
        """
        folders = [folder for folder in Path(module_file).parents if _PACKAGE in folder.parents]
        paths = [folder / "queries.sql" for folder in reversed(folders) if (folder / "queries.sql").exists()]
        return cls(*paths, **rows)


def _columns(row: "type[DataclassInstance | BaseModel]") -> list[str]:
    return [field.name for field in fields(row)] if is_dataclass(row) else list(row.model_fields)


async def fetch_rows(connection: Connection, row: Callable[..., Row], statement: str, *values: object) -> list[Row]:
    """Returns what a statement finds, as rows of a class that has its columns."""
    return [row(**found) for found in await connection.fetch(statement, *values)]


async def fetch_row(connection: Connection, row: Callable[..., Row], statement: str, *values: object) -> Row | None:
    """Returns the first row that a statement finds, of a class that has its columns; None where it finds none."""
    found = await connection.fetchrow(statement, *values)
    return None if found is None else row(**found)


def _dump_json(value: object) -> str:
    text: str = orjson.dumps(value).decode()
    return text


async def prepare_connection(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Pins settings of a new connection, and teaches it the types of pgvector, and JSON as Python values."""
    await connection.execute(_PIN)
    try:
        await pgvector.asyncpg.register_vector(connection)
    except ValueError as error:  # infra/roles.sql has not been run yet
        raise asyncpg.InterfaceError("the database has no extension vector") from error
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=_dump_json, decoder=orjson.loads, schema="pg_catalog")


async def _reset_connection(connection: Connection) -> None:
    """Leaves nothing of a request on its connection; the pool throws the connection away when this fails.

    A statement prepared by SQL fails it: under a name of the driver's own it would run in the place of what the next
    caller means, and see that caller's context.
    """
    guard = "select 1 / (count(*) = 0)::int as clean from pg_prepared_statements where from_sql;"
    await connection.execute(guard + connection.get_reset_query() + _PIN)


async def _prepare_lent_connection(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """In one transaction: a pooler may lend another server process to each, and a statement is prepared in one of them."""
    async with connection.transaction():
        await prepare_connection(connection)


async def connect(
    url: str,
    *,
    other_passwords: Sequence[str] = (),
    **options: Any,  # noqa: ANN401 - of asyncpg.connect
) -> "asyncpg.Connection[asyncpg.Record]":
    """Connects. Where the server refuses the address's password, which may be being exchanged, tries the other ones."""
    for password in (None, *other_passwords):
        try:
            return await asyncpg.connect(url, password=password, **options)
        except asyncpg.InvalidPasswordError as error:
            refused = error
    raise refused


async def _connect_prepared(
    prepare: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[None]]",
    url: str,
    *,
    other_passwords: Sequence[str],
    **options: Any,  # noqa: ANN401 - of asyncpg.connect
) -> "asyncpg.Connection[asyncpg.Record]":
    """Connects and prepares the connection.

    The pool would prepare it itself, but waits for a connection to close that it could not prepare. Whoever is cancelled
    meanwhile is told of the connection's fault alone, and goes on for ever where it tries again.
    """
    connection = await connect(url, other_passwords=other_passwords, **options)
    try:
        await prepare(connection)
    except BaseException:
        _finish(connection.close(timeout=_CLOSE_SECONDS))
        raise
    return connection


async def open_pool(
    url: str,
    *,
    size: int,
    timeout: float,  # noqa: ASYNC109 - of a connection, not of this call
    behind_pooler: bool = False,
    other_passwords: Sequence[str] = (),
) -> Pool:
    """Opens a pool of at most `size` connections that connects on demand, so that a database may come later."""
    prepare = _prepare_lent_connection if behind_pooler else prepare_connection
    return await asyncpg.create_pool(
        url, min_size=0, max_size=size, timeout=timeout, command_timeout=30, reset=_reset_connection,
        max_inactive_connection_lifetime=300, statement_cache_size=0 if behind_pooler else 200,
        connect=partial(_connect_prepared, prepare, other_passwords=other_passwords),
    )  # fmt: skip


def end_if_cancelled() -> None:
    """Raises CancelledError in a task that was cancelled: a driver whose connection breaks meanwhile tells of that alone.

    What tries again until it is cancelled calls this when something has failed, or it would never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@asynccontextmanager
async def reachable(pool: Pool, *, timeout: float) -> AsyncIterator[Connection]:  # noqa: ASYNC109 - of the wait for a connection
    """Lends a connection; raises Unavailable when the database cannot be reached within `timeout` seconds, or goes away.

    Raises NotAtHome when the database refuses a tenant that has moved.
    """
    try:
        started = time.perf_counter()
        async with asyncio.timeout(timeout):  # the pool's own would cost a task
            connection = await pool.acquire()
        metrics.CONNECTION_SECONDS.observe(time.perf_counter() - started)
        metrics.CONNECTIONS.inc()
        try:
            yield connection
        finally:
            metrics.CONNECTIONS.dec()
            _give_back(pool, connection)
    except UNREACHABLE as error:
        end_if_cancelled()
        raise Unavailable(reason=f"database:{type(error).__name__}") from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == _NOT_AT_HOME:
            raise NotAtHome(reason="cell:not_at_home") from error
        raise


def _give_back(pool: Pool, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
    """Returns a connection while its user goes on: to wipe it is a round trip. The pool lends it to nobody before that."""
    _finish(pool.release(connection))


def _finish(ending: Coroutine[None, None, None]) -> None:
    """Lets a connection end its business while its user goes on."""
    releasing = asyncio.ensure_future(ending)
    _releasing.add(releasing)
    releasing.add_done_callback(_given_back)


def _given_back(releasing: asyncio.Future[None]) -> None:
    _releasing.discard(releasing)
    if not releasing.cancelled() and (error := releasing.exception()) is not None:
        log.warning("connection thrown away", reason=type(error).__name__)


@asynccontextmanager
async def transaction(pool: Pool, *, timeout: float) -> AsyncIterator[Connection]:  # noqa: ASYNC109 - of the wait for a connection
    """Runs one transaction: committed when the block ends, rolled back when it raises.

    Raises Unavailable when the database cannot be reached within `timeout` seconds, goes away, or cannot commit.
    """
    async with reachable(pool, timeout=timeout) as connection:
        opened = connection.transaction()
        async with asyncio.timeout(timeout):  # a server that hangs keeps its connections open
            await opened.start()
        try:
            yield connection
        except BaseException:
            await opened.rollback()
            raise
        await _commit(opened)


async def _commit(opened: asyncpg.transaction.Transaction) -> None:
    try:
        await opened.commit()
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        detail = "The database went away while it committed; whether anything was changed is not known."
        raise Unavailable(detail, reason=f"commit:{type(error).__name__}") from error
    except asyncpg.PostgresError as error:
        raise Unavailable(reason=f"commit:{type(error).__name__}") from error
