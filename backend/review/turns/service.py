"""The rules of reading one turn: its events together, and their texts for one reason."""

from uuid import UUID

from backend.audit.events import Action, Actor, Event
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import NotFound
from backend.review.events.service import reveal, view_of
from backend.review.turns.models import TurnView

queries = Queries.beside(__file__)


async def get_turn(
    connection: Connection, actor: Actor, recorder: Recorder, vault: PayloadVault, turn: UUID, reveal_reason: str | None
) -> TurnView:
    """Returns the events of a turn and records that they were read; with a reason, also their texts. Raises NotFound."""
    rows = await connection.fetch(queries.turn_events, actor.tenant_id, turn)
    if not any(row["id"] == turn for row in rows):
        raise NotFound("There is no such turn.", reason="turn:unknown")
    texts = {}
    if reveal_reason is not None:
        texts = {row["id"]: await reveal(connection, actor, vault, row["id"]) for row in rows}
    action = Action.AUDIT_READ if reveal_reason is None else Action.AUDIT_REVEALED
    payloads = {} if reveal_reason is None else {"reason": reveal_reason}
    await recorder.record(connection, actor, Event(action, details={"read": {"turn": str(turn)}}, payloads=payloads))
    return TurnView(turn=turn, events=[view_of(row, texts.get(row["id"])) for row in rows])
