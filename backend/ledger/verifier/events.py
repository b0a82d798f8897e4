"""What events say of each other: when they were, which they are, and which answers which."""

from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from operator import sub
from typing import Any

from backend.ledger.verifier.bundle_format import MAX_TRACKED, TOLERANCE, TURN_LIMIT, BadBundle
from backend.ledger.verifier.findings import INVALID, MISSING, NOTE, OK, Report
from backend.ledger.verifier.log import Log
from backend.ledger.verifier.spelling import moment_of


class Clock:
    """Refuses times that contradict the order of the log by more than TOLERANCE."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.latest = 0

    def check(self, leaf: int, identifier: str, when: int, log: Log) -> None:
        """Compares an event's time with its id, with earlier events, and with the checkpoints on either side."""
        if self.follow([identifier.encode()], [when], log):
            return
        excess = self._excess([_made(identifier.encode())], [when], [max(self.latest, when)], log)
        against = next(number for number, beyond in enumerate(excess) if beyond > TOLERANCE)
        contradiction = (
            f"its id, which was made at {moment_of(_made(identifier.encode()))}",
            f"the checkpoint that sealed it at {moment_of(log.after.time if log.after else 0)}",
            f"an earlier event of {moment_of(self.latest)}",
            f"the checkpoint of {moment_of(log.before.time if log.before else 0)}, which does not have it yet",
        )[against]
        self._report.add(INVALID, f"leaf {leaf}", f"clock: {moment_of(when)} contradicts {contradiction}")

    def follow(self, identifiers: Sequence[bytes], times: Sequence[int], log: Log) -> list[int]:
        """Returns the latest time after each of the next events; nothing, and changes nothing, if one is contradicted."""
        latest = list(accumulate(times, max, initial=self.latest))
        if max(self._excess(list(map(_made, identifiers)), times, latest[1:], log)) > TOLERANCE:
            return []
        self.latest = latest[-1]
        return latest[1:]

    def _excess(self, made: Sequence[int], times: Sequence[int], latest: Sequence[int], log: Log) -> tuple[int, ...]:
        """Returns the most by which times contradict ids, the checkpoint that sealed them, earlier events, and that before."""
        return (
            max(map(abs, map(sub, made, times))),
            max(times) - log.after.time if log.after else 0,
            max(map(sub, latest, times)),
            log.before.time - min(times) if log.before else 0,
        )


def _made(identifier: bytes) -> int:
    """Returns when an id was made, as its first 48 bits say."""
    return int(identifier[:8] + identifier[9:13], 16)


class Identifiers:
    """Refuses repeated ids, in memory that grows with the rate of events and not with their number.

    An id that is used again either follows closely, and is still remembered, or is caught by the clock: it tells
    when it was made, and may differ from an event's time by TOLERANCE, as that may from the latest time.
    """

    _SPAN = TOLERANCE
    _SPANS = 4  # Three tolerances lie between two uses of one id at most, and the fourth span is being filled.

    def __init__(self, report: Report) -> None:
        self._report = report
        self._seen = set[bytes]()
        self._spans: deque[list[bytes]] = deque([[]])
        self._began = 0

    def check(self, leaf: int, identifier: bytes, latest: int) -> None:
        """Compares an id with those of the recent past, which ends at `latest` (Unix ms)."""
        if latest - self._began >= self._SPAN:
            self._begin_span(latest)
        if identifier in self._seen:
            self._report.add(INVALID, f"leaf {leaf}", f"has the id {identifier.decode()} of an earlier event")
        else:
            self._seen.add(identifier)
            self._spans[-1].append(identifier)
            self._refuse_too_many()

    def check_all(self, leaves: range, identifiers: Sequence[bytes], latest: Sequence[int]) -> None:
        """Compares ids in their order, each with those before it."""
        new = set(identifiers)
        if len(new) == len(identifiers) and self._seen.isdisjoint(new) and latest[-1] - self._began < self._SPAN:
            self._seen |= new
            self._spans[-1].extend(identifiers)
            self._refuse_too_many()
            return
        for leaf, identifier, moment in zip(leaves, identifiers, latest, strict=True):
            self.check(leaf, identifier, moment)

    def _refuse_too_many(self) -> None:
        if len(self._seen) > MAX_TRACKED:
            raise BadBundle(f"more than {MAX_TRACKED} events within {self._SPANS * self._SPAN} ms")

    def _begin_span(self, latest: int) -> None:
        self._began = latest
        self._spans.append([])
        if len(self._spans) > self._SPANS:
            self._seen.difference_update(self._spans.popleft())


TURN_ACTIONS = frozenset({b"prompt:submitted", b"answer:returned", b"answer:refused", b"answer:aborted"})


class Turns:
    """Ties each prompt to its answer; `began` is when the export began, None if with the log itself."""

    ACTIONS = frozenset({"prompt:submitted", "answer:returned", "answer:refused", "answer:aborted"})

    def __init__(self, report: Report, began: int | None) -> None:
        self._report, self._began = report, began
        self._open: dict[str, tuple[int, int]] = {}
        self._answered = 0

    def check(self, leaf: int, action: str, envelope: dict[str, Any], when: int) -> None:
        """Opens a turn at a prompt and closes it at its answer."""
        if action not in self.ACTIONS:
            return
        turn = envelope.get("turn")
        if not isinstance(turn, str):
            raise ValueError("a prompt or answer names no turn")  # noqa: TRY004
        if action == "prompt:submitted":
            if turn in self._open:
                self._report.add(INVALID, f"leaf {leaf}", "is a second prompt of the same turn")
            self._open[turn] = (leaf, when)
            if len(self._open) > MAX_TRACKED:
                raise BadBundle(f"more than {MAX_TRACKED} prompts without an answer")
        elif self._open.pop(turn, None) is not None:
            self._answered += 1
        elif self._began is None or when > self._began + TURN_LIMIT:
            self._report.add(MISSING, f"leaf {leaf}", f"is an answer ({action}) without a prompt")

    def miss(self, when: int) -> None:
        """Takes note of an event that is gone, which can have been the prompt of an answer that is here."""
        self._began = max(self._began or 0, when)

    def finish(self, end: int) -> None:
        """Reports the turns that are still open at `end`, when the export ends."""
        running = 0
        for leaf, when in self._open.values():
            if when > end - TURN_LIMIT:
                running += 1
            else:
                self._report.add(MISSING, f"leaf {leaf}", f"is a prompt of {moment_of(when)} without an answer")
        if running:
            self._report.add(NOTE, "turns", f"{running} had begun shortly before the export ends")
        if self._answered:
            self._report.add(OK, "turns", f"{self._answered} prompts have their answer")
