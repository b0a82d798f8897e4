"""The manifest of a bundle, and lines of its events."""

import re
from hashlib import sha256
from typing import Any, NamedTuple, Self

from backend.ledger.verifier.bundle_format import SCHEMA, SCHEMA_OF_SIGNED
from backend.ledger.verifier.spelling import ENVELOPES, hashes_of, members_of, milliseconds_of, object_of


class Manifest(NamedTuple):
    """What the export says of itself; none of it is signed, all that can be is held against the log."""

    tenant: str
    complete: bool
    revealed: bool
    begin: int
    end: int
    filters: dict[str, Any]
    first_leaf: int
    end_leaf: int
    frontier: list[bytes]
    events: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads manifest.json; raises ValueError."""
        members = object_of(text)
        types = {
            "schema": str, "tenant": str, "complete": bool, "revealed": bool, "from": str, "to": str, "filters": dict,
            "first_leaf": int, "end_leaf": int, "frontier": list, "events": int,
        }  # fmt: skip
        if members.keys() != types.keys() or any(type(members[name]) is not types[name] for name in types):
            raise ValueError(f"exactly these members are expected: {', '.join(types)}")
        if members.pop("schema") not in {SCHEMA, SCHEMA_OF_SIGNED}:
            raise ValueError(f"the schema is neither {SCHEMA} nor {SCHEMA_OF_SIGNED}")
        begin, end = milliseconds_of(members.pop("from")), milliseconds_of(members.pop("to"))
        manifest = cls(begin=begin, end=end, **members)._replace(frontier=hashes_of(members["frontier"]))
        if not 0 <= manifest.first_leaf <= manifest.end_leaf < 2**63 or begin > end:
            raise ValueError("the range is malformed")
        if manifest.complete and manifest.filters:
            raise ValueError("a complete export has no filters")
        if not manifest.complete and manifest.frontier:
            raise ValueError("a filtered export has no frontier")
        return manifest


Entry = tuple[int, dict[str, Any] | None, bytes | None, dict[str, Any]]
"""One line of events.ndjson: leaf index, envelope, the hash of the envelope, and the line's other members."""

PlainEvent = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]
"""Leaf index, envelope, action, id, `p` if there are payloads, tenant, second, millisecond, turn; empty if absent."""

_HEAD = re.compile(r'\{"leaf":(0|[1-9][0-9]{0,18}),("envelope":)?')
_NO_OTHERS: dict[str, Any] = {}


def parse_entry(line: bytes, expected: int = 0) -> Entry:
    """Reads a line and hashes its envelope, fastest if the leaf is the one expected; raises ValueError."""
    text, prefix = line.decode(), f'{{"leaf":{expected},"envelope":'
    if text.startswith(prefix):
        leaf, start = expected, len(prefix)
    else:
        head = _HEAD.match(text)
        if head is None:
            raise ValueError("the line does not begin with a leaf index")
        leaf, start = int(head[1]), head.end()
        if not head[2]:
            return leaf, None, None, members_of("{" + text[start:], {"hash", "proof"}, "hash")
    try:
        envelope, end = ENVELOPES.raw_decode(text, start)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    if not isinstance(envelope, dict):
        raise ValueError("the envelope is not an object")  # noqa: TRY004 - one kind of error for bad input.
    # The exact bytes that were sealed, whatever their JSON means.
    sealed = line[start:end] if len(text) == len(line) else text[start:end].encode()
    computed = sha256(b"\x00" + sealed).digest()
    if text[end:] == "}":
        return leaf, envelope, computed, _NO_OTHERS
    if text[end : end + 1] != ",":
        raise ValueError("the line goes on after the envelope")
    return leaf, envelope, computed, members_of("{" + text[end + 1 :], {"payloads", "proof", "hash"})
