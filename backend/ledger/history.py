"""Holds the database's log against the checkpoints that sinks keep, and declares what a restored database has lost.

A database that was put back, or a replica that was promoted before it had everything, is behind its own checkpoints. To seal
on would sign a second history. Two people of the operator decide; then each log gets a declaration, signed like a checkpoint:

    affidavit.example/restored/0193…     origin: never that of a log
    1208                                 leaves that are left
    pFzU0b1x…=                           their root hash
    time 1795500000123                   when it was declared
    lost 1214 q83vEj…= 1795400000456     the newest lost checkpoint: leaves, root and time
    reason Disk failure in zone b        what the operator says

    — affidavit.example 9kPe…=
"""

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from backend.database import Connection, Queries
from backend.ledger.checkpoints import (
    Checkpoint,
    InvalidNote,
    SigningKey,
    VerifierKey,
    log_origin,
    open_kept,
    sign_text,
)
from backend.ledger.keyring import HANDOVER
from backend.ledger.merkle import Frontier
from backend.ledger.rounds import head_of
from backend.ledger.sinks import CheckpointSink, CheckpointsNotKept

queries = Queries.beside(__file__)

# The log whose leaves are the checkpoints of all others: one signature of it proves every one of them.
META_LOG = UUID(int=1)
META_LOG_NAME = "checkpoints"

RESTORED = "restored"
# Sinks are read from a little before the database's newest checkpoint: a sealer signs one a minute at least.
_OVERLAP = timedelta(seconds=90)


class Forked(Exception):
    """Sinks keep checkpoints that this database does not have."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What a log has lost: `left` is what the database has, `newest` the newest checkpoint that it does not have."""

    log: str
    left: Checkpoint
    newest: Checkpoint

    def declaration(self, key: SigningKey, reason: str, moment: datetime) -> str:
        """Returns the signed declaration; raises InvalidNote for a reason that is not one printable line."""
        if not reason.isprintable() or not reason.strip():
            raise InvalidNote("a reason is one line of printable text")
        origin = log_origin(key.name, f"{RESTORED}/{self.log}")
        head = Checkpoint(origin, self.left.size, self.left.root, int(moment.timestamp() * 1000)).text
        root = base64.b64encode(self.newest.root).decode()
        return sign_text(f"{head}lost {self.newest.size} {root} {self.newest.time}\nreason {reason}\n", key)


async def compare(connection: Connection, sinks: Sequence[CheckpointSink], keys: Sequence[VerifierKey]) -> None:
    """Raises Forked when sinks keep checkpoints of all logs that the database lacks and that nobody declared lost.

    Raises CheckpointsNotKept when there are sinks and none answers.
    """
    since = await _since(connection)
    # From earlier on, since a clock that was set back between the two dates a row before the checkpoint in it.
    rows = await connection.fetch(queries.notes_since, META_LOG, since - _OVERLAP)
    known = {head_of(row["note"]) for row in rows}
    name = keys[0].name
    meta = log_origin(name, META_LOG_NAME)
    lacking: list[Checkpoint] = []
    declared: list[Checkpoint] = []
    async for checkpoint in _kept(sinks, since, keys):
        if checkpoint.origin == log_origin(name, f"{RESTORED}/{META_LOG_NAME}"):
            declared.append(checkpoint)
        elif checkpoint.origin == meta and checkpoint not in known:
            lacking.append(checkpoint)
    unexplained = [kept for kept in lacking if not any(_explains(one, kept) for one in declared)]
    if unexplained:
        newest = max(unexplained, key=lambda kept: (kept.time, kept.size))
        raise Forked(
            f"a kept checkpoint of {_moment(newest.time)}, of {newest.size} checkpoints of all logs, is not in this database. "
            "Was it restored, or a replica promoted? See `affidavit audit restore`"
        )


async def lost(connection: Connection, sinks: Sequence[CheckpointSink], keys: Sequence[VerifierKey]) -> list[Lost]:
    """Returns what each log has lost, that of all logs last; raises Forked where a log went on without what it lost."""
    since, prefix = await _since(connection), log_origin(keys[0].name, "")
    kept: dict[str, list[Checkpoint]] = {}
    async for checkpoint in _kept(sinks, since, keys):
        if checkpoint.origin != f"{prefix}{HANDOVER}":  # which is of no log, and stands beside them
            kept.setdefault(checkpoint.origin.removeprefix(prefix), []).append(checkpoint)
    newest = dict[str, Checkpoint]()
    for log, checkpoints in kept.items():
        declared = kept.get(f"{RESTORED}/{log}", [])
        lacking = [one for one in checkpoints if not any(_explains(known, one) for known in declared)]
        if lacking and not log.startswith(f"{RESTORED}/"):
            newest[log] = max(lacking, key=lambda one: (one.size, one.time))
    moment = int(since.timestamp() * 1000)
    found = []
    for log in sorted(newest, key=lambda log: (log == META_LOG_NAME, log)):
        row = await connection.fetchrow(queries.log, META_LOG if log == META_LOG_NAME else UUID(log))
        frontier = Frontier(row["size"], list(row["frontier"])) if row else Frontier()
        left = Checkpoint(newest[log].origin, frontier.size, frontier.root(), moment)
        if left.size < newest[log].size:
            found.append(Lost(log, left, newest[log]))
        elif left.size == newest[log].size and left.root != newest[log].root:
            raise Forked(f"the log {log} went on without what it had lost; this can only be shown, not declared")
    return found


async def _since(connection: Connection) -> datetime:
    """Returns from when on sinks are read: shortly before the database's newest checkpoint of all logs."""
    note = await connection.fetchval(queries.newest_note, META_LOG)
    if note is None:
        return datetime(1970, 1, 1, tzinfo=UTC)
    return datetime.fromtimestamp(head_of(note).time / 1000, UTC) - _OVERLAP


async def _kept(
    sinks: Sequence[CheckpointSink], since: datetime, keys: Sequence[VerifierKey]
) -> AsyncIterator[Checkpoint]:
    """Yields the checkpoints that one of the keys signed since a moment; what others wrote into the sinks stops nobody.

    Sinks yield earlier ones as well, which the database is not asked for.
    """
    failures = []
    first = since.timestamp() * 1000
    for sink in sinks:
        try:
            async for text in sink.since(since):
                with suppress(InvalidNote):
                    for checkpoint in open_kept(text, keys):
                        if checkpoint.time >= first:
                            yield checkpoint
        except CheckpointsNotKept as error:
            failures.append(str(error))
    if failures and len(failures) == len(sinks):
        raise CheckpointsNotKept(f"no sink answers: {failures[0]}")


def _explains(declaration: Checkpoint, kept: Checkpoint) -> bool:
    return kept.size >= declaration.size and kept.time <= declaration.time


def _moment(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
