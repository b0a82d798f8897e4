"""Numbers that name something: telephones, accounts and cards, and the parts of a document in Roman or Chinese numerals."""

import re
from collections.abc import Iterator

from backend.language import written

_GAP = r"[\s./-]"
_TELEPHONE = re.compile(
    rf"""
      (?<![\w+.,]) (?:\+|00(?=[1-9])) (?P<abroad>\d{{1,4}}(?:{_GAP}?\(0\))?(?:{_GAP}{{0,2}}\(?\d{{1,8}}\)?){{1,6}}) (?!\w)
    | (?<![\w+.,]) (?!\d\d[./]\d\d[./](?:19|20)\d\d) \(?0(?P<trunk>\d{{1,5}}\)?(?:{_GAP}{{1,2}}\d{{1,8}}){{1,5}}) (?!\w)
    | (?<![\w+.,]) 0(?P<joined>\d{{8,11}}) (?!\w)
    | (?<![\w+.,]) (?:1{_GAP})?\(?(?P<american>\d{{3}}\)?{_GAP}\d{{3}}[\s.-]\d{{4}}) (?!\w)
    """,
    re.VERBOSE,
)  # fmt: skip
_FEWEST_DIGITS, _MOST_DIGITS = 6, 14  # of a telephone number, without its country's code
# Of one digit, of two, and all others of three (ITU-T E.164).
_COUNTRY = re.compile(r"1|7|20|27|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3}")
_ACCOUNT = re.compile(
    r"\b (?: [a-z]{2}\d\d (?:\s[a-z\d]{4}){2,7} (?:\s[a-z\d]{1,3})? | \d{4}(?:[\s-]\d{4}){3} ) \b", re.VERBOSE
)
_ROMAN_NUMERAL = r"(?:[ivxl]{1,8}|(?=[ivxlc]{2})[ivxlc]{2,8})"
_ROMAN = re.compile(rf"({_ROMAN_NUMERAL})([a-h])?")
_PARTS = re.compile(
    rf"\b(?:{written.words('parts')})\.?\s(?P<listed>{_ROMAN_NUMERAL}[a-h]?"
    rf"(?:\s?(?:[,\u2013-]|\b(?:{written.words('joins')})\b)\s?{_ROMAN_NUMERAL}[a-h]?){{0,5}})\b"
)
_COUNTED = re.compile("第([〇零一二三四五六七八九十百]{1,5})")
_SIGNS = {sign: value for value, sign in enumerate("〇一二三四五六七八九")} | {"零": 0}
_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def telephones(text: str) -> Iterator[str]:
    """Yields telephone numbers as digits without their country's code, or the 0 that stands in its place."""
    for match in _TELEPHONE.finditer(text):
        digits = re.sub(r"\D", "", match[match.lastgroup or 0].replace("(0)", ""))
        if match["abroad"]:
            country = _COUNTRY.match(digits)
            digits = digits[country.end() :] if country else digits
        digits = digits.lstrip("0")
        if _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS:
            yield digits


def accounts(text: str) -> Iterator[str]:
    """Yields the numbers of accounts and cards without the gaps between their groups."""
    yield from (re.sub(r"[\s-]", "", match[0]) for match in _ACCOUNT.finditer(text))


def parts(text: str) -> Iterator[str]:
    """Yields the numbers of articles, chapters and other parts that are written in Roman or Chinese numerals."""
    for match in _PARTS.finditer(text):
        for numeral in re.findall(rf"\b{_ROMAN_NUMERAL}[a-h]?\b", match["listed"]):
            roman = _ROMAN.fullmatch(numeral)
            if roman and (value := _arabic(roman[1])):
                yield f"{value}{roman[2] or ''}"
    for match in _COUNTED.finditer(text):
        yield str(_chinese(match[1]))


def _arabic(roman: str) -> int | None:
    """Returns the value of a Roman numeral; None for letters that are none."""
    values = [_VALUES[letter] for letter in roman]
    total = sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))
    return total if _written(total) == roman else None


def _written(number: int) -> str:
    numerals = {100: "c", 90: "xc", 50: "l", 40: "xl", 10: "x", 9: "ix", 5: "v", 4: "iv", 1: "i"}
    found = ""
    for value, numeral in numerals.items():
        found += numeral * (number // value)
        number %= value
    return found


def _chinese(signs: str) -> int:
    total, digit = 0, 0
    for sign in signs:
        if sign in "十百":
            total, digit = total + (digit or 1) * (10 if sign == "十" else 100), 0
        else:
            digit = digit * 10 + _SIGNS[sign]
    return total + digit
