"""What stands beside figures in the languages that have rules: the words of rates, periods and parts of a document."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from backend.language.languages import CODES, language


@cache
def _tables() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(files("backend.language").joinpath("data/written.toml").read_text(encoding="utf-8"))


def phrases(name: str) -> str:
    """Returns a pattern of the phrases under a name, of all languages, the longest first."""
    return any_of(phrase.strip() for code in CODES for phrase in _tables()[code][name].split(";"))


def words(name: str) -> str:
    """Returns a pattern of the words under a name, of all languages, the longest first."""
    return any_of(word for code in CODES for word in _tables()[code][name].split())


def any_of(phrases: Iterable[str]) -> str:
    """Returns a pattern of any of the phrases in lower case, the longest first; a space stands for any white space."""
    found = sorted({phrase.casefold() for phrase in phrases if phrase}, key=lambda phrase: (-len(phrase), phrase))
    return "|".join(re.escape(phrase).replace(r"\ ", r"\s") for phrase in found)


@cache
def months() -> Mapping[str, int]:
    """Returns the number of each month by its names in all languages."""
    return {name.casefold(): number for code in CODES for name, number in language(code).months.items()}


@cache
def ordinals() -> Mapping[str, int]:
    """Returns the value of each ordinal up to four, of all languages."""
    listed = {
        word.casefold(): int(value) for code in CODES for word, value in language(code).numbers("ordinals").items()
    }
    for code in CODES:
        pairs = (pair.split("=") for pair in _tables()[code]["ordinals"].split())
        listed |= {word.casefold(): int(value) for word, value in pairs}
    return {word: value for word, value in listed.items() if value <= 4}


@cache
def multipliers() -> Mapping[str, int]:
    """Returns what each word behind a number multiplies it by, from a thousand on, of all languages."""
    return {
        word.casefold(): int(value)
        for code in CODES
        for word, value in language(code).numbers("multipliers").items()
        if value >= 1000 and value % 1000 == 0
    }
