"""Verifies the log whose leaves are the checkpoints of all others: a checkpoint that was removed or changed is named by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from backend.database import Connection, fetch_rows
from backend.ledger.checkpoints import Checkpoint, InvalidNote, VerifierKey, log_origin, open_checkpoint
from backend.ledger.history import META_LOG, META_LOG_NAME, queries
from backend.ledger.merkle import Frontier, leaf_hash
from backend.ledger.verifier import MAX_SHOWN, Kind, Report

PAGE = 1_000
_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class ListedCheckpoint:
    """A checkpoint of a tenant's log, and the hash under which it was sealed; None for one that never was."""

    tenant_id: UUID
    id: UUID
    size: int
    note: str
    hash: bytes | None


async def verify_checkpoints(connection: Connection, keys: Sequence[VerifierKey], report: Report) -> None:
    """Reports what contradicts the log of all checkpoints; reads as the sealer."""
    await _verify_tree(connection, keys, report)
    for row in await connection.fetch(queries.removed_checkpoints, META_LOG, MAX_SHOWN):
        report.add(Kind.MISSING, f"checkpoint {row['event_id']}", f"was signed as {row['index']} of all, and is gone")
    tenant, last = _FIRST, _FIRST
    while True:
        page = await fetch_rows(
            connection, ListedCheckpoint, queries.checkpoints_of_tenants, META_LOG, tenant, last, PAGE
        )
        for checkpoint in page:
            _judge(checkpoint, report)
        if len(page) < PAGE:
            return
        tenant, last = page[-1].tenant_id, page[-1].id


async def _verify_tree(connection: Connection, keys: Sequence[VerifierKey], report: Report) -> None:
    """Computes the tree again and holds it against what was signed of it."""
    frontier, signed = Frontier(), dict[int, bytes]()
    while page := await connection.fetch(queries.meta_leaves, META_LOG, frontier.size, PAGE):
        for note in await connection.fetch(queries.meta_notes, META_LOG, frontier.size + 1, page[-1]["index"] + 1):
            if (checkpoint := _opened(note["note"], keys)) is None:
                report.add(Kind.INVALID, "checkpoints", f"that of {note['size']} is not signed by the given key")
            else:
                signed[checkpoint.size] = checkpoint.root
        for row in page:
            if row["index"] != frontier.size:
                report.add(Kind.GAP, "checkpoints", f"the leaf of {frontier.size} of all is gone; nothing follows it")
                return
            frontier.append(bytes(row["hash"]))
            root = signed.pop(frontier.size, None)
            if root is not None and root != frontier.root():
                report.add(
                    Kind.INVALID, "checkpoints", f"{frontier.size} of all do not hash to the root that was signed"
                )
                return
    if frontier.size:
        report.add(Kind.OK, "checkpoints", f"{frontier.size} of all logs are in the signed log of checkpoints")


def _judge(checkpoint: ListedCheckpoint, report: Report) -> None:
    subject = f"checkpoint {checkpoint.id}"
    if checkpoint.hash is None:
        report.add(Kind.INVALID, subject, f"of the log {checkpoint.tenant_id} was never signed with the others")
    elif leaf_hash(checkpoint.note.encode()) != checkpoint.hash:
        report.add(Kind.INVALID, subject, f"of the log {checkpoint.tenant_id} was changed after it was signed")
    elif checkpoint.note.split("\n")[1] != str(checkpoint.size):
        report.add(Kind.INVALID, subject, f"of the log {checkpoint.tenant_id} is said to be of another size")


def _opened(note: str, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    try:
        checkpoint = open_checkpoint(note, keys)
    except InvalidNote:
        return None
    return checkpoint if checkpoint.origin in {log_origin(key.name, META_LOG_NAME) for key in keys} else None
