"""Further terms of figures and names that people write in several ways, so that one way finds the other.

25 bps, 25 Basispunkte and 0.25 % share a term; so do 2026-04-13, 13 April 2026 and 13.4.2026, Q2 and deuxième trimestre, FY23
and 2023, $1.5 million and 1,500,000, thirty days and 30 days, +1 (800) 555-0142 and 8005550142, DE89 3704 0044 and DE8937040044,
Article VI and Article 6.
"""

from collections.abc import Iterator

from backend.language.languages import CODES, Language, language
from backend.retrieval.figures.dates import dates, periods
from backend.retrieval.figures.identifiers import accounts, parts, telephones
from backend.retrieval.figures.rates import amounts, in_words, rates

_BY_NAME = {str(language(code).tables["name"]): language(code) for code in CODES}


def spellings(text: str, spoken: str = "english") -> Iterator[str]:
    """Yields the further terms of lower-case text, each in the one spelling that all others share."""
    known: Language | None = _BY_NAME.get(spoken)
    yield from rates(text)
    yield from amounts(text, known)
    yield from dates(text)
    yield from periods(text)
    yield from telephones(text)
    yield from accounts(text)
    yield from parts(text)
    if known is not None:
        yield from in_words(text, known)
