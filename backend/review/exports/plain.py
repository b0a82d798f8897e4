"""Writes leaves as JSON lines and as rows of CSV, for tools that read them without proofs. A missing leaf has a line, too."""

from collections.abc import Mapping
from uuid import UUID

import orjson

from backend.ledger.bundle import RevealedPayload
from backend.review.exports.envelopes import read_envelope
from backend.review.exports.leaves import LeafRow

CSV_COLUMNS = (
    "leaf", "id", "time", "action", "outcome", "reason", "principal_id", "principal_kind", "request_id", "source",
)  # fmt: skip


def line(leaf: LeafRow | range, texts: Mapping[UUID, Mapping[str, RevealedPayload]]) -> bytes:
    """Returns the line of a leaf with its event, or with the event's id if that is gone; of a range, which leaves are gone."""
    if isinstance(leaf, range):
        return orjson.dumps({"leaf": leaf.start, "end_leaf": leaf.stop, "missing": "leaves"}) + b"\n"
    members: dict[str, object] = {"leaf": leaf.index}
    if leaf.envelope is None:
        members["missing"] = str(leaf.event_id)
    else:
        members["event"] = read_envelope(leaf.envelope)
    if revealed := texts.get(leaf.event_id):
        members["payloads"] = {name: payload.text for name, payload in revealed.items()}
    return orjson.dumps(members) + b"\n"


def cells(leaf: LeafRow | range) -> list[str]:
    """Returns the cells of a leaf, or of a range of leaves that are gone. Without an event the action is `missing`."""
    if isinstance(leaf, range):
        return [str(leaf.start), "", "", "missing", "", f"leaves to {leaf.stop - 1}"] + [""] * (len(CSV_COLUMNS) - 6)
    if leaf.envelope is None:
        return [str(leaf.index), str(leaf.event_id), "", "missing"] + [""] * (len(CSV_COLUMNS) - 4)
    event = read_envelope(leaf.envelope)
    principal = event.get("principal")
    who = principal if isinstance(principal, dict) else {}
    told = [event.get(name, "") for name in CSV_COLUMNS[1:6]]
    values = [leaf.index, *told, who.get("id", ""), who.get("kind", ""), *(event.get(n, "") for n in CSV_COLUMNS[8:])]
    return [_cell(value) for value in values]


def _cell(value: object) -> str:
    """Returns the text of a cell. A spreadsheet would run one that starts like a formula."""
    text = str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
