"""Limits on how often something may be asked, counted in PostgreSQL: they hold over workers and restarts."""

from collections.abc import Iterable
from dataclasses import dataclass

from backend.database import Connection, Queries
from backend.errors import TooManyRequests

queries = Queries.beside(__file__)

MINUTE, DAY = 60, 86_400


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests` of a subject (such as `key:<id>`) in each window of so many seconds of one tenant."""

    subject: str
    seconds: int
    requests: int


async def enforce(connection: Connection, limits: Iterable[Limit]) -> None:
    """Counts one request against each limit of the bound tenant; raises TooManyRequests when one is used up.

    The transaction then rolls back, so that what was refused does not count.
    """
    for limit in limits:
        row = await connection.fetchrow(queries.count_request, limit.subject, limit.seconds)
        assert row is not None
        if row["requests"] > limit.requests:
            kind = limit.subject.partition(":")[0]
            raise TooManyRequests(retry_after=row["retry_after"], reason=f"limit:{kind}:{limit.seconds}s")
