"""Numbers as a sheet shows them: the number formats of ECMA-376, part 1, 18.8.30 and 18.8.31.

What a format leaves to the reader's country is written in one way: decimal points, commas between thousands,
English months, and ISO dates for the formats "short date" and "short date and time".
"""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import NamedTuple

from backend.documents.parsing.sheets import dates

BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"$"#,##0_);("$"#,##0)', 6: '"$"#,##0_);("$"#,##0)',
    7: '"$"#,##0.00_);("$"#,##0.00)', 8: '"$"#,##0.00_);("$"#,##0.00)', 9: "0%", 10: "0.00%", 11: "0.00E+00",
    12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd hh:mm", 37: "#,##0_);(#,##0)",
    38: "#,##0_);(#,##0)", 39: "#,##0.00_);(#,##0.00)", 40: "#,##0.00_);(#,##0.00)",
    41: '_(* #,##0_);_(* (#,##0);_(* "-"_);_(@_)',
    42: '_("$"* #,##0_);_("$"* (#,##0);_("$"* "-"_);_(@_)', 43: '_(* #,##0.00_);_(* (#,##0.00);_(* "-"??_);_(@_)',
    44: '_("$"* #,##0.00_);_("$"* (#,##0.00);_("$"* "-"??_);_(@_)', 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0",
    48: "##0.0E+0", 49: "@",
    # East Asian sheets write dates and times in these, by the calendars of their countries.
    **dict.fromkeys((*range(27, 37), *range(50, 59)), "[<1]h:mm:ss;yyyy-mm-dd"),
    # And Thai ones in these.
    59: "0", 60: "0.00", 61: "#,##0", 62: "#,##0.00", 67: "0%", 68: "0.00%", 69: "# ?/?", 70: "# ??/??", 71: "yyyy-mm-dd",
    72: "yyyy-mm-dd", 73: "d-mmm", 74: "mmm-yy", 75: "h:mm", 76: "h:mm:ss", 77: "yyyy-mm-dd h:mm", 78: "mm:ss", 79: "[h]:mm:ss",
    80: "mm:ss.0", 81: "yyyy-mm-dd",
}  # fmt: skip

_LONGEST_FORMAT = 500
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<padding>.)|\*(?P<fill>.)|\[\$(?P<currency>[^\]-]*)(?:-[^\]]*)?\]'
    r"|\[(?P<condition>[<>=]+)(?P<bound>-?[\d.]+)\]|\[(?P<elapsed>h+|m+|s+)\]|\[[^\]]*\]|(?P<general>General)"
    r"|(?P<noon>AM/PM|A/P)|(?P<era>g+(?=e))|(?P<exponent>E[+-])|(?P<date>y+|m+|d+|h+|s+|e+)|(?P<digit>[0#?])|(?P<mark>[.,%/@])"
    r"|(?P<literal>.)",
    re.IGNORECASE | re.DOTALL,
)
_CONDITIONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b,
}  # fmt: skip


class FormatToken(NamedTuple):
    """A piece of a format: literal text, a placeholder of digits, a mark, or a part of a date."""

    kind: str
    text: str


class _Section(NamedTuple):
    tokens: tuple[FormatToken, ...]
    condition: tuple[str, float] | None


def shown(value: float, code: str, *, since_1904: bool = False) -> str:
    """Returns a number as its format shows it, without padding; the empty string for a format that hides it."""
    sections = _parsed(code[:_LONGEST_FORMAT])
    section, number = _chosen(sections, value)
    kinds = {token.kind for token in section.tokens}
    if kinds & {"date", "elapsed", "noon"}:
        text = dates.shown(number, section.tokens, since_1904=since_1904)
        return general(value) if text is None else text
    if "general" in kinds:
        pieces = [general(number) if token.kind == "general" else token.text for token in section.tokens]
        return "".join(pieces).strip()
    if any(token == FormatToken("mark", "@") for token in section.tokens) and "digit" not in kinds:
        return general(value)
    return " ".join(_number(number, section.tokens).split())


