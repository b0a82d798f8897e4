"""Raised and lowered text: a note mark must not lengthen the figure that it stands at."""

import re

_NOTE = re.compile(r"\(?\s*(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})\s*\)?(?:\s?[,;]\s?\(?(?:\d{1,3}|[a-zA-Z])\)?)*")
_ORDINAL = re.compile(r"(?i)st|nd|rd|th|er|re|e|ème|o|a|º|ª")
_UNIT = re.compile(r"(?:^|[\s\d(/])(?:[kcmdµ]?m|ft|in|yd|mi|sq|s|R|x|y|n|σ|χ)$")
_POWER = re.compile(r"(?:[×x·*]\s*10|\be)$")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾", "0123456789()")
_MARK_AT_A_FIGURE = re.compile(r"(?<=[\d%)])⁽?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}⁾?(?![⁰¹²³⁴⁵⁶⁷⁸⁹])")


def raised(before: str, text: str) -> str:
    """Return what raised text adds to the text before it: ordinals join it, powers follow a ^, marks become notes."""
    mark = text.strip()
    if not mark:
        return text
    after = " " if text[-1:].isspace() else ""
    if _ORDINAL.fullmatch(mark) and before[-1:].isdigit() and len(mark) > 1:
        return mark + after
    if re.match(r"[-−+]?\d", mark) and (_UNIT.search(before) or _POWER.search(before) or mark[0] in "-−+"):
        return f"^{mark}{after}"
    if _NOTE.fullmatch(mark):
        return note(before, mark) + after
    return f" {text}" if _clashes(before, mark) else text


def lowered(before: str, text: str) -> str:
    """Return what lowered text adds: after a letter it is an index, after a figure it stands apart."""
    mark = text.strip()
    return note(before, mark) if mark and _clashes(before, mark) else text


def note(before: str, mark: str) -> str:
    """Return the reference to a note, apart from the text before it."""
    gap = "" if not before or before[-1].isspace() else " "
    return f"{gap}[note {mark.strip('() ') if mark.count('(') <= 1 else mark}]"


def spelled_out(text: str) -> str:
    """Return the text with raised digits at a figure (25¹), which many readers take for its last ones, as notes."""
    if text.isascii():
        return text
    return _MARK_AT_A_FIGURE.sub(lambda found: _spelled(found.string[: found.start()], found[0]), text)


def _spelled(before: str, mark: str) -> str:
    return f"^{mark.translate(_SUPERSCRIPTS)}" if _POWER.search(before) else note(before, mark.translate(_SUPERSCRIPTS))


def _clashes(before: str, mark: str) -> bool:
    return before[-1:].isdigit() and (mark[0].isdigit() or mark[0] in ".,")
