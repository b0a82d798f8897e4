"""Proofs from sealed logs: that an event is in the log, and that the log has only grown."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from backend.audit.actions.review import AuditVerified
from backend.audit.events import Actor, Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, InvalidInput, NotFound
from backend.ledger.merkle import NodeId, Segment, consistency_path, inclusion_path, proof
from backend.review.archives.service import refuse_gone
from backend.review.events.models import ConsistencyProof, InclusionProof, SignedCheckpoint

queries = Queries(Path(__file__).with_name("proofs.sql"))

_NOT_SEALED = "This is not sealed yet; try again in a second."


async def checkpoint(
    connection: Connection, actor: Actor, recorder: Recorder, public_key: str | None
) -> SignedCheckpoint:
    """Returns the newest checkpoint of the tenant's log; raises NotFound before its first sealing."""
    size, note = await _latest(connection, actor.tenant_id)
    await recorder.record(connection, actor, Event(AuditVerified(checkpoint=size)))
    return SignedCheckpoint(checkpoint=note, size=size, public_key=public_key)


async def inclusion(
    connection: Connection, actor: Actor, recorder: Recorder, event_id: UUID, public_key: str | None
) -> InclusionProof:
    """Returns the proof of one event in the newest checkpoint.

    Raises NotFound for an event unknown or not sealed, and Gone for one whose proof is in an archive.
    """
    row = await connection.fetchrow(queries.sealed_event, actor.tenant_id, event_id)
    if row is None:
        await refuse_gone(connection, actor.tenant_id, event_id)
        raise NotFound(reason="event:unknown")
    if row["index"] is None:
        raise NotFound(_NOT_SEALED, reason="event:unsealed")
    size, note = await _latest(connection, actor.tenant_id)
    hashes = await _prove(connection, actor.tenant_id, inclusion_path(row["index"], size))
    await recorder.record(connection, actor, Event(AuditVerified(event=event_id, checkpoint=size)))
    return InclusionProof(
        event_id=event_id, leaf_index=row["index"], leaf_hash=row["hash"].hex(), tree_size=size,
        proof=hashes, envelope=row["envelope"], checkpoint=note, public_key=public_key,
    )  # fmt: skip


async def consistency(
    connection: Connection, actor: Actor, recorder: Recorder, first: int, second: int | None
) -> ConsistencyProof:
    """Returns the proof that `first` events are a prefix of `second`, by default of all that are sealed."""
    size, _ = await _latest(connection, actor.tenant_id)
    second = size if second is None else second
    if not 0 < first <= second <= size:
        raise InvalidInput(f"from, to: must be 0 < from <= to <= {size}, the number of sealed events")
    hashes = await _prove(connection, actor.tenant_id, consistency_path(first, second))
    notes = [await connection.fetchval(queries.checkpoint_of_size, actor.tenant_id, s) for s in (first, second)]
    await recorder.record(connection, actor, Event(AuditVerified(consistency=[first, second])))
    return ConsistencyProof(
        first=first, second=second, proof=hashes, first_checkpoint=notes[0], second_checkpoint=notes[1]
    )


async def _latest(connection: Connection, tenant_id: UUID) -> tuple[int, str]:
    row = await connection.fetchrow(queries.latest_checkpoint, tenant_id)
    if row is None:
        raise NotFound(_NOT_SEALED, reason="log:unsealed")
    return row["size"], row["note"]


async def _prove(connection: Connection, tenant_id: UUID, path: Sequence[Segment]) -> list[str]:
    known = await read_nodes(connection, tenant_id, [place for segment in path for place in segment])
    if not {place for segment in path for place in segment} <= known.keys():
        raise Conflict("The log lacks a part that this proof needs: export it and verify.", reason="log:damaged")
    return [element.hex() for element in proof(path, lambda level, position: known[level, position])]


async def read_nodes(connection: Connection, tenant_id: UUID, places: Sequence[NodeId]) -> dict[tuple[int, int], bytes]:
    """Returns the hashes of perfect subtrees of the tenant's log by level and position."""
    rows = await connection.fetch(queries.nodes, tenant_id, [p.level for p in places], [p.position for p in places])
    return {(row["level"], row["position"]): bytes(row["hash"]) for row in rows}
