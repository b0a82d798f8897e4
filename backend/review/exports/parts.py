"""Splits exports that are too long for one file into parts, each of which can be verified by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import orjson

from backend.database import Connection, Queries
from backend.ledger.checkpoints import InvalidNote
from backend.ledger.rounds import head_of

queries = Queries.beside(__file__)

SCHEMA = "affidavit-parts/1"


@dataclass(frozen=True, slots=True)
class LeafPart:
    """Leaves from one checkpoint to another, when both were signed, and the place of the part among all."""

    leaves: range
    begin: datetime
    end: datetime
    number: int = 1
    of: int = 1


async def split(
    connection: Connection, tenant_id: UUID, leaves: range, begin: datetime, end: datetime, limit: int
) -> list[LeafPart]:
    """Returns parts that adjoin, each of `limit` leaves and those up to the next checkpoint, which proves its end."""
    parts, start, since = [], leaves.start, begin
    while start + limit < leaves.stop:
        boundary = await connection.fetchrow(queries.checkpoint_at_least, tenant_id, start + limit)
        if boundary is None or boundary["size"] >= leaves.stop:
            break
        try:
            signed = signed_at(boundary["note"])
        except InvalidNote:  # tampered with, which the verifier will report; the part still needs an end
            signed = boundary["signed_at"]
        parts.append((range(start, boundary["size"]), since, signed))
        start, since = boundary["size"], signed
    parts.append((range(start, leaves.stop), since, end))
    return [LeafPart(*part, number, len(parts)) for number, part in enumerate(parts, 1)]


def signed_at(note: str) -> datetime:
    """Returns when a checkpoint says that it was signed."""
    return datetime.fromtimestamp(head_of(note).time / 1000, UTC)


def file_of_part(export_id: UUID, number: int) -> UUID:
    """Returns the id of a part's file: the same whenever it is written anew."""
    return uuid5(export_id, f"part {number}")


def parts_manifest(export_id: UUID, parameters: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> bytes:
    """Returns the file that lists the parts of an export; `affidavit audit verify` takes them together or one by one."""
    listed = {
        "schema": SCHEMA,
        "export": str(export_id),
        "asked": dict(parameters),
        "events": sum(part["events"] for part in parts),
        "parts": list(parts),
    }
    return orjson.dumps(listed, option=orjson.OPT_INDENT_2)
