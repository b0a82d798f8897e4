"""The languages that have rules, read from `data/`, and which of them a text is written in."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from backend.language import stemming

CODES = ("en", "de", "fr", "es", "it")

_WORD = re.compile(r"[^\W\d_]+")
_ENOUGH = 0.2  # share of the words that must be among a language's most frequent ones
_DATA = files("backend.language").joinpath("data")


@dataclass(frozen=True, eq=False, repr=False)
class Language:
    """The rules of one language; `tables` are the sections of its file."""

    code: str
    tables: Mapping[str, Any]
    _rules: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)
    _numbers: dict[str, dict[str, Decimal]] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"Language({self.code})"

    def stem(self, word: str) -> str:
        """Returns the Snowball stem of a word in lower case, of a participle that of its verb."""
        if (written := str(self.tables.get("participle", ""))) and (found := re.fullmatch(written, word)):
            word = f"{''.join(part or '' for part in found.groups())}en"
        return stemming.stem(word, str(self.tables["name"]))

    @cached_property
    def function_words(self) -> frozenset[str]:
        """Words that have no meaning of their own."""
        return frozenset(str(self.tables["function_words"]).split())

    @cached_property
    def abbreviations(self) -> frozenset[str]:
        """Words whose full stop ends no sentence; single letters are none in every language."""
        return frozenset(str(self.tables["abbreviations"]).split())

    @cached_property
    def before_numbers(self) -> frozenset[str]:
        """Words whose full stop ends no sentence where a number follows."""
        return frozenset(str(self.tables["before_numbers"]).split())

    @cached_property
    def document_abbreviations(self) -> frozenset[str]:
        """Words whose full stop ends no sentence of a document; English has them alone."""
        return frozenset(str(self.tables.get("document_abbreviations", "")).split())

    @cached_property
    def phrases(self) -> Mapping[str, tuple["Phrase", ...]]:
        """The phrases that carry a tag, the longest first, by their first word (its stem, for one that is inflected)."""
        found: dict[str, list[Phrase]] = {}
        for tags, listed in self.tables["tags"].items():
            for written in str(listed).split(";"):
                phrase = Phrase(tuple(written.replace("-", " - ").split()), frozenset(tags.split()), self)
                found.setdefault(phrase.words[0].lstrip("~"), []).append(phrase)
        merged = {first: _merged(phrases) for first, phrases in found.items()}
        return {
            first: tuple(sorted(phrases, key=lambda phrase: -len(phrase.words))) for first, phrases in merged.items()
        }

    @cached_property
    def units(self) -> Mapping[str, str]:
        """The unit that each of its written forms means."""
        return {form: unit for unit, forms in self.tables["units"].items() for form in str(forms).split()}

    def rule(self, name: str) -> frozenset[str]:
        """Returns the words of a rule about units, modal verbs or phrases."""
        if name not in self._rules:
            tables = self.tables["unit_rules"] | self.tables["modal_rules"] | self.tables["phrase_rules"]
            self._rules[name] = frozenset(str(tables.get(name, "")).split())
        return self._rules[name]

    def numbers(self, name: str) -> Mapping[str, Decimal]:
        """Returns the values of a list of number words."""
        if name not in self._numbers:
            pairs = (pair.split("=") for pair in str(self.tables["numbers"].get(name, "")).split())
            self._numbers[name] = {word: Decimal(value) for word, value in pairs}
        return self._numbers[name]

    @cached_property
    def months(self) -> Mapping[str, int]:
        """The number of each month, by its names."""
        return _numbered(str(self.tables["months"]))

    @cached_property
    def weekdays(self) -> Mapping[str, int]:
        """The number of each day of the week, Monday first, by its names."""
        return _numbered(str(self.tables["weekdays"]))

    @cached_property
    def month_names(self) -> tuple[str, ...]:
        """The full name of each month, in order."""
        return _full(str(self.tables["months"]))

    @cached_property
    def weekday_names(self) -> tuple[str, ...]:
        """The full name of each day of the week, Monday first."""
        return _full(str(self.tables["weekdays"]))

    @cached_property
    def synonyms(self) -> Mapping[str, frozenset[int]]:
        """The groups that a stem belongs to; stems of one group can stand for each other."""
        groups: dict[str, set[int]] = {}
        for number, line in enumerate(str(self.tables["likeness"]["synonyms"]).strip().splitlines()):
            for word in line.split():
                groups.setdefault(self.stem(word), set()).add(number)
        return {stem: frozenset(numbers) for stem, numbers in groups.items()}

    @cached_property
    def opposites(self) -> Mapping[str, frozenset[str]]:
        """The stems that say the opposite of a stem."""
        return self._pairs("opposites")

    @cached_property
    def complements(self) -> Mapping[str, frozenset[str]]:
        """The stems that are the negation of a stem: what is not the one is the other."""
        return self._pairs("complements")

    @cached_property
    def frequencies(self) -> Mapping[str, str]:
        """The unit of time that each adverb or adjective of frequency means."""
        return dict(pair.split("=") for pair in str(self.tables["unit_rules"].get("frequency", "")).split())

    def _pairs(self, name: str) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for line in str(self.tables["likeness"][name]).strip().splitlines():
            one, other = map(self.stem, line.split())
            found.setdefault(one, set()).add(other)
            found.setdefault(other, set()).add(one)
        return {stem: frozenset(others) for stem, others in found.items()}


class Phrase:
    """Words in a row that carry tags; a word with "~" in front is compared by its stem."""

    def __init__(self, words: tuple[str, ...], tags: frozenset[str], language: Language) -> None:
        """Takes the words as the language's file writes them."""
        first, *rest = words
        if first.startswith("~"):
            first = f"~{language.stem(first[1:])}"
        self.words = (first, *(f"~{language.stem(word[1:])}" if word.startswith("~") else word for word in rest))
        self.tags = tags

    def stands_at(self, forms: Iterable[tuple[str, str]]) -> bool:
        """Whether the (form, stem) pairs, as many as the phrase has words, are the phrase."""
        return all(
            (word[1:] == stem if word.startswith("~") else word == form)
            for word, (form, stem) in zip(self.words, forms, strict=True)
        )


