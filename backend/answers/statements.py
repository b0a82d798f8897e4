"""What a piece of text asserts, as far as its words can tell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from backend.answers import terms

_ACRONYM = re.compile(r"\b(?!(?:USD|EUR|GBP|AM|PM)\b)[A-Z][A-Z0-9&]+\b")
_CLAUSE_BREAK = re.compile(
    r"[,;:.!?()\u2013\u2014]\s"
    r"|\s(?=(?:but|however|unless|except|if|when|because|although|though|while|whereas|until)\b)",
    re.IGNORECASE,
)
_PART_BREAK = re.compile(r"[,;:.!?]\s+(?:(?:and|or)\s)?|\s(?:and|or|but)\s(?!\d)")


@dataclass(frozen=True, slots=True)
class Clause:
    """The content stems of a clause, and whether it is negated."""

    stems: frozenset[str]
    negated: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A member of an enumeration: its figures, and the content stems that say what they are about."""

    stems: frozenset[str]
    figures: frozenset[terms.Figure]


@dataclass(frozen=True, slots=True)
class Statement:
    """A text with everything that is compared between an answer and its evidence."""

    text: str
    words: frozenset[str]
    stems: frozenset[str]
    figures: frozenset[terms.Figure]
    units: frozenset[str]
    acronyms: frozenset[str]
    clauses: tuple[Clause, ...]
    parts: tuple[Part, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """Reads the text."""
        return cls(
            text=text,
            words=frozenset(terms.words(text)),
            stems=frozenset(terms.stems(text)),
            figures=terms.figures(text),
            units=terms.units(text),
            acronyms=frozenset(_ACRONYM.findall(text)),
            clauses=_clauses(text),
            parts=_parts(text),
        )

    @classmethod
    def joined(cls, text: str, statements: Sequence[Self]) -> Self:
        """Returns what the statements say together, in the words of `text`, without reading them again."""
        return cls(
            text=text,
            words=frozenset().union(*(statement.words for statement in statements)),
            stems=frozenset().union(*(statement.stems for statement in statements)),
            figures=frozenset().union(*(statement.figures for statement in statements)),
            units=frozenset().union(*(statement.units for statement in statements)),
            acronyms=frozenset().union(*(statement.acronyms for statement in statements)),
            clauses=tuple(clause for statement in statements for clause in statement.clauses),
            parts=tuple(part for statement in statements for part in statement.parts),
        )


def _clauses(text: str) -> tuple[Clause, ...]:
    pieces = _CLAUSE_BREAK.split(text)
    clauses = (Clause(frozenset(terms.stems(piece)), terms.is_negated(piece)) for piece in pieces)
    return tuple(clause for clause in clauses if clause.stems)


def _parts(text: str) -> tuple[Part, ...]:
    if not terms.figures(text):
        return ()
    pieces = _PART_BREAK.split(text)
    parts = (Part(frozenset(terms.stems(piece)), terms.figures(piece)) for piece in pieces)
    return tuple(part for part in parts if part.figures)
