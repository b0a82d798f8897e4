"""Numbers as lists print them: letters, Roman numerals, ordinals."""

_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
          (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_CHICAGO = "*†‡§"


def formatted(number: int, style: str) -> str:  # noqa: PLR0911 — a return for each style
    """Return a number in one of the number formats of office documents; those of other scripts are given as decimals."""
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
        case "ordinal":
            return f"{number}{_ordinal_ending(number)}"
        case "chicago":
            return _CHICAGO[(number - 1) % len(_CHICAGO)] * ((number - 1) // len(_CHICAGO) + 1)
        case _:
            return str(number)


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
