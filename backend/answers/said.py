"""The earlier messages that a client sends: where none are on record, a follow-up is read with these. No answer cites them."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from backend.answers.followup import PastTurn, read_with

MOST_TURNS, MOST_CHARACTERS = 10, 8_000  # of history that a follow-up is read with


@dataclass(frozen=True, slots=True)
class ClientSaid:
    """Earlier questions with the answers that a client claims, oldest first, and instructions, which nobody follows."""

    turns: tuple[tuple[str, str], ...] = ()
    instructions: tuple[str, ...] = ()

    def history(self) -> tuple[PastTurn, ...]:
        """Returns the latest turns within bounds, each question read with those before it."""
        history: list[PastTurn] = []
        for question, answer in self._within_bounds():
            history.append(PastTurn(question, read_with(history, question) or question, answer))
        return tuple(history)

    def payloads(self) -> dict[str, str]:
        """Returns what goes on record of it, apart from what this service says and does."""
        told = {}
        if kept := self._within_bounds():
            turns = [{"question": question, "answer": answer} for question, answer in kept]
            told["client_history"] = orjson.dumps(turns).decode()
        if self.instructions:
            told["client_instructions"] = "\n\n".join(self.instructions)
        return told

    def _within_bounds(self) -> Sequence[tuple[str, str]]:
        kept: list[tuple[str, str]] = []
        left = MOST_CHARACTERS
        for question, answer in reversed(self.turns[-MOST_TURNS:]):
            left -= len(question) + len(answer)
            if left < 0:
                break
            kept.append((question, answer))
        return kept[::-1]


NOTHING = ClientSaid()
