"""Numbers as lists print them: letters, Roman numerals, ordinals, words.

The words stand here and not with the language that they are of: each file is parsed in a process of its own, which would start a
fifth slower with all that reads languages.
"""

import re

_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
          (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"  # noqa: SIM905 — or a line for each
    " seventeen eighteen nineteen".split()
)
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905 — or a line for each
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
             "twelve": "twelfth"}  # fmt: skip
_LAST = re.compile(r"[a-z]+")
_CHICAGO = "*†‡§"


def formatted(number: int, style: str) -> str:  # noqa: PLR0911 — a return for each style
    """Returns a number in one of the number formats of office documents; those of other scripts are given as decimals."""
    match style:
        case "none" | "bullet":
            return ""
        case "lowerLetter" | "upperLetter":
            letters = _letters(number)
            return letters if style == "lowerLetter" else letters.upper()
        case "lowerRoman" | "upperRoman":
            roman = _roman(number)
            return roman if style == "lowerRoman" else roman.upper()
        case "decimalZero":
            return f"{number:02}"
        case "cardinalText":
            return _words(number).capitalize()
        case "ordinalText":
            return _ordinal_words(number).capitalize()
        case _ if style.isdigit():
            return f"{number:0{len(style)}}"
        case "ordinal":
            return f"{number}{_ordinal_ending(number)}"
        case "chicago":
            return _CHICAGO[(number - 1) % len(_CHICAGO)] * ((number - 1) // len(_CHICAGO) + 1)
        case _:
            return str(number)


def _words(number: int) -> str:
    if not 0 < number < 1_000:
        return str(number)
    hundreds, rest = divmod(number, 100)
    if hundreds:
        return f"{_ONES[hundreds]} hundred" + (f" {_words(rest)}" if rest else "")
    tens, ones = divmod(rest, 10)
    return _ONES[rest] if rest < len(_ONES) else _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def _ordinal_words(number: int) -> str:
    words = _words(number)
    if words.isdecimal():
        return words + _ordinal_ending(number)
    begun, last = words[: -len(_LAST.findall(words)[-1])], _LAST.findall(words)[-1]
    return begun + (_ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"))


def _letters(number: int) -> str:
    # After z, Word repeats the letter: aa, bb.
    repeated, letter = divmod(max(number, 1) - 1, 26)
    return chr(ord("a") + letter) * min(repeated + 1, 10)


def _roman(number: int) -> str:
    if not 0 < number < 4_000:
        return str(number)
    text = ""
    for value, letters in _ROMAN:
        count, number = divmod(number, value)
        text += letters * count
    return text


def _ordinal_ending(number: int) -> str:
    return "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
