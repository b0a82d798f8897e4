"""The report of usage: a caller's own and that of its keys, and all of the tenant for who manages keys or reviews the log."""

from datetime import UTC, date, datetime

import asyncpg

from backend.database import Connection
from backend.errors import InvalidInput
from backend.identity.callers.caller import Caller
from backend.identity.usage.accounting import MICROS, queries
from backend.identity.usage.models import Side, UsageReport, Used

LONGEST_DAYS = 366


async def report(
    connection: Connection, caller: Caller, by: Side, begins: date | None, ends: date | None, cursor: str | None, limit: int
) -> UsageReport:  # fmt: skip
    """Returns a page of what was asked of models; without days, of the running month in UTC. Raises InvalidInput."""
    last = ends or datetime.now(UTC).date()
    first = begins or last.replace(day=1)
    if not 0 <= (last - first).days < LONGEST_DAYS:
        raise InvalidInput(f"from: must not be after `to`, nor {LONGEST_DAYS} days or more before it")
    rows = await connection.fetch(queries.usage_by, caller.tenant_id, by, first, last, cursor, limit + 1)
    used = [_used(row) for row in rows[:limit]]
    following = used[-1].value if len(rows) > limit else None
    return UsageReport(by=by, begins=first, ends=last, usage=used, next_cursor=following)


def _used(row: asyncpg.Record) -> Used:
    return Used(
        value=row["value"], name=row["name"], requests=row["requests"], prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"], cost=row["cost_micros"] / MICROS,
    )  # fmt: skip
