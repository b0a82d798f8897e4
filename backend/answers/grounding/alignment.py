"""Which word of the evidence stands behind each word of a statement."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from backend.answers.grounding.evidence import EvidenceUnit
from backend.language.parsed_sentences import Clause, ParsedSentence
from backend.language.tokens import Token, TokenKind

_PREFIXES = ("un", "in", "im", "ir", "il", "non", "dis", "mis", "anti", "de")
_NO_PREFIX = frozenset(
    [
        "discover",
        "disclos",
        "discount",
        "discharg",
        "inform",
        "increas",
        "insur",
        "impos",
        "invest",
        "display",
        "import",
        "intent",
        "instruct",
        "incorpor",
        "improv",
        "impress",
        "indebt",
        "issu",
        "denomin",
        "deposit",
        "deliv",
        "debit",
        "demand",
        "depart",
        "descript",
        "inde",
        "include",
        "intern",
        "intend",
        "insid",
        "infer",
        "impli",
        "deduct",
        "defin",
        "degre",
        "delay",
        "deni",
        "design",
        "desir",
        "detail",
        "determin",
        "develop",
        "devic",
        "direct",
        "distribut",
        "district",
        "disput",
        "disab",
    ]
)
_SHORTEST_ROOT = 4
_SHORTEST_PART = 5  # letters of the last part of a compound
_SHARE_OF_CLAUSE = 0.25  # of its content words; a clause that gives fewer is not drawn on


class Grade(IntEnum):
    """How two words are alike."""

    SAME = 4
    PARTY = 3
    SYNONYM = 2
    OPPOSITE = 1


@dataclass(frozen=True, slots=True)
class Pair:
    """A token of the statement and one of the evidence, by their positions."""

    said: int
    source: int
    grade: Grade


@dataclass
class Alignment:
    """A statement's content words, and where the evidence has them.

    `missing` are those that it does not have, `context` those of them that stand in the sentences before or the title.
    """

    statement: ParsedSentence
    unit: EvidenceUnit
    source: ParsedSentence
    pairs: dict[int, Pair] = field(default_factory=dict)
    context: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    clauses: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def coverage(self) -> float:
        """Share of the content words that the evidence has."""
        content = self.statement.content
        found = sum(pair.grade is not Grade.OPPOSITE for pair in self.pairs.values())
        return found / len(content) if content else 1.0

    def matched(self) -> Iterator[tuple[Clause, list[Clause]]]:
        """Yields each clause of the statement with those of the evidence that it draws on, the most important first."""
        for mine, theirs in self.clauses.items():
            yield self.statement.clauses[mine], [self.source.clauses[number] for number in theirs]

    def sources(self) -> set[int]:
        """The positions in the evidence that are used."""
        return {pair.source for pair in self.pairs.values()}


def aligned(statement: ParsedSentence, unit: EvidenceUnit, source: ParsedSentence) -> Alignment:
    """Aligns a statement with a unit of evidence, which `source` is, parsed."""
    result = Alignment(statement, unit, source)
    by_stem: dict[str, list[int]] = defaultdict(list)
    for position, token in enumerate(source.tokens):
        if token.kind is TokenKind.WORD:
            by_stem[token.stem].append(position)
    candidates = {position: _candidates(statement, position, source, by_stem) for position in statement.content}
    affinity = _affinity(statement, source, candidates)
    taken: Counter[int] = Counter()
    for position, pairs in candidates.items():
        if not pairs:
            stem = statement.tokens[position].stem
            (result.context if stem in unit.context else result.missing).append(position)
            continue
        clause = statement.clause_of(position)
        best = max(
            pairs,
            key=lambda pair: (
                pair.grade + affinity[clause, source.clause_of(pair.source)] - 2 * taken[pair.source]
                + _neighbours(pair, result)
            ),
        )  # fmt: skip
        result.pairs[position] = best
        taken[best.source] += 1
    result.clauses = _clauses(result)
    return result


def _candidates(
    statement: ParsedSentence, position: int, source: ParsedSentence, by_stem: dict[str, list[int]]
) -> list[Pair]:
    token = statement.tokens[position]
    same = [Pair(position, other, Grade.SAME) for other in by_stem.get(token.stem, ())]
    if same:
        return same
    parties = _parties(token)
    party = [
        Pair(position, other, Grade.PARTY)
        for other, candidate in enumerate(source.tokens)
        if parties and parties & _parties(candidate)
    ]  # fmt: skip
    if party:
        return party
    synonyms = [
        Pair(position, other, Grade.SYNONYM)
        for other in source.content
        for candidate in [source.tokens[other]]
        if alike(token, candidate, statement) or _is_compound(statement, position, source, other)
    ]  # fmt: skip
    if synonyms:
        return synonyms
    return [
        Pair(position, other, Grade.OPPOSITE)
        for other, candidate in enumerate(source.tokens)
        if candidate.kind is TokenKind.WORD and opposed(token, candidate, statement)
    ]  # fmt: skip


def _is_compound(statement: ParsedSentence, position: int, source: ParsedSentence, other: int) -> bool:
    """Whether one word is made of the other and of one beside that: "Kartenverlust" is "Verlust der Karte"."""
    if not statement.language.rule("compounds"):
        return False
    said, written = statement.tokens[position], source.tokens[other]
    if len(said.form) > len(written.form):
        return _ends_compound(said, written, source)
    return _ends_compound(written, said, statement)


def _ends_compound(whole: Token, part: Token, reading: ParsedSentence) -> bool:
    """Whether a word ends with another, and begins with a third of the same sentence."""
    first = whole.form.removesuffix(part.form)
    if first == whole.form or len(part.form) < _SHORTEST_PART:
        return False
    return any(
        len(token.stem) >= _SHORTEST_ROOT and first.startswith(token.stem)
        for token in reading.tokens
        if token.kind is TokenKind.WORD
    )


def _parties(token: Token) -> set[str]:
    return {tag for tag in token.tags if tag.startswith("party.")}


def alike(one: Token, other: Token, reading: ParsedSentence) -> bool:
    """Whether two words are the same or synonyms."""
    if one.stem == other.stem or _is_inflected(one.stem, other.stem, reading):
        return True
    synonyms = reading.language.synonyms
    return not synonyms.get(one.stem, frozenset()).isdisjoint(synonyms.get(other.stem, frozenset()))


def _is_inflected(one: str, other: str, reading: ParsedSentence) -> bool:
    """Whether one stem is the other with the ending of a verb: "prüft", "prüfen"."""
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= _SHORTEST_ROOT and any(
        longer == shorter + ending for ending in reading.language.rule("verb_endings")
    )


def opposed(one: Token, other: Token, reading: ParsedSentence) -> bool:
    """Whether one word says the opposite of the other."""
    return other.stem in reading.language.opposites.get(one.stem, frozenset()) or complementary(one, other, reading)


def complementary(one: Token, other: Token, reading: ParsedSentence) -> bool:
    """Whether one word is the negation of the other: by a prefix, or because there is no third."""
    if other.stem in reading.language.complements.get(one.stem, frozenset()):
        return True
    shorter, longer = sorted((one.stem, other.stem), key=len)
    if len(shorter) < _SHORTEST_ROOT or longer in _NO_PREFIX:
        return False
    return any(longer == prefix + shorter for prefix in _PREFIXES)


def is_complement(alignment: Alignment, pair: Pair) -> bool:
    """Whether the words of a pair are each other's negation."""
    said, source = alignment.statement.tokens[pair.said], alignment.source.tokens[pair.source]
    return complementary(said, source, alignment.statement)


