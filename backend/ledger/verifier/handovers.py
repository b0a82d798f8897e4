"""Handovers, by which whoever trusts one key of a log learns the key before it and the one after."""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from backend.ledger.verifier.bundle_format import MAX_HANDOVERS, TOLERANCE
from backend.ledger.verifier.signed_notes import Keys, OpenedCheckpoint, Trusted, open_note

_KEY_LINE = re.compile(r"key (\S+)")


class Handover(NamedTuple):
    """A note in which keys say of each other that they sign the same log; `lines` are those keys, oldest first."""

    note: str
    checkpoint: OpenedCheckpoint
    lines: tuple[str, ...]


def open_handover(note: object) -> Handover | None:
    """Reads a handover; None for a note that is none, or that not all of its keys signed. Whom to trust is another question."""
    if not isinstance(note, str):
        return None
    lines = tuple(match[1] for line in note.split("\n") if (match := _KEY_LINE.fullmatch(line)))
    try:
        keys = Keys("\n".join(lines))
        checkpoint = open_note(note, keys)
    except ValueError:
        return None
    joined = "".join(f"key {line}\n" for line in lines).encode()
    names = {line.partition("+")[0] for line in lines}
    complete = len(lines) == len(set(lines)) == checkpoint.size and sha256(joined).digest() == checkpoint.root
    if not complete or {checkpoint.origin} != {f"{name}/keys" for name in names}:
        return None
    head, _, tail = note.rpartition("\n\n")
    signed = (Keys(line).signer(head + "\n", tail.split("\n")[:-1], checkpoint.time) for line in lines)
    return Handover(note, checkpoint, lines) if all(signed) else None


def learn(keys: Keys, notes: Iterable[object]) -> list[str]:
    """Has `keys` trust what handovers that one of them signed vouch for, and returns a sentence for each key that is learned.

    The key before a trusted one is trusted for what it signed until then, the key after one for what it signed since.
    So whoever steals a key that is retired can sign nothing that is dated later.
    """
    found = dict.fromkeys(one for note in notes if (one := open_handover(note)) is not None)
    waiting, learned = list(found)[:MAX_HANDOVERS], list[str]()
    while ready := [one for one in waiting if _vouching(keys, one)]:
        for one in ready:
            waiting.remove(one)
            learned += _take(keys, one)
    return learned


def _vouching(keys: Keys, handover: Handover) -> list[int]:
    """Returns the places of the keys in a handover that are trusted for its time."""
    return [place for place, line in enumerate(handover.lines) if keys.trusts(line, handover.checkpoint.time)]


def _take(keys: Keys, handover: Handover) -> list[str]:
    vouching, moment, said = _vouching(keys, handover), handover.checkpoint.time, []
    for place, line in enumerate(handover.lines):
        if place in vouching:
            continue
        after = place > vouching[0]
        keys.add(line, Trusted(since=moment - TOLERANCE) if after else Trusted(until=moment + TOLERANCE))
        said.append(f"{line.split('+')[1]} is trusted {'since' if after else 'until'} it was handed over")
    return said
