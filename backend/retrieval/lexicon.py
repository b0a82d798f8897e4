"""Turns text into BM25: terms, and the sparse vectors whose inner product is the score.

A passage's vector holds the weight of each of its terms, a question's vector the IDF of each of its terms:
their inner product is the BM25 score. A term's dimension is a hash, so there is no vocabulary to keep.
Formulas: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009).
"""

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise

from backend.language import stemming
from backend.language.stop_words import RANKING, stop_words
from backend.retrieval.spellings import spellings

DIMENSIONS = 1_000_000_000  # the most that pgvector's sparsevec can have
MAX_TERMS = 1_000  # the most non-zero elements that pgvector's HNSW index accepts

# Measured on three sets of questions about financial documents; each is on a broad optimum of all of them.
K1 = 0.8  # how fast repeating a term stops to count
B = 0.8  # how much a longer passage is discounted
# The least IDF of a section's number, a rate or a date: in a small collection no term is rare, yet who names one means it.
REFERENCE_IDF = 8.0
_SHORTEST_EXACT_NUMBER = 8  # digits: a date's
AVERAGE_LENGTH = 80  # terms; fixed, so that an ingestion never changes the weights of other passages

# Chinese, Japanese, Korean and Thai: a word is found by pairs of its characters, as no space says where it begins.
_UNSPACED = re.compile("([\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+)")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")  # soft hyphens, zero-width characters
_FRACTION = re.compile("(?:(?<![\\d.,])(\\d{1,6}) ?)?([¼-¾⅐-⅞])")
# Repetition is bounded, so that no text, however long or odd, costs more than linear time.
_TOKEN = re.compile(
    r"""
      (?P<reference> \d{1,9}[a-z]? (?:\.\d{1,9}[a-z]?){0,7} (?:\.?\([a-z0-9]{1,5}\)){1,7}  # 1005.11(b)(1), 401(k)
                   | \d{1,9} (?:\.\d{1,9}){2,7} )                                         # 4.2.1
    | (?P<number>    \d{1,3} (?:,\d{3}){1,7} (?:\.\d{1,9})? (?![\d,])                     # 1,500.00
                   | \d{1,9} \.\d{1,9} )                                                  # 4.5, 1005.11
    | (?P<acronym>   (?<![^\W_]) [^\W\d_] (?:\.[^\W\d_]){1,7} \.? (?![^\W_]) )            # u.s.c.
    | (?P<word>      [^\W_]+ (?:'[^\W_]+)* (?:-[^\W_]+)* )                                # fee, bank's, e-mail
    | (?P<percent>   % )
    """,
    re.VERBOSE,
)


def dimension(term: str) -> int:
    """Returns the term's dimension, counted from 0: its CRC-32 modulo 10⁹.

    pgvector's text form counts from 1, its Python class from 0. Two terms of a vocabulary of 100,000 share a
    dimension about five times.
    """
    return zlib.crc32(term.encode()) % DIMENSIONS


def terms(text: str, language: str = "english") -> list[str]:
    """Returns the text's terms in order: no stop words, and words as Snowball stems of `language`.

    A section number is followed by its parents and a hyphenated word by its parts, so that either finds the
    other: "4.2.1(a)" gives 4.2.1(a), 4.2.1, 4.2, 4; "e-mail" gives email, e, mail. Scripts without spaces give pairs of
    characters. Behind them all stand the spellings that other ways of writing the same figures share.
    """
    text = _normalized(text)
    skipped = stop_words(RANKING, language)
    tokens = (token for match in _TOKEN.finditer(text) for token in _tokens(match) if token not in skipped)
    stemmed = stemming.stems(tokens, language)
    known = set(stemmed)
    return [*stemmed, *(spelling for spelling in dict.fromkeys(spellings(text, language)) if spelling not in known)]


def passage_vector(text: str, language: str = "english", labels: Sequence[str] = ()) -> dict[int, float]:
    """Returns the BM25 weight of each term by dimension; of more than MAX_TERMS, the heaviest.

    `labels` are terms that are no words of the text: each has a weight of 1.
    """
    counts = Counter(map(dimension, terms(text, language)))
    penalty = K1 * (1 - B + B * counts.total() / AVERAGE_LENGTH)
    heaviest = counts.most_common(MAX_TERMS - len(labels))  # the weight grows with the count
    weights = {term: count * (K1 + 1) / (count + penalty) for term, count in heaviest}
    return weights | dict.fromkeys(map(dimension, labels), 1.0)


