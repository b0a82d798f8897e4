"""Proves in an export that the log of all checkpoints, which proves those of the tenant, has only grown."""

import base64
from collections.abc import Sequence

from backend.database import Queries
from backend.ledger.merkle import NodeId, Segment, consistency_path, proof
from backend.ledger.rounds import log_of_all
from backend.review.exports.leaves import GONE, Open

queries = Queries.beside(__file__)

_FIRST_LEAF = NodeId(0, 0)
_AT_ONCE = 100  # Proofs that one statement reads, of some 30 hashes each.


async def extensions(open_transaction: Open, notes: Sequence[str]) -> list[list[bytes] | None]:
    """Returns for each checkpoint the proof that its log of all extends what that was at the one before.

    None for the first, for one of the same round, and for what another cell's log proves, of which this cell has no hashes.
    """
    own = base64.b64encode((await _hashes(open_transaction, [_FIRST_LEAF]))[_FIRST_LEAF]).decode()
    paths: list[list[Segment] | None] = []
    before = 0
    for log, size in (log_of_all(note) or ("", 0) for note in notes):
        paths.append(consistency_path(before, size) if log == own and 0 < before < size else None)
        before = size if log == own else before
    proofs: list[list[bytes] | None] = []
    for start in range(0, len(paths), _AT_ONCE):
        some = paths[start : start + _AT_ONCE]
        places = {place for path in some if path for segment in path for place in segment}
        known = await _hashes(open_transaction, list(places)) if places else {}
        proofs += [None if path is None else proof(path, lambda *place, known=known: known[place]) for path in some]
    return proofs


async def _hashes(open_transaction: Open, places: Sequence[NodeId]) -> dict[tuple[int, int], bytes]:
    levels, positions = zip(*places, strict=True)
    async with open_transaction() as connection:
        rows = await connection.fetch(queries.nodes_of_all, levels, positions)
    found = {(row["level"], row["position"]): bytes(row["hash"]) for row in rows}
    return {place: found.get(place, GONE) for place in places}