def shown_text(value: str, code: str) -> str:
    """Returns a text as its format shows it: the fourth section, if there is one, may put words around it."""
    sections = _parsed(code[:_LONGEST_FORMAT])
    has_text = [s for s in sections if any(t == FormatToken("mark", "@") for t in s.tokens)]
    if not has_text or (len(sections) > 1 and len(sections) < 4 and has_text[0] is not sections[-1]):
        return value
    return "".join(value if t == FormatToken("mark", "@") else t.text for t in has_text[-1].tokens).strip()


def general(value: float) -> str:
    """Returns the number in full: every digit that the file holds, up to fifteen, and no exponent if it can be."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = f"{value:.15g}"
    if "e" not in text:
        return text
    return f"{Decimal(text):f}" if 1e-12 < abs(value) < 1e21 else text.replace("e", "E")


@lru_cache(maxsize=1_000)
def _parsed(code: str) -> tuple[_Section, ...]:
    sections: list[_Section] = []
    tokens: list[FormatToken] = []
    condition: tuple[str, float] | None = None
    for match in _TOKEN.finditer(code):
        kind, text = match.lastgroup or "", match[match.lastgroup] if match.lastgroup else ""
        if kind == "literal" and text == ";":
            sections.append(_Section(tuple(tokens), condition))
            tokens, condition = [], None
        elif kind == "bound":
            condition = (match["condition"], float(match["bound"]))
        elif kind in {"quoted", "escaped", "currency", "literal"}:
            tokens.append(FormatToken("literal", text))
        elif kind == "padding":
            tokens.append(FormatToken("literal", " "))
        elif kind == "date":
            tokens.append(FormatToken(kind, text.lower()))
        elif kind and kind not in {"fill", "era"}:  # years are those of the common calendar
            tokens.append(FormatToken(kind, text))
    sections.append(_Section(tuple(tokens), condition))
    return tuple(sections)


def _chosen(sections: tuple[_Section, ...], value: float) -> tuple[_Section, float]:
    """Returns the section for the value, and the value that it shows: a section for negative numbers has no sign."""
    conditional = [section for section in sections if section.condition is not None]
    if conditional:
        for section in sections:
            if section.condition is None or _CONDITIONS.get(section.condition[0], _CONDITIONS["="])(
                value, section.condition[1]
            ):
                negative_only = section.condition is not None and section.condition[0].startswith("<")
                return section, abs(value) if negative_only and value < 0 else value
        return sections[-1], value
    numeric = sections[:3]
    if len(numeric) == 1:
        return numeric[0], value
    if value < 0:
        return numeric[1], -value
    if value == 0 and len(numeric) == 3:
        return numeric[2], value
    return numeric[0], value


def _number(value: float, tokens: tuple[FormatToken, ...]) -> str:
    if not any(token.kind == "digit" for token in tokens):
        return "".join(token.text for token in tokens if token.kind in {"literal", "mark"})
    if any(token == FormatToken("mark", "/") for token in tokens):
        return _fraction(value, tokens)
    number = Decimal(f"{value:.15g}")
    for _ in range(sum(token == FormatToken("mark", "%") for token in tokens)):
        number *= 100
    if any(token.kind == "exponent" for token in tokens):
        return _scientific(number, tokens)
    return _fixed(number, tokens)


def _fixed(number: Decimal, tokens: tuple[FormatToken, ...]) -> str:
    point = next((i for i, token in enumerate(tokens) if token == FormatToken("mark", ".")), len(tokens))
    last = (
        max(i for i, token in enumerate(tokens[:point] or tokens) if token.kind == "digit")
        if any(token.kind == "digit" for token in tokens[:point])
        else -1
    )
    first = next((i for i, token in enumerate(tokens) if token.kind == "digit"), len(tokens))
    commas = [i for i, token in enumerate(tokens) if token == FormatToken("mark", ",")]
    has_thousands = any(first < i < last for i in commas)
    final_digit = max(i for i, token in enumerate(tokens) if token.kind == "digit")
    for i in commas:
        if last < i < point or i == final_digit + 1 or (i > final_digit and tokens[i - 1] == FormatToken("mark", ",")):
            number /= 1_000
    decimals = sum(token.kind == "digit" for token in tokens[point:])
    rounded = abs(number).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    whole, _, fraction = f"{rounded:f}".partition(".")
    left = _filled(
        [t for t in tokens[:point] if t.text != "," or t.kind != "mark"], whole.lstrip("0"), has_thousands=has_thousands
    )
    right = _decimals(tokens[point:], fraction)
    sign = "-" if number < 0 and rounded else ""
    return f"{sign}{left}{right}"


def _filled(tokens: list[FormatToken], digits: str, *, has_thousands: bool) -> str:
    """Puts the digits into the placeholders from the right; the first placeholder takes all that are left."""
    pieces: list[str] = []
    placeholders = sum(token.kind == "digit" for token in tokens)
    placed = 0
    rest = digits
    for token in reversed(tokens):
        if token.kind != "digit":
            pieces.append(token.text)
            continue
        placeholders -= 1
        taken = rest if placeholders == 0 else rest[-1:]
        rest = rest[: len(rest) - len(taken)]
        if not taken:
            taken = {"0": "0", "?": " "}.get(token.text, "")
        for character in reversed(taken):
            if has_thousands and placed and placed % 3 == 0 and character != " ":
                pieces.append(",")
            pieces.append(character)
            placed += 1
    return "".join(piece for piece in reversed(pieces))


def _decimals(tokens: tuple[FormatToken, ...], fraction: str) -> str:
    """Returns the point and what follows it; a # shows no zero at the end."""
    shown_digits: list[str] = []
    places = [token for token in tokens if token.kind == "digit"]
    needed = len(places)
    while needed and places[needed - 1].text in "#?" and fraction[needed - 1] == "0":
        needed -= 1
    digits = iter(fraction)
    position = 0
    for token in tokens:
        if token.kind == "digit":
            digit = next(digits)
            shown_digits.append(digit if position < needed else "")
            position += 1
        elif token != FormatToken("mark", ","):
            shown_digits.append(token.text)
    return "".join(shown_digits)


