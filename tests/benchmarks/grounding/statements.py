"""Statements about passages with the right answer, and what the check sees of them."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.answers.generator import Passage
from backend.answers.grounding import vetoes
from backend.answers.grounding.alignment import Alignment
from backend.answers.grounding.check import Evidence
from backend.answers.grounding.features import Features
from backend.language import sentences
from backend.language.languages import language
from backend.language.legible import legible
from backend.language.parsed_sentences import ParsedSentence, parsed
from backend.retrieval.embedding.embedder import LocalEmbedder
from tests.answers.passages import passages
from tests.benchmarks.grounding.paraphrases import rewritten
from tests.benchmarks.grounding.perturbations import CONTENT, KINDS, substituted
from tests.conftest import SHARED_DATA

WRITTEN = Path(__file__).with_name("statements.jsonl")
DECEPTIONS = Path(__file__).with_name("deceptions.jsonl")
RESTATED = Path(__file__).with_name("restated.jsonl")
HELD_BACK = frozenset({"fourth", "fifth", "eighth", "tenth", "thirteenth"})  # of which only totals are looked at
CASES = SHARED_DATA.parent / "cases" / "grounding.jsonl"
MODELS = Path("~/.cache/affidavit-benchmarks").expanduser()
SETS = ("askcfpb", "cfpb-regE", "obliqa")


@dataclass(frozen=True)
class Statement:
    """A sentence about passages, by their doc_ids: whether they support it, or in which way it is false."""

    passages: tuple[str, ...]
    sentence: str
    kind: str
    supported: bool


@dataclass(frozen=True)
class Example:
    """What the classifier sees of a statement that passes the rules."""

    features: NDArray[np.float64]
    supported: bool
    kind: str
    passage: str
    weight: float
    written: bool


def statements(path: Path) -> list[Statement]:
    """Reads statements, one JSON object a line."""
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [Statement(tuple(row["passages"]), row["sentence"], row["kind"], row["supported"]) for row in rows]


def restated(chosen: str) -> list[Statement]:
    """Reads the statements of a set about documents of ../shared/data."""
    found = []
    for line in RESTATED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["set"] != chosen:
            continue
        doc_ids = tuple(row["documents"])
        found += [
            Statement(doc_ids, sentence, kind, supported=False)
            for kind, changed in row["false"].items()
            for sentence in changed
        ]
        found += [Statement(doc_ids, sentence, "paraphrase", supported=True) for sentence in row["true"]]
    return found


@cache
def documents() -> dict[str, str]:
    """Returns the texts of ../shared/data by doc_id."""
    found = {}
    for name in SETS:
        for line in (SHARED_DATA / name / "documents.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found[row["doc_id"]] = row["text"]
    return found


@cache
def embedder() -> LocalEmbedder:
    """Returns the model of words in context."""
    return LocalEmbedder.load(MODELS, 1)


@lru_cache(maxsize=2_000)
def evidence_of(doc_ids: tuple[str, ...]) -> tuple[list[Passage], Evidence]:
    """Returns passages, and their evidence without a likeness."""
    texts = passages(*[documents()[doc_id] for doc_id in doc_ids])
    return texts, Evidence(texts, lambda _: 0.0, 1.0)


def examples(seed: int = 5) -> list[Example]:
    """Returns the statements of every source that pass the rules: written by hand, and made from those and the data."""
    features = Features(embedder().token_vectors)
    written = statements(WRITTEN)
    true = [statement for statement in written if statement.supported]
    made = [*_substitutions(true, random.Random(seed), times=5), *generated(seed, most=50)]
    return [
        *_examples(written, features, weight=2.0, written=True),
        *_examples(made, features, weight=0.15, written=False),
    ]  # fmt: skip


def _substitutions(true: list[Statement], choice: random.Random, times: int) -> Iterator[Statement]:
    """Yields statements in which one word is of another passage, or of another sentence of the same one."""
    avoided = language("en").function_words
    vocabulary = [word for text in choice.sample(sorted(documents().values()), 400) for word in CONTENT.findall(text)]
    for statement in true:
        own = [word for doc_id in statement.passages for word in CONTENT.findall(documents()[doc_id])]
        for number in range(times):
            others = own if number % 2 else choice.sample(vocabulary, 50)
            changed = substituted(statement.sentence, others, choice, avoided)
            if changed and not _alike(statement.sentence, changed):
                yield Statement(statement.passages, changed, "substitution", supported=False)


def _alike(before: str, after: str) -> bool:
    """Whether the two differ by an inflection or a synonym only."""
    english = language("en")
    lost, new = (
        set(CONTENT.findall(before)) - set(CONTENT.findall(after)),
        set(CONTENT.findall(after)) - set(CONTENT.findall(before)),
    )
    stems = [(english.stem(one), english.stem(other)) for one in lost for other in new]
    groups = english.synonyms
    return any(
        one == other or not groups.get(one, frozenset()).isdisjoint(groups.get(other, frozenset()))
        for one, other in stems
    )


@cache
def sources(name: str) -> list[tuple[str, str]]:
    """Returns the sentences of a set that can stand alone, each with the doc_id of its passage."""
    found = []
    for line in (SHARED_DATA / name / "documents.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for sentence in sentences.split(row["text"]):
            words = sentence.split()
            if 8 <= len(words) <= 40 and sentence[0].isupper() and sentence.endswith(".") and "\n" not in sentence:
                found.append((row["doc_id"], sentence))
    return found


def generated(seed: int, most: int) -> list[Statement]:
    """Returns false statements of every kind and faithful rewrites, of `most` sentences of each set."""
    choice = random.Random(seed)
    made = []
    for name in SETS:
        chosen = choice.sample(sources(name), min(most, len(sources(name))))
        for doc_id, sentence in chosen:
            faithful = rewritten(sentence, choice)
            if faithful:
                made.append(Statement((doc_id,), faithful, "rewrite", supported=True))
            for kind, perturb in KINDS.items():
                base = faithful if faithful and choice.random() < 0.5 else sentence
                changed = perturb(base, choice)
                if changed and changed != base and changed.strip() != sentence:
                    made.append(Statement((doc_id,), changed, kind, supported=False))
        made += _spliced(chosen, choice)
        true = [Statement((doc_id,), sentence, "", supported=True) for doc_id, sentence in chosen]
        made += _substitutions(true, choice, times=1)
    return made


def _spliced(chosen: list[tuple[str, str]], choice: random.Random) -> Iterator[Statement]:
    """Yields the beginning of a sentence with the end of another passage's."""
    for one, first in chosen:
        other, second = choice.choice(chosen)
        if one != other and "," in first and "," in second:
            sentence = f"{first.partition(',')[0]},{second.partition(',')[2]}"
            if len(sentence.split()) > 8:
                yield Statement((one, other), sentence, "splice", supported=False)


def _examples(found: list[Statement], features: Features, *, weight: float, written: bool) -> Iterator[Example]:
    english = language("en")
    for statement in found:
        texts, evidence = evidence_of(statement.passages)
        reading = parsed(legible(statement.sentence).text, english)
        passing = _passing(reading, evidence, texts)
        for alignment in passing[:1] if statement.supported else passing:
            yield Example(
                features(alignment), statement.supported, statement.kind, statement.passages[0], weight, written
            )  # fmt: skip


def _passing(reading: ParsedSentence, evidence: Evidence, texts: Sequence[Passage]) -> list[Alignment]:
    """Returns the alignments that break no rule, the likest first: it supports a truth, and none may support a falsehood."""
    found = [alignment for passage in texts for alignment in evidence.alignments(reading, passage.number)]
    return sorted(
        (alignment for alignment in found if vetoes.broken(alignment) is None),
        key=lambda alignment: -alignment.coverage,
    )