def query_terms(text: str, language: str = "english") -> Counter[int]:
    """Returns how often each dimension occurs in a question: those whose document frequencies are needed."""
    return Counter(map(dimension, terms(text, language)))


def query_vector(
    text: str, document_frequencies: Mapping[int, int], documents: int, language: str = "english"
) -> dict[int, float]:
    """Returns the IDF of each term of a question by dimension, among `documents` passages.

    Terms that no passage has are left out. A reference like 4.2.1(a), not its parents, has at least REFERENCE_IDF, and so has
    a rate or a date.
    """
    return Words(text).vector(document_frequencies, documents, language)


class Words:
    """The terms of a question, read once in each language, however often they are asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._counted: dict[str, Counter[int]] = {}

    def counted(self, language: str = "english") -> Counter[int]:
        """Returns what `query_terms` does."""
        if language not in self._counted:
            self._counted[language] = query_terms(self._text, language)
        return self._counted[language]

    def vector(self, document_frequencies: Mapping[int, int], documents: int, language: str) -> dict[int, float]:
        """Returns what `query_vector` does."""
        return {
            term: count
            * max(_idf(document_frequencies[term], documents), REFERENCE_IDF if term in self._references else 0)
            for term, count in self.counted(language).items()
            if document_frequencies.get(term)
        }

    @cached_property
    def _references(self) -> frozenset[int]:
        return frozenset(map(dimension, _references(self._text)))


def rarest(document_frequencies: Mapping[int, int], most: int) -> list[int]:
    """Returns the rarest terms, as many as `most` passages have all together."""
    terms = sorted(document_frequencies, key=lambda term: (document_frequencies[term], term))
    passages = accumulate(document_frequencies[term] for term in terms)
    return [term for term, total in zip(terms, passages, strict=True) if total <= most]


def _idf(document_frequency: int, documents: int) -> float:
    # max: statistics read a moment apart may disagree, and a logarithm must not fail for it
    return math.log1p((max(documents - document_frequency, 0) + 0.5) / (document_frequency + 0.5))


def _normalized(text: str) -> str:
    text = _FRACTION.sub(_decimal, text)  # before NFKC makes 21/2 of 2½
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold().replace("\u2019", "'")


def _decimal(fraction: re.Match[str]) -> str:
    """Returns 2.5 for 2½."""
    return f"{int(fraction[1] or 0) + round(unicodedata.numeric(fraction[2]), 3):g}"


def _references(text: str) -> Iterator[str]:
    """Yields what names one thing: a section's number, a rate, a date, an account; no year and no quarter."""
    text = _normalized(text)
    yield from (
        term
        for term in spellings(text)
        if term.endswith("bp") or (term[-_SHORTEST_EXACT_NUMBER:].isdigit() and len(term) >= _SHORTEST_EXACT_NUMBER)
    )
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "reference" or (match[0].isdigit() and len(match[0]) >= _SHORTEST_EXACT_NUMBER):
            yield next(_tokens(match))


def _tokens(match: re.Match[str]) -> Iterator[str]:
    token = match[0]
    match match.lastgroup:
        case "reference":
            yield from _with_parents(token.replace(".(", "("))
        case "number" if "," in token:
            yield token.replace(",", "").removesuffix(".00")
        case "number":
            yield from _with_parents(token.removesuffix(".00"))
        case "acronym":
            yield token.replace(".", "")
        case "percent":
            yield "percent"
        case _ if _UNSPACED.search(token):
            yield from _pairs(token)
        case _ if "-" in token:
            yield token.replace("-", "")
            yield from token.split("-")
        case _:
            yield token


def _pairs(token: str) -> Iterator[str]:
    """Yields each pair of neighbours of a script that puts no space between words, and what else is in the token."""
    for run in _UNSPACED.split(token):
        characters = run.strip("-'")
        if not characters:
            continue
        if not _UNSPACED.match(characters) or len(characters) == 1:
            yield characters
        else:
            yield from map("".join, pairwise(characters))


def _with_parents(reference: str) -> Iterator[str]:
    """Yields 1005.11(b)(1), 1005.11(b), 1005.11, 1005."""
    while reference:
        yield reference
        reference = reference[: max(reference.rfind("("), reference.rfind("."), 0)]