def _affinity(
    statement: ParsedSentence, source: ParsedSentence, candidates: dict[int, list[Pair]]
) -> defaultdict[tuple[int, int], float]:
    """Returns how much each clause of the statement has in common with each clause of the evidence."""
    found: defaultdict[tuple[int, int], float] = defaultdict(float)
    for position, pairs in candidates.items():
        clauses = {source.clause_of(pair.source) for pair in pairs}
        for clause in clauses:
            found[statement.clause_of(position), clause] += 1 / len(clauses)
    return found


def _neighbours(pair: Pair, result: Alignment) -> float:
    """Returns a bonus for a place next to where the word before was found."""
    before = [result.pairs[position] for position in result.pairs if position < pair.said][-1:]
    return 0.5 if before and 0 < pair.source - before[0].source <= 4 else 0.0


def _clauses(result: Alignment) -> dict[int, tuple[int, ...]]:
    """Returns the clauses of the evidence that each clause of the statement draws on, the one it has most from first."""
    statement, source = result.statement, result.source
    shared: Counter[tuple[int, int]] = Counter()
    words: Counter[tuple[int, int]] = Counter()
    for pair in result.pairs.values():
        clauses = statement.clause_of(pair.said), source.clause_of(pair.source)
        shared[clauses] += 2 * int(pair.grade) + 1
        words[clauses] += 1
    for quantity in statement.quantities:
        for number, other in enumerate(source.quantities):
            if quantity.says(other):
                clauses = statement.clause_of(quantity.first), source.quantity_clause(number)
                shared[clauses] += 8
                words[clauses] += len(source.clauses[clauses[1]].content)
    for mine, theirs in list(shared):
        if statement.clauses[mine].condition == source.clauses[theirs].condition:
            shared[mine, theirs] += 3
    found: dict[int, list[int]] = {}
    for (mine, theirs), _ in sorted(shared.items(), key=lambda entry: (-entry[1], entry[0])):
        first = mine not in found
        content = len(source.clauses[theirs].content)
        if first or words[mine, theirs] >= max(_SHARE_OF_CLAUSE * content, 1):
            found.setdefault(mine, []).append(theirs)
    principal = {theirs[0] for theirs in found.values()}
    return {
        mine: (theirs[0], *(other for other in theirs[1:] if other not in principal)) for mine, theirs in found.items()
    }
