"""Declares what a restored database has lost of the log: proposed with one operator key, confirmed with another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.review import AuditRestored
from backend.database import Connection, Queries
from backend.errors import Conflict, InvalidInput, NotFound
from backend.ledger.checkpoints import InvalidNote
from backend.ledger.history import META_LOG, META_LOG_NAME, Forked, Lost, lost
from backend.ledger.keyring import Keyring
from backend.ledger.sinks import CheckpointSink
from backend.operation.operator_keys import presented
from backend.operation.tenants import COMMAND_LINE

queries = Queries(Path(__file__).with_name("restoring.sql"))


@dataclass(frozen=True, slots=True)
class Restoring:
    """Acts with the owner's connection; reads every log's edge with the sealer's, and what was lost from the sinks."""

    owner: Connection
    sealer: Connection
    sinks: Sequence[CheckpointSink]
    keys: Keyring

    async def propose(self, reason: str, credential: str) -> UUID:
        """Proposes to declare what is lost, and returns by what id it is confirmed; raises Conflict, InvalidInput."""
        operator = await presented(self.owner, credential)
        for one in await self.lost():
            self._declaration(one, reason, datetime.now(UTC))
        proposed = uuid7()
        try:
            await self.owner.execute(queries.propose_restoration, proposed, reason, operator.id)
        except asyncpg.CheckViolationError:
            raise InvalidInput("reason: must be 3 to 500 characters, in one line") from None
        return proposed

    async def confirm(self, proposed: UUID, credential: str) -> list[Lost]:
        """Declares what is lost, in every log and in the sinks, and returns it; raises NotFound, Conflict.

        May be repeated when the sinks did not answer: what was declared stays as it is.
        """
        operator = await presented(self.owner, credential)
        row = await self.owner.fetchrow(queries.restoration, proposed)
        if row is None:
            raise NotFound("There is no such proposal.", reason="restoration:unknown")
        if row["proposed_by"] == operator.id:
            raise Conflict(
                "Somebody else must confirm this, with another operator key.", reason="restoration:same_person"
            )
        found: list[Lost] = []
        if row["confirmed_at"] is None:
            found = await self.lost()
            people = {"proposed": row["proposer"], "confirmed": operator.name}
            async with self.owner.transaction():
                await self.owner.execute(queries.confirm_restoration, proposed, operator.id)
                for one in found:
                    await self._declare(one, proposed, row["reason"], people)
        notes = [one["note"] for one in await self.owner.fetch(queries.declarations, proposed)]
        for sink in self.sinks:
            await sink.publish(notes)
        return found

    async def lost(self) -> list[Lost]:
        """Returns what each log has lost; raises Conflict when nothing is, or when a log went on without it."""
        try:
            found = await lost(self.sealer, self.sinks, self.keys.verifying)
        except Forked as fork:
            raise Conflict(f"{fork}.", reason="restoration:forked") from fork
        if not found:
            raise Conflict(
                "The database has everything that was kept: nothing is lost.", reason="restoration:nothing_lost"
            )
        return found

    async def _declare(self, one: Lost, proposed: UUID, reason: str, people: dict[str, str]) -> None:
        tenant = META_LOG if one.log == META_LOG_NAME else UUID(one.log)
        note = self._declaration(one, reason, datetime.now(UTC))
        await self.owner.execute(
            queries.declare, tenant, uuid7(), proposed, one.left.size, one.newest.size, note
        )  # fmt: skip
        if tenant != META_LOG:
            restored = AuditRestored(
                id=proposed, first_leaf=one.left.size, end_leaf=one.newest.size, declaration=note,
                proposed=people["proposed"], confirmed=people["confirmed"],
            )  # fmt: skip
            await COMMAND_LINE.record(self.owner, tenant, restored)

    def _declaration(self, one: Lost, reason: str, moment: datetime) -> str:
        try:
            return one.declaration(self.keys.current, reason, moment)
        except InvalidNote:
            raise InvalidInput("reason: must be 3 to 500 characters, in one line") from None
