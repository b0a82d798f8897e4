"""Numbers written in words: "one hundred and twenty", "fünfundzwanzig", "quatre-vingt-dix"."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from backend.language.languages import Language

_SHORTEST_COMPOUND = 6  # letters
_SMALL_FACTORS = frozenset(
    {Decimal(100), Decimal(12), Decimal(20)}
)  # hundred, dozen, score: within a group of thousands


def is_number_word(form: str, language: Language) -> bool:
    """Whether the word is part of a number."""
    return form in language.numbers("words") or form in language.numbers("multipliers")


def number_in_words(forms: Sequence[str], language: Language) -> tuple[Decimal, int] | None:
    """Returns the number with which the words begin, and how many of them it takes; None if they begin with none."""
    multipliers = language.numbers("multipliers")
    article = len(forms) > 1 and forms[0] in language.rule("one") and forms[1] in multipliers
    total, group, length = Decimal(0), Decimal(1 if article else 0), int(article)
    for place in range(length, len(forms)):
        form = forms[place]
        value = _small(form, language)
        if value is not None:
            added = _added(group, value, language)
            if added is None:
                break
            group = added
        elif form in multipliers and multipliers[form] in _SMALL_FACTORS:
            group = (group or Decimal(1)) * multipliers[form]
        elif form in multipliers:
            total, group = total + (group or Decimal(1)) * multipliers[form], Decimal(0)
        elif _joins(forms, place, language):
            continue
        else:
            break
        length = place + 1
    return (total + group, length) if length > article else None


def _joins(forms: Sequence[str], place: int, language: Language) -> bool:
    """Whether the word stands between two parts of a number: "one hundred and twenty", "twenty-five"."""
    joins = {"-", *str(language.tables["numbers"].get("joins", "")).split()}
    return (
        bool(place) and forms[place] in joins and place + 1 < len(forms) and is_number_word(forms[place + 1], language)
    )


def _added(group: Decimal, value: Decimal, language: Language) -> Decimal | None:
    """Returns the group with a further word; None when the word begins another number."""
    if language.code == "fr":
        if group % 100 == 4 and value == 20:  # quatre-vingts
            return group - 4 + 80
        if group % 100 in {60, 80} and value < 20:  # soixante-dix
            return group + value
    if not group:
        return value
    fits = (group % 10 == 0 and value < 10) or group % 100 == 0
    return group + value if fits else None


def _small(form: str, language: Language) -> Decimal | None:
    words = language.numbers("words")
    if form in words:
        return words[form]
    if language.code not in {"de", "it"} or len(form) < _SHORTEST_COMPOUND or form in language.numbers("multipliers"):
        return None
    return _compound(form, language)


def _compound(form: str, language: Language) -> Decimal | None:
    """Reads a number that German or Italian writes as one word."""
    words = language.numbers("words")
    if form in words:
        return words[form]
    for multiplier, factor in sorted(language.numbers("multipliers").items(), key=lambda pair: -pair[1]):
        before, found, after = form.partition(multiplier)
        if found and factor >= 100:
            left = _compound(before, language) if before else Decimal(1)
            right = _compound(after, language) if after else Decimal(0)
            if left is not None and right is not None:
                return left * factor + right
    pairs = _german(form) if language.code == "de" else _italian(form)
    values = ((words.get(tens), words.get(ones)) for tens, ones in pairs)
    return next(
        (tens + ones for tens, ones in values if tens is not None and ones is not None and ones < 10 <= tens), None
    )


def _german(form: str) -> Iterator[tuple[str, str]]:
    ones, und, tens = form.partition("und")
    if und:
        yield tens, "eins" if ones == "ein" else ones


def _italian(form: str) -> Iterator[tuple[str, str]]:
    """Yields how the word may be cut; tens lose their last vowel before "uno" and "otto"."""
    for cut in range(3, len(form) - 2):
        for vowel in ("", "i", "a"):
            yield form[:cut] + vowel, form[cut:]
