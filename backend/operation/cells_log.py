"""The log of the cells' logs: what each cell's log of all checkpoints was, whenever the operator asked, signed with one key.

A cell's log holds the checkpoints of its tenants. Whoever rewrites a cell, its keys and what it keeps outside included, must also
rewrite this log, which is in no cell and is signed by none. A leaf is the text of a cell's checkpoint with its name. It is
only taken once the cell has proved that its log still begins with what was taken before.
"""

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from uuid_utils.compat import uuid7

from backend.cells import control
from backend.database import Connection
from backend.ledger.checkpoints import Checkpoint, InvalidNote, VerifierKey, log_origin, open_checkpoint
from backend.ledger.history import META_LOG, META_LOG_NAME
from backend.ledger.merkle import Frontier, consistency_path, leaf_hash, proof
from backend.ledger.rounds import GrowingLog, proven, signed_round
from backend.ledger.verifier import verify_consistency
from backend.ledger.verifier.proven import OF_CELLS
from backend.operation import every_cell
from backend.operation.every_cell import CellAnswer, queries
from backend.operation.moving.adding import Signing
from backend.operation.moving.cells import OpenCell
from backend.operation.service import OperatorError


@dataclass(frozen=True, slots=True)
class KnownCheckpoint:
    """A cell's checkpoint in the log: the text that is the leaf, and which leaf it is."""

    cell: str
    text: str
    index: int

    @property
    def checkpoint(self) -> Checkpoint:
        """What it says."""
        return Checkpoint.parse(self.text)

    @property
    def log(self) -> str:
        """By what the cell's log differs from others."""
        return next((line for line in self.text.split("\n") if line.startswith("log ")), "")


@dataclass(slots=True)
class CellsLog:
    """The log as it is in the control database, verified, and what is added to it."""

    signing: Signing
    log: GrowingLog = field(default_factory=lambda: GrowingLog(Frontier()))
    entries: list[KnownCheckpoint] = field(default_factory=list)
    note: str = ""
    _first: bytes | None = None

    @property
    def newest(self) -> dict[str, KnownCheckpoint]:
        """The newest checkpoint of each cell."""
        return {entry.cell: entry for entry in self.entries}

    async def read(self) -> None:
        """Reads the log; raises OperatorError unless the operator signed all of it."""
        for row in await self.signing.control.fetch(control.queries.checkpoints):
            self._append(row["cell"], row["entry"])
            self.note = row["note"] or self.note
        if self.entries:
            self.refuse_other(self.note, "the control database's log of checkpoints is not the one that was signed")

    def refuse_other(self, note: str, why: str) -> None:
        """Raises OperatorError unless a signed note is of this log, as it is or was."""
        key = self.signing.key
        try:
            signed = open_checkpoint(note, [key.verifier_key])
        except InvalidNote as error:
            raise OperatorError(f"{why}: {error}") from None
        frontier = Frontier()
        for entry in self.entries[: signed.size]:
            frontier.append(leaf_hash(entry.text.encode()))
        at = (log_origin(key.name, OF_CELLS), frontier.size, frontier.root())
        if (signed.origin, signed.size, signed.root) != at:
            raise OperatorError(why)

    async def add(self, found: Sequence[tuple[str, str]]) -> None:
        """Adds what cells signed, as (cell, text), with one signature."""
        before = len(self.entries)
        for cell, text in found:
            self._append(cell, text)
        checkpoint = Checkpoint(
            log_origin(self.signing.key.name, OF_CELLS), self.log.frontier.size, self.log.frontier.root(), int(time.time() * 1000)
        )  # fmt: skip
        self.note = signed_round(checkpoint, self._first, self.signing.key)
        for entry in self.entries[before:]:
            await self.signing.control.execute(
                control.queries.add_checkpoint, entry.index, entry.cell, entry.text, self.note
            )

    def proof_of(self, entry: KnownCheckpoint) -> str:
        """Returns a cell's checkpoint with its proof, as the verifier reads it."""
        return proven(entry.text, entry.index, self.log.proof(entry.index), self.note)

    def _append(self, cell: str, text: str) -> None:
        index = self.log.append(uuid7(), text.encode())
        self._first = self._first or leaf_hash(text.encode())
        self.entries.append(KnownCheckpoint(cell, text, index))


