"""The rules of reading one turn: its events together, and their texts for one reason."""

from uuid import UUID

from backend.audit.actions.review import AuditRead, AuditRevealed
from backend.audit.events import Actor, Event
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_rows
from backend.errors import NotFound
from backend.review.events.service import EventRow, reveal
from backend.review.turns.models import TurnView

queries = Queries.beside(__file__)


async def get_turn(
    connection: Connection, actor: Actor, recorder: Recorder, vault: PayloadVault, turn: UUID, reveal_reason: str | None
) -> TurnView:
    """Returns the events of a turn and records that they were read; with a reason, also their texts. Raises NotFound."""
    rows = await fetch_rows(connection, EventRow, queries.turn_events, actor.tenant_id, turn)
    if not any(row.id == turn for row in rows):
        raise NotFound("There is no such turn.", reason="turn:unknown")
    texts = {}
    if reveal_reason is not None:
        texts = {row.id: await reveal(connection, actor, vault, row.id) for row in rows}
    kind = AuditRead if reveal_reason is None else AuditRevealed
    payloads = {} if reveal_reason is None else {"reason": reveal_reason}
    await recorder.record(connection, actor, Event(kind(turn=turn), payloads=payloads))
    return TurnView(turn=turn, events=[row.view(texts.get(row.id)) for row in rows])