def _merged(phrases: list[Phrase]) -> list[Phrase]:
    """Joins the tags of phrases that are written alike."""
    by_words: dict[tuple[str, ...], Phrase] = {}
    for phrase in phrases:
        known = by_words.get(phrase.words)
        if known is not None:
            known.tags |= phrase.tags
        else:
            by_words[phrase.words] = phrase
    return list(by_words.values())


def _numbered(names: str) -> dict[str, int]:
    return {name: number for number, written in enumerate(names.split(";"), start=1) for name in written.split()}


def _full(names: str) -> tuple[str, ...]:
    return tuple(written.split()[0] for written in names.split(";"))


@cache
def language(code: str) -> Language:
    """Returns the rules of a language; raises KeyError when it has none."""
    if code not in CODES:
        raise KeyError(code)
    written = _DATA.joinpath(f"{code}.toml").read_text(encoding="utf-8")
    return Language(code, tomllib.loads(written.casefold()))  # as tokens are, so that "außer" is "ausser" in both


@cache
def _frequent() -> Mapping[str, frozenset[str]]:
    others = tomllib.loads(_DATA.joinpath("others.toml").read_text(encoding="utf-8"))
    known = {code: language(code).function_words for code in CODES}
    return known | {name: frozenset(words.split()) for name, words in others.items()}


def detected(text: str) -> Language | None:
    """Returns the language of a text by its most frequent words; None when it is unsure, or the language has no rules."""
    words = [word.casefold() for word in _WORD.findall(text)]
    counts = Counter({name: sum(word in frequent for word in words) for name, frequent in _frequent().items()})
    (best, most), (_, next_most) = counts.most_common(2)
    if most < max(_ENOUGH * len(words), 1) or most == next_most or best not in CODES:
        return None
    return language(best)