async def record(signing: Signing, seen: str) -> tuple[CellsLog, list[CellAnswer[str]]]:
    """Adds what is new of every cell's log; returns the log, and of each cell what it answered, or what is wrong with it.

    `seen` is the signed note that this machine has seen last, if any: a control database that was put back is refused.
    Raises OperatorError.
    """
    log = CellsLog(signing)
    async with signing.control.transaction():
        await signing.control.execute(control.queries.lock_checkpoints)
        await log.read()
        if seen:
            log.refuse_other(seen, "the control database has another log of checkpoints than this machine saw")
        known = log.newest

        async def of(cell: OpenCell) -> str:
            return await _continued(cell, known.get(cell.name))

        answers = await every_cell.ask(signing, of)
        new = [
            (asked.cell.name, asked.answer) for asked in answers
            if asked.answer is not None and (asked.cell.name not in known or known[asked.cell.name].text != asked.answer)
        ]  # fmt: skip
        if new:
            await log.add(new)
    return log, answers


async def _continued(cell: OpenCell, before: KnownCheckpoint | None) -> str:
    """Returns the text of a cell's newest checkpoint; raises OperatorError unless its log continues what was taken before."""
    note = await cell.database.fetchval(queries.newest_checkpoint, META_LOG)
    if note is None:
        raise OperatorError("nothing was ever sealed there")
    keys = [VerifierKey.parse(line) for line in (cell.settings.checkpoint_public_key or "").split()]
    if not keys:
        raise OperatorError(f"the settings of the cell {cell.name} have no checkpoint_public_key")
    try:
        signed = open_checkpoint(note, keys)
    except InvalidNote as error:
        raise OperatorError(f"its newest checkpoint is not signed by its key: {error}") from None
    if signed.origin not in {log_origin(key.name, META_LOG_NAME) for key in keys}:
        raise OperatorError("its newest checkpoint is of another log")
    text = note.partition("\n\n")[0]
    entry = KnownCheckpoint(cell.name, f"{text}\ncell {cell.name}\n", -1)
    if before is not None:
        await _refuse_other_history(cell.database, before, entry)
    return entry.text


async def _refuse_other_history(connection: Connection, before: KnownCheckpoint, now: KnownCheckpoint) -> None:
    old, new = before.checkpoint, now.checkpoint
    if new.size < old.size:
        raise OperatorError(f"its log has {new.size} leaves, and had {old.size}: it was put back")
    if before.log and before.log != now.log:
        raise OperatorError("its log is another than it was")
    if new.size == old.size:
        if new.root != old.root:
            raise OperatorError(f"its log was signed with two roots at size {new.size}")
        return
    path = consistency_path(old.size, new.size)
    wanted = [node for segment in path for node in segment]
    rows = await connection.fetch(
        queries.nodes, META_LOG, [node.level for node in wanted], [node.position for node in wanted]
    )
    known: dict[tuple[int, int], bytes] = {(row["level"], row["position"]): row["hash"] for row in rows}
    try:
        continues = verify_consistency(
            old.size, new.size, old.root, new.root, proof(path, lambda level, position: known[level, position])
        )
    except KeyError:
        continues = False
    if not continues:
        raise OperatorError(f"its log of {new.size} leaves does not begin with the {old.size} that it had")


def told(log: CellsLog, answers: Sequence[CellAnswer[str]]) -> list[dict[str, Any]]:
    """Returns of each cell its newest checkpoint in the log, and what is wrong."""
    newest = log.newest
    none = dict.fromkeys(("size", "root", "time", "leaf"))
    return [
        {
            "cell": asked.cell.name, "problem": asked.problem,
            **(_figures(newest[asked.cell.name]) if asked.cell.name in newest else none),
        }
        for asked in answers
    ]  # fmt: skip


def _figures(entry: KnownCheckpoint) -> dict[str, Any]:
    said = entry.checkpoint
    return {"size": said.size, "root": base64.b64encode(said.root).decode(), "time": said.time, "leaf": entry.index}
