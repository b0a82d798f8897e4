"""Dates, months, quarters and half years: 2026-04-13 is 13 April 2026, 13.4.2026 and 2026年4月13日; 2Q23 is T2 2023."""

import re
from collections.abc import Iterator, Mapping, Sequence

from backend.language import written

_MONTHS, _ORDINALS = written.months(), written.ordinals()
_MONTH, _ORDINAL = written.any_of(_MONTHS), written.any_of(_ORDINALS)
_YEAR = r"(?:19|20)\d\d"
_NTH = r"\.?(?:st|nd|rd|th|er|re|e|ème|o|a|°)?"
_CENTURY = 2000
_MOST_MONTHS, _MOST_DAYS = 12, 31
_DATE = re.compile(
    rf"""
      (?P<ymd>    (?<![\d.]) (?P<y1>{_YEAR})[-/.](?P<m1>\d\d?)[-/.](?P<d1>\d\d?) (?![\d-]) )
    | (?P<ym>     (?<![\d.,-]) (?P<y2>{_YEAR})-(?P<m2>\d\d) (?![\d-]) )
    | (?P<either> (?<![\d.,/-]) (?P<a3>\d\d?)(?P<mark>[/-])(?P<b3>\d\d?)(?P=mark)(?P<y3>{_YEAR}|\d\d) (?![\d/-]) )
    | (?P<dotted> (?<![\d.,]) (?P<d4>\d\d?)\.\s?(?P<m4>\d\d?)\.\s?(?P<y4>{_YEAR}) (?!\d) )
    | (?P<my>     (?<![\d.,/-]) (?P<m5>\d\d)/(?P<y5>{_YEAR}) (?!\d) )
    | (?P<dmy>    \b (?P<d6>\d\d?){_NTH}[\s-](?:day\s)?(?:of\s|de\s)?(?P<m6>{_MONTH})\.?,?[\s-](?:del?\s)?(?P<y6>{_YEAR}) \b )
    | (?P<mdy>    \b (?P<m7>{_MONTH})\.?[\s-](?P<d7>\d\d?){_NTH},?[\s-](?P<y7>{_YEAR}) \b )
    | (?P<named>  \b (?P<m8>{_MONTH})\.?,?[\s-](?:of\s|del?\s)?(?P<y8>{_YEAR}) \b )
    | (?P<signs>  (?<!\d) (?P<y9>{_YEAR})\s?[年년]\s?(?P<m9>\d\d?)\s?[月월] (?:\s?(?P<d9>\d\d?)\s?[日일])? )
    """,
    re.VERBOSE,
)  # fmt: skip
_PERIOD = re.compile(
    rf"""
      (?P<short>  \b (?:(?P<y1>{_YEAR})[\s-]?)? (?P<s1>[qh])(?P<n1>[1-4]) (?:[\s/'-]{{0,2}}(?:fy\s?)?'?(?P<z1>{_YEAR}|\d\d))? \b )
    | (?P<dated>  \b (?P<s2>[ts])(?P<n2>[1-4])[\s/'-]{{1,2}}(?P<y2>{_YEAR}) \b )
    | (?P<behind> \b (?P<n3>[1-4])(?P<s3>[qhts])[\s/'-]{{0,2}}(?P<y3>{_YEAR}|\d\d) \b )
    | (?P<words>  (?<!\w) (?:(?P<o4>{_ORDINAL})|(?P<n4>[1-4]){_NTH}|(?P<r4>iv|i{{1,3}})\.?)[\s-](?:fiscal\s)?
                  (?:(?P<quarter>{written.phrases('quarter')})|(?P<half>{written.phrases('half')}))s?
                  (?:,?\s(?:(?:{written.phrases('before_year')})\s)?(?P<y4>{_YEAR}))? \b )
    | (?P<after>  \b quarter\s(?:(?P<n5>[1-4])|(?P<w5>one|two|three|four)) \b )
    | (?P<signs>  (?<!\d) (?:(?P<y6>{_YEAR})\s?[年년])?\s?第?(?P<n6>[1-4一二三四])(?:四半期|季度|분기) )
    | (?P<fiscal> \b fy \s?'? (?P<y7>{_YEAR}|\d\d) \b )
    """,
    re.VERBOSE,
)  # fmt: skip
# What every match has, and most texts have not: that is seen in a tenth of the time.
_HAS_DATE = re.compile(rf"{_YEAR}|\d[/-]\d\d?[/-]\d\d")
_HAS_PERIOD = re.compile(
    rf"[qhts][1-4]|[1-4][qhts]|fy\s?'?\d|四半期|季度|분기|quarter|{written.phrases('quarter')}|{written.phrases('half')}"
)
_KINDS = {"q": "quarter", "t": "quarter", "h": "half", "s": "half"}
_NUMBERS = {
    number: value
    for value, numbers in enumerate(("one 一 i", "two 二 ii", "three 三 iii", "four 四 iv"), start=1)
    for number in numbers.split()
}


def dates(text: str) -> Iterator[str]:
    """Yields 20260413 and 202604 for a date, and 202604 for a month of a year."""
    for match in _DATE.finditer(text) if _HAS_DATE.search(text) else ():
        found = match.groupdict()
        if match["either"]:  # month and day in America, day and month elsewhere
            yield from _date(found["y3"], found["a3"], found["b3"])
            if found["a3"] != found["b3"]:
                yield from _date(found["y3"], found["b3"], found["a3"])
        else:
            place = next(place for place in "12456789" if found[f"y{place}"])
            month = found[f"m{place}"]
            yield from _date(found[f"y{place}"], str(_MONTHS.get(month, month)), found.get(f"d{place}"))


def periods(text: str) -> Iterator[str]:
    """Yields quarter2 or half1, and the year where it is no word of its own."""
    for match in _PERIOD.finditer(text) if _HAS_PERIOD.search(text) else ():
        found = {name: value for name, value in match.groupdict().items() if value}
        sign = _first(found, ("s1", "s2", "s3")) or ("h" if "half" in found else "q")
        number = _first(found, ("n1", "n2", "n3", "n4", "n5", "n6", "r4", "w5", "o4"))
        if number:
            yield f"{_KINDS[sign]}{_NUMBERS.get(number) or _ORDINALS.get(number) or number}"
        yield from (_year(found[name]) for name in ("y1", "z1", "y2", "y3", "y4", "y6", "y7") if name in found)


def _first(found: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((found[name] for name in names if name in found), None)


def _year(written_year: str) -> str:
    year = int(written_year)
    return str(year if year >= _CENTURY - 100 else _CENTURY + year)


def _date(year: str, month: str, day: str | None) -> Iterator[str]:
    if not 1 <= int(month) <= _MOST_MONTHS:
        return
    if day is None:
        yield f"{_year(year)}{int(month):02}"
    elif 1 <= int(day) <= _MOST_DAYS:
        yield f"{_year(year)}{int(month):02}{int(day):02}"
        yield f"{_year(year)}{int(month):02}"
