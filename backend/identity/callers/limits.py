"""Limits on how often something may be asked, counted in PostgreSQL: they hold over workers and restarts."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.database import Connection, Queries
from backend.errors import TooManyRequests

queries = Queries.beside(__file__)

MINUTE, HOUR, DAY = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests` of a subject (such as `key:<id>`) in each window of so many seconds of one tenant.

    No limit if `requests` is None.
    """

    subject: str
    seconds: int
    requests: int | None


async def enforce(connection: Connection, limits: Sequence[Limit]) -> None:
    """Counts one request against each limit of the bound tenant; raises TooManyRequests when one is used up.

    The transaction then rolls back, so that what was refused does not count. It also may not write anything that must
    survive a crash of the server. Name what many requests share last: its row is locked until the transaction ends.
    """
    given = [limit for limit in limits if limit.requests is not None]
    if not given:
        return
    exceeded = await connection.fetch(
        queries.count_requests,
        [limit.subject for limit in given],
        [limit.seconds for limit in given],
        [limit.requests for limit in given],
    )
    if exceeded:
        last = max(exceeded, key=lambda row: row["retry_after"])
        kind = last["subject"].partition(":")[0]
        raise TooManyRequests(retry_after=last["retry_after"], reason=f"limit:{kind}:{last['seconds']}s")
