"""Further terms of figures and names that people write in several ways, so that one way finds the other.

25 bps, 25 basis points and 0.25 % share a term; so do 2026-04-13, 13 April 2026 and 04/13/2026, Q2 and second quarter, FY23
and 2023, +1 (800) 555-0142 and 8005550142, DE89 3704 0044 and DE8937040044, Article VI and Article 6.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier", "february feb februar", "march mar märz", "april apr avril", "may mai",
            "june jun juni juin", "july jul juli juillet", "august aug août", "september sep sept septembre",
            "october oct oktober octobre", "november nov novembre", "december dec dezember décembre",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}
_NUMBERED = "articles?|section|part|chapter|title|annex|appendix|schedule|book|class|tier|phase|stage|basel|division"
_ORDINAL = "|".join(_ORDINALS)
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
# Repetition is bounded, as in the lexicon, so that no text costs more than linear time. All read lower-case text.
_SPELLINGS = re.compile(
    rf"""
      (?P<points>  (?<![\d.,]) (?P<pt>\d{{1,6}}(?:\.\d{{1,4}})?) \s? (?:bps?\b|basis\spoints?\b) )
    | (?P<percent> (?<![\d.,]) (?P<pc>\d{{1,6}}(?:\.\d{{1,6}})?) \s? (?:%|percent\b|per\scent\b) )
    | (?P<iso>     \b (?P<iy>(?:19|20)\d\d)-(?P<im>\d\d)-(?P<id>\d\d) \b )
    | (?P<slashed> \b (?P<sa>\d\d?)/(?P<sb>\d\d?)/(?P<sy>(?:19|20)\d\d) \b )
    | (?P<dmy>     \b (?P<dd>\d\d?)(?:st|nd|rd|th)?\.?\s(?:of\s)?(?P<dm>{_MONTH})\.?,?\s(?P<dy>(?:19|20)\d\d) \b )
    | (?P<mdy>     \b (?P<mm>{_MONTH})\.?\s(?P<md>\d\d?)(?:st|nd|rd|th)?,?\s(?P<my>(?:19|20)\d\d) \b )
    | (?P<fiscal>  \b fy \s?'? (?P<fy>(?:19|20)\d\d|\d\d) \b )
    | (?P<quarter> \b (?P<qy>(?:19|20)\d\d)? (?: q(?P<qn>[1-4]) | (?P<qw>{_ORDINAL})\s(?:fiscal\s)?quarter ) \b )
    | (?P<roman>   \b (?:{_NUMBERED}) \s (?P<rn>[ivx]{{1,6}}) \b )
    | (?P<phone>   (?<![\w+]) \+?\d{{1,3}}[ .-]? \(?\d{{2,4}}\)[ .-]? \d{{3,4}}[ .-]\d{{3,4}} (?!\w) )
    | (?P<account> \b [a-z]{{2}}\d\d (?:\s[a-z\d]{{4}}){{2,7}} (?:\s[a-z\d]{{1,3}})? \b )
    """,
    re.VERBOSE,
)
_LONGEST_NATIONAL_NUMBER = 10  # digits, behind which a country's code stands
_CENTURY = 2000
_ROMAN = {"i": 1, "v": 5, "x": 10}


def spellings(text: str) -> Iterator[str]:
    """Yields the further terms of lower-case text, each in the one spelling that all others share."""
    for match in _SPELLINGS.finditer(text):
        kind = next(kind for kind in _TERMS if match[kind])
        yield from _TERMS[kind](match)


def _slashed(match: re.Match[str]) -> Iterator[str]:
    """Yields both readings: month and day in America, day and month elsewhere."""
    yield from _date(match["sy"], match["sa"], match["sb"])
    if match["sa"] != match["sb"]:
        yield from _date(match["sy"], match["sb"], match["sa"])


def _fiscal_year(match: re.Match[str]) -> Iterator[str]:
    year = int(match["fy"])
    yield str(year if year >= _CENTURY - 100 else _CENTURY + year)


def _quarter(match: re.Match[str]) -> Iterator[str]:
    yield f"quarter{match['qn'] or _ORDINALS[match['qw']]}"
    if match["qy"]:
        yield match["qy"]


def _telephone(match: re.Match[str]) -> Iterator[str]:
    digits = "".join(filter(str.isdigit, match[0]))
    yield digits
    if len(digits) > _LONGEST_NATIONAL_NUMBER:
        yield digits[-_LONGEST_NATIONAL_NUMBER:]


def _basis_points(points: Decimal) -> str:
    return f"{points.normalize():f}bp"


def _date(year: str, month: str, day: str) -> Iterator[str]:
    if 1 <= int(month) <= 12 and 1 <= int(day) <= 31:
        yield f"{year}{int(month):02}{int(day):02}"


def _arabic(roman: str) -> int:
    values = [_ROMAN[letter] for letter in roman]
    following = [*values[1:], 0]
    return sum(-value if value < after else value for value, after in zip(values, following, strict=True))


_TERMS: dict[str, Callable[[re.Match[str]], Iterable[str]]] = {
    "points": lambda match: [_basis_points(Decimal(match["pt"]))],
    "percent": lambda match: [_basis_points(Decimal(match["pc"]) * 100)],
    "iso": lambda match: _date(match["iy"], match["im"], match["id"]),
    "slashed": _slashed,
    "dmy": lambda match: _date(match["dy"], str(_MONTHS[match["dm"]]), match["dd"]),
    "mdy": lambda match: _date(match["my"], str(_MONTHS[match["mm"]]), match["md"]),
    "fiscal": _fiscal_year,
    "quarter": _quarter,
    "roman": lambda match: [str(_arabic(match["rn"]))],
    "phone": _telephone,
    "account": lambda match: [match[0].replace(" ", "")],
}
