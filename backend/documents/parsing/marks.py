"""Raised and lowered text: a note mark must not lengthen the figure that it stands at."""

import re

_NOTE = re.compile(r"[(\[]?\s*(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})\s*[)\]]?(?:\s?[,;]\s?\(?(?:\d{1,3}|[a-zA-Z])\)?)*")
_IN_BRACKETS = re.compile(r"(?:[(\[]\w{1,3}[)\]]\s?,?\s?){2,}")
_ORDINAL = re.compile(r"(?i)st|nd|rd|th|er|re|e|ème|o|a|º|ª")
_UNIT = re.compile(r"(?:^|[\s\d(/])(?:[kcmdµ]?m|ft|in|yd|mi|sq|s|R|x|y|n|σ|χ)$")
_POWER = re.compile(r"(?:[×x·*]\s*10|\be)$")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾", "0123456789()")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_FROM_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_NUMERATOR = r"(?:\[note (?P<above>\d{1,3})\]|(?P<small>[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))"
_FRACTION = re.compile(
    rf" ?{_NUMERATOR} ?(?:[/⁄] ?(?P<below>[₀₁₂₃₄₅₆₇₈₉]{{1,3}})|⁄ ?(?P<plain>\d{{1,3}}))(?![\d₀₁₂₃₄₅₆₇₈₉])"
)
_OPEN_FRACTION = re.compile(r"(?:\[note \d{1,3}\]|[⁰¹²³⁴⁵⁶⁷⁸⁹]) ?[/⁄] ?$")
_MARK_AT_A_FIGURE = re.compile(r"(?<=[\d%)])⁽?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}⁾?(?![⁰¹²³⁴⁵⁶⁷⁸⁹])")


def raised(before: str, text: str) -> str:
    """Returns what raised text adds to the text before it: ordinals join it, powers follow a ^, marks become notes."""
    mark = text.strip()
    if not mark:
        return text
    after = " " if text[-1:].isspace() else ""
    if _ORDINAL.fullmatch(mark) and before[-1:].isdigit() and len(mark) > 1:
        return mark + after
    if re.match(r"[-−+]?\d", mark) and (_UNIT.search(before) or _POWER.search(before) or mark[0] in "-−+"):
        return f"^{mark}{after}"
    if _IN_BRACKETS.fullmatch(mark):
        return note(before, ", ".join(re.findall(r"\w+", mark))) + after
    if _NOTE.fullmatch(mark):
        return note(before, mark) + after
    return f" {text}" if _clashes(before, mark) else text


def lowered(before: str, text: str) -> str:
    """Returns what lowered text adds: after a letter it is an index, after a figure it stands apart."""
    mark = text.strip()
    if mark.isdecimal() and mark.isascii() and _OPEN_FRACTION.search(before):
        return denominator(text)
    return note(before, mark) if mark and _clashes(before, mark) else text


def denominator(text: str) -> str:
    """Returns figures under a line, for what is `spelled_out` later to see that they are no figures of their own."""
    return text.translate(_SUBSCRIPTS)


def note(before: str, mark: str) -> str:
    """Returns the reference to a note, apart from the text before it."""
    gap = "" if not before or before[-1].isspace() else " "
    return f"{gap}[note {mark.strip('()[] ') if mark.count('(') <= 1 else mark}]"


def spelled_out(text: str) -> str:
    """Returns the text with raised digits at a figure (25¹), which many readers take for its last ones, as notes.

    A raised figure over a lowered one is a fraction: 5 ¹/₂ is 5 1/2.
    """
    if text.isascii():
        return text
    text = _FRACTION.sub(_written_out, text)
    return _MARK_AT_A_FIGURE.sub(lambda found: _spelled(found.string[: found.start()], found[0]), text)


def _written_out(fraction: re.Match[str]) -> str:
    above = fraction["above"] or fraction["small"].translate(_SUPERSCRIPTS)
    below = fraction["plain"] or fraction["below"].translate(_FROM_SUBSCRIPTS)
    before = fraction.string[: fraction.start()]
    gap = " " if before[-1:].isdigit() or fraction[0][0] == " " else ""
    return f"{gap}{above}/{below}"


def _spelled(before: str, mark: str) -> str:
    return f"^{mark.translate(_SUPERSCRIPTS)}" if _POWER.search(before) else note(before, mark.translate(_SUPERSCRIPTS))


def _clashes(before: str, mark: str) -> bool:
    return before[-1:].isdigit() and (mark[0].isdigit() or mark[0] in ".,")
