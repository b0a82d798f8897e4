"""Verifies the log whose leaves are the checkpoints of all others: a checkpoint that was removed or changed is named by it."""

import base64
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from backend.database import Connection, fetch_rows
from backend.ledger.checkpoints import VerifierKey, log_origin
from backend.ledger.history import META_LOG, META_LOG_NAME, RESTORED, queries
from backend.ledger.merkle import Frontier, leaf_hash
from backend.ledger.rounds import entry_of
from backend.ledger.verifier import (
    MAX_SHOWN,
    Keys,
    Kind,
    OpenedCheckpoint,
    Report,
    open_checkpoint,
    open_declaration,
    open_text,
)

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


async def verify_checkpoints(
    connection: Connection, keys: Sequence[VerifierKey], report: Report, kept: Sequence[str] = ()
) -> None:
    """Reports what contradicts the log of all checkpoints, or what was kept of it; reads as the sealer."""
    trusted = Keys("\n".join(map(str, keys)))
    await _verify_tree(connection, trusted, {log_origin(key.name, META_LOG_NAME) for key in keys}, report, kept)
    for row in await connection.fetch(queries.removed_checkpoints, META_LOG, MAX_SHOWN):
        report.add(Kind.MISSING, f"checkpoint {row['event_id']}", f"was signed as {row['index']} of all, and is gone")
    tenant, last = _FIRST, _FIRST
    while True:
        page = await fetch_rows(
            connection, ListedCheckpoint, queries.checkpoints_of_tenants, META_LOG, tenant, last, PAGE
        )
        for checkpoint in page:
            _judge(checkpoint, trusted, report)
        if len(page) < PAGE:
            return
        tenant, last = page[-1].tenant_id, page[-1].id


async def _verify_tree(
    connection: Connection, keys: Keys, origins: set[str], report: Report, kept: Sequence[str]
) -> None:
    """Computes the tree again and holds it against what was signed of it, in the database and outside."""
    views = _views(kept, keys, origins)
    frontier, log, signed, roots = Frontier(), "", dict[int, bytes](), dict[int, bytes]()
    while page := await connection.fetch(queries.meta_leaves, META_LOG, frontier.size, PAGE):
        for note in await connection.fetch(queries.meta_notes, META_LOG, frontier.size + 1, page[-1]["index"] + 1):
            if (checkpoint := _opened(note["note"], keys, origins)) is None:
                report.add(Kind.INVALID, "checkpoints", f"that of {note['size']} is not signed by the given key")
            else:
                signed[checkpoint.size] = checkpoint.root
        for row in page:
            if row["index"] != frontier.size:
                report.add(Kind.GAP, "checkpoints", f"the leaf of {frontier.size} of all is gone; nothing follows it")
                return
            log = log or base64.b64encode(row["hash"]).decode()
            frontier.append(bytes(row["hash"]))
            root = signed.pop(frontier.size, None)
            if root is not None and root != frontier.root():
                report.add(
                    Kind.INVALID, "checkpoints", f"{frontier.size} of all do not hash to the root that was signed"
                )
                return
            if frontier.size in views:
                roots[frontier.size] = frontier.root()
    if frontier.size:
        report.add(Kind.OK, "checkpoints", f"{frontier.size} of all logs are in the signed log of checkpoints")
    _compare(views, log, roots, frontier.size, report)


def _views(kept: Iterable[str], keys: Keys, origins: set[str]) -> dict[int, list[OpenedCheckpoint]]:
    """Returns what was kept of the log of all checkpoints, by size, but for what was declared lost."""
    declared = []
    for note in kept:
        if f"/{RESTORED}/{META_LOG_NAME}\n" in note:
            with suppress(ValueError):
                declared.append(open_declaration(note, keys))
    lost = [one for one in declared if one.left.origin == f"{one.left.signer}/{RESTORED}/{META_LOG_NAME}"]
    views: dict[int, list[OpenedCheckpoint]] = {}
    for note in kept:
        with suppress(ValueError):  # the verification of each tenant's log says it
            for view in open_text(note, keys).views:
                if view.origin in origins and not any(one.explains(view) for one in lost):
                    views.setdefault(view.size, []).append(view)
    return views


def _compare(
    views: dict[int, list[OpenedCheckpoint]], log: str, roots: dict[int, bytes], size: int, report: Report
) -> None:
    """Reports views that the log contradicts; those of other cells are of other logs."""
    agreeing = 0
    for kept, found in sorted(views.items()):
        own = {view.root for view in found if view.log == log}
        if own and kept > size:
            report.add(
                Kind.MISSING, "checkpoints", f"had {kept} leaves when that was kept, and have no more than {size}"
            )
        elif own - {roots.get(kept)}:
            report.add(Kind.INVALID, "checkpoints", f"a kept one of all has another root at size {kept}")
        else:
            agreeing += len(own)
    if agreeing:
        report.add(Kind.OK, "checkpoints", f"agree with {agreeing} that were kept of all logs")


def _judge(checkpoint: ListedCheckpoint, keys: Keys, report: Report) -> None:
    subject, log = f"checkpoint {checkpoint.id}", f"of the log {checkpoint.tenant_id}"
    # Version 0.1.0 takes the whole of what a tenant brought from another cell for the leaf.
    entries = {leaf_hash(entry_of(checkpoint.note)), leaf_hash(checkpoint.note.encode())}
    if checkpoint.hash is None:
        report.add(Kind.INVALID, subject, f"{log} was never signed with the others")
    elif checkpoint.hash not in entries:
        report.add(Kind.INVALID, subject, f"{log} was changed after it was signed")
    elif checkpoint.note.split("\n")[1] != str(checkpoint.size):
        report.add(Kind.INVALID, subject, f"{log} is said to be of another size")
    elif fault := _fault(checkpoint.note, keys):
        report.add(Kind.INVALID, subject, f"{log} {fault}")


def _fault(note: str, keys: Keys) -> str:
    """Returns why a checkpoint does not prove what it says; nothing of one that another cell signed."""
    try:
        opened = open_checkpoint(note, keys)
    except ValueError as error:
        return f"cannot be read: {error}"
    return opened.fault if opened.proven_by and opened.proven_by.signer else ""


def _opened(note: str, keys: Keys, origins: set[str]) -> OpenedCheckpoint | None:
    try:
        checkpoint = open_checkpoint(note, keys)
    except ValueError:
        return None
    return checkpoint if checkpoint.signer and checkpoint.origin in origins else None
