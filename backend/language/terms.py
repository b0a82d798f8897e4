"""The content words of an English text, and whether it has a figure: what the built-in generator chooses sentences by.

Its weights are fitted on this reading, which is coarser than that of the check of sentences (`tokens.py`, `quantities.py`).
"""

import re
from collections.abc import Iterator

from backend.language import stemming
from backend.language.languages import language
from backend.language.stop_words import SUBJECTS, stop_words

_TOKEN = re.compile(
    r"""
      (?P<date>\b\d{4}-\d{2}-\d{2}\b)
    | (?P<number>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+|:\d{2})?)
    | (?P<clock>\b[ap]\.?m\b\.?)
    | (?P<word>[^\W\d_]+(?:['\u2019][^\W\d_]+)*)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ENGLISH = language("en")
_MONTHS = frozenset(_ENGLISH.month_names) - {"may"}
_NUMBER_WORDS = frozenset(_ENGLISH.numbers("words")) - {"couple"}  # two people who ask for a joint account
_CURRENCIES = frozenset(form for form, unit in _ENGLISH.units.items() if unit in _ENGLISH.rule("currencies"))
_STOP_WORDS = stop_words(SUBJECTS)


def stems(text: str) -> list[str]:
    """Returns the Snowball stems of the content words, in order; numbers and their currencies are left out."""
    return stemming.stems(word for word in words(text) if _is_content(word))


def words(text: str) -> list[str]:
    """Returns the words in lower case, possessives without their ending, numbers left out."""
    return [token.removesuffix("'s").removesuffix("'") for kind, token in _tokens(text) if kind == "word"]


def has_figure(text: str) -> bool:
    """Whether the text has a number, in digits or words, or a date; "may" alone is no month."""
    return any(kind == "number" or token in _MONTHS for kind, token in _tokens(text))


def _is_content(word: str) -> bool:
    return word not in _STOP_WORDS and word not in _CURRENCIES and not word.endswith("n't")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text.replace("\u2019", "'")):
        kind, token = str(match.lastgroup), match[0].casefold()
        if kind == "date":
            yield from _date(token)
        elif kind == "clock":
            yield "word", token.replace(".", "")
        elif token in _NUMBER_WORDS:
            yield "number", token
        else:
            yield kind, token


def _date(written: str) -> Iterator[tuple[str, str]]:
    """Yields the year, the month by its name, and the day."""
    year, month, day = written.split("-")
    yield "number", year
    if 1 <= int(month) <= 12:
        yield "word", language("en").month_names[int(month) - 1]
    yield "number", day
