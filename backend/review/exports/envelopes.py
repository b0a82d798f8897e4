"""Reads envelopes as the database has them, whatever somebody made of them: an export of a damaged log says so and goes on."""

from typing import Any

import orjson

MAX_ENVELOPE_BYTES = 1 << 20  # the database takes 16 KiB
_IDENTITY = ("action", "id", "tenant", "time")


def read_envelope(text: str) -> dict[str, Any]:
    """Returns the members of an envelope; none of one that somebody replaced by what is not even an object."""
    try:
        members = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return members if isinstance(members, dict) else {}


def payload_names(envelope: str) -> list[str]:
    """Returns the names of the texts that an envelope commits to."""
    named = read_envelope(envelope).get("payloads", {})
    return list(named) if isinstance(named, dict) else []


def one_line(envelope: str) -> str:
    """Returns an envelope as it is, or what identifies one that somebody replaced by what no line of a bundle can hold.

    That has another hash too, so that the verifier names it as changed.
    """
    if "\n" not in envelope and len(envelope.encode()) <= MAX_ENVELOPE_BYTES:
        return envelope
    members = read_envelope(envelope)
    return orjson.dumps({name: members.get(name) for name in _IDENTITY}).decode()