def _scientific(number: Decimal, tokens: tuple[FormatToken, ...]) -> str:
    mark = next(i for i, token in enumerate(tokens) if token.kind == "exponent")
    mantissa_tokens, exponent_tokens = tokens[:mark], tokens[mark + 1 :]
    point = next(
        (i for i, token in enumerate(mantissa_tokens) if token == FormatToken("mark", ".")), len(mantissa_tokens)
    )
    width = max(1, sum(token.kind == "digit" for token in mantissa_tokens[:point]))
    exponent = number.adjusted() if number else 0
    exponent -= exponent % width if width > 1 else 0
    mantissa = _fixed(number.scaleb(-exponent), mantissa_tokens)
    digits = _filled(list(exponent_tokens), str(abs(exponent)).lstrip("0") or "0", has_thousands=False)
    sign = "-" if exponent < 0 else "+" if tokens[mark].text.endswith("+") else ""
    return f"{mantissa}E{sign}{digits}"


def _fraction(value: float, tokens: tuple[FormatToken, ...]) -> str:
    from fractions import Fraction  # noqa: PLC0415 — few sheets hold fractions

    slash = next(i for i, token in enumerate(tokens) if token == FormatToken("mark", "/"))
    below = "".join(token.text for token in tokens[slash + 1 :] if token.kind == "digit" or token.text.isdigit())
    has_whole = any(token.text == " " for token in tokens[:slash])
    exact = Fraction(abs(value)).limit_denominator(10**12)
    whole = int(exact) if has_whole else 0
    rest = exact - whole
    if below.isdigit() and int(below):
        fraction = (round(rest * int(below)), int(below))
    else:
        near = rest.limit_denominator(10 ** min(max(len(below), 1), 5) - 1)
        fraction = (near.numerator, near.denominator)
    if fraction[0] == fraction[1] and has_whole:
        whole, fraction = whole + 1, (0, 1)
    sign = "-" if value < 0 else ""
    parts = [str(whole)] if has_whole and (whole or not fraction[0]) else []
    parts += [f"{fraction[0]}/{fraction[1]}"] if fraction[0] or not has_whole else []
    return sign + " ".join(parts)
