"""What is counted of the database as a whole, by the one process that may see it: the sealer."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog
from prometheus_client import Gauge

from backend.database import Connection, Queries, open_pool, transaction
from backend.errors import ServiceError
from backend.review.events.service import first_id_at
from backend.settings import Settings, required

queries = Queries.beside(__file__)
log = structlog.get_logger()

EVERY_SECONDS = 5.0
_AT_MOST_SECONDS = 60.0
_SHARE = 0.02  # of the time may go to asking, as long as that is no reason to ask less than once a minute
TURNS_EVERY_SECONDS = 60.0  # that looks at every tenant
TURNS_WITHIN = timedelta(hours=1)

UNSEALED = Gauge("affidavit_unsealed_events", "Events that no log holds yet.")
LAG = Gauge("affidavit_seal_lag_seconds", "Age of the oldest of them.")
CHECKPOINT_AGE = Gauge("affidavit_checkpoint_age_seconds", "Age of the newest checkpoint.")
HALTED = Gauge("affidavit_sealing_halted", "1 while the log differs from a checkpoint that was kept.")
JOBS = Gauge("affidavit_jobs", "Jobs.", ["kind", "status"])
JOB_AGE = Gauge("affidavit_job_oldest_seconds", "Age of the oldest job.", ["kind", "status"])
TENANTS = Gauge("affidavit_tenants", "Tenants by how many chunks they hold.", ["chunks"])
LEFT_OPEN = Gauge(
    "affidavit_turns_left_open",
    "Questions without an end on record that nobody answers any more, for an hour.",
)
MEASURED_AT = Gauge("affidavit_measured_timestamp_seconds", "When the database was last asked for these.")


async def keep(settings: Settings) -> None:
    """Asks the database every five seconds until cancelled; measures of a database that is away stay as they were."""
    url = required(settings.sealer_database_url, "SEALER_DATABASE_URL")
    pool = await open_pool(
        url, size=1, timeout=settings.database_timeout, behind_pooler=settings.behind_pooler,
        other_passwords=settings.other_passwords,
    )  # fmt: skip
    turns_due = 0.0
    try:
        while True:
            began = time.monotonic()
            try:
                async with transaction(pool, timeout=settings.database_timeout) as connection:
                    await measure(connection)
                    if began >= turns_due:
                        await measure_turns(connection, settings.open_after)
                        turns_due = began + TURNS_EVERY_SECONDS
            except (ServiceError, asyncpg.PostgresError) as error:
                log.warning("the database was not measured", cause=type(error).__name__)
            await asyncio.sleep(pause_after(time.monotonic() - began))
    finally:
        await pool.close()


def pause_after(seconds: float) -> float:
    """Returns how long to wait after asking took so long: jobs of many tenants are many rows to count."""
    return max(EVERY_SECONDS, min(seconds / _SHARE, _AT_MOST_SECONDS))


async def measure(connection: Connection) -> None:
    """Sets the measures to what the sealer's connection sees now."""
    log_state = await connection.fetchrow(queries.measured_log)
    assert log_state is not None
    UNSEALED.set(log_state["events"])
    LAG.set(log_state["lag"])
    CHECKPOINT_AGE.set(log_state["checkpoint_age"])
    HALTED.set(log_state["halted"])
    for gauge in (JOBS, JOB_AGE, TENANTS):
        gauge.clear()  # a state that is empty now is none
    for row in await connection.fetch(queries.measured_totals):
        if row["kind"] is None:
            TENANTS.labels(row["band"]).set(row["number"])
        else:
            JOBS.labels(row["kind"], row["band"]).set(row["number"])
            JOB_AGE.labels(row["kind"], row["band"]).set(row["oldest"])
    MEASURED_AT.set(time.time())


async def measure_turns(connection: Connection, open_after: timedelta) -> None:
    """Counts the questions of all tenants that nobody answers any more: the process that did was killed."""
    now = datetime.now(UTC)
    first, last = first_id_at(now - open_after - TURNS_WITHIN), first_id_at(now - open_after)
    LEFT_OPEN.set(await connection.fetchval(queries.turns_left_open, first, last))
