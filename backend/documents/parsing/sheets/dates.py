"""Serial numbers of days as dates, times and durations."""

import datetime as dt
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from backend.language.languages import language

_DAY_SECONDS = 86_400
_LAST_SERIAL = 2_958_466  # 31 December 9999
_MONTHS = [name.capitalize() for name in language("en").month_names]
_DAYS = [name.capitalize() for name in language("en").weekday_names]


def shown(value: float, tokens: Sequence[tuple[str, str]], *, since_1904: bool) -> str | None:
    """Returns the serial number as its format shows it; None for one that is no date.

    `tokens` are the format's (kind, text); minutes are told from months by the hours before or the seconds after.
    """
    elapsed = any(kind == "elapsed" for kind, _ in tokens)
    if not elapsed and not 0 <= value < _LAST_SERIAL:
        return None
    decimals = _second_decimals(tokens)
    seconds = (Decimal(repr(abs(value))) * _DAY_SECONDS).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    if not any(kind == "elapsed" or text[0] == "s" for kind, text in tokens if kind in {"date", "elapsed"}):
        seconds = Decimal(int(seconds) // 60 * 60) if any(t[0] in "hm" for k, t in tokens if k == "date") else seconds
    moment = _moment(int(seconds) // _DAY_SECONDS, since_1904=since_1904)
    of_day = seconds % _DAY_SECONDS
    noon = any(kind == "noon" for kind, _ in tokens)
    pieces = ["-"] if elapsed and value < 0 else []
    for index, (kind, text) in enumerate(tokens):
        if kind == "elapsed":
            unit = {"h": 3_600, "m": 60, "s": 1}[text[0].lower()]
            pieces.append(f"{int(seconds) // unit:0{len(text)}}")
        elif kind == "noon":
            pieces.append(("AM" if of_day < _DAY_SECONDS // 2 else "PM")[: 2 if len(text) > 3 else 1])
        elif kind == "date":
            minutes = text[0] == "m" and len(text) <= 2 and _is_minutes(tokens, index)
            pieces.append(_minutes(of_day, text) if minutes else _part(moment, of_day, text, noon=noon))
        elif kind == "digit":
            pieces.append("")
        elif text == "." and decimals and _follows_seconds(tokens, index):
            pieces.append(f"{of_day % 1:.{decimals}f}"[1:])
        else:
            pieces.append(text)
    return " ".join("".join(pieces).split())


def _moment(days: int, *, since_1904: bool) -> dt.date:
    if since_1904:
        days += 1_462
    elif days < 60:
        days += 1  # the calendar of sheets has a 29 February 1900
    return dt.date(1899, 12, 30) + dt.timedelta(days=min(days, _LAST_SERIAL - 1))


def _second_decimals(tokens: Sequence[tuple[str, str]]) -> int:
    for index, token in enumerate(tokens):
        if token == ("mark", ".") and _follows_seconds(tokens, index):
            digits = 0
            while index + 1 + digits < len(tokens) and tokens[index + 1 + digits][0] == "digit":
                digits += 1
            return min(digits, 6)
    return 0


def _follows_seconds(tokens: Sequence[tuple[str, str]], index: int) -> bool:
    return index > 0 and tokens[index - 1][1][:1].lower() == "s" and tokens[index - 1][0] in {"date", "elapsed"}


def _is_minutes(tokens: Sequence[tuple[str, str]], index: int) -> bool:
    parts = [(i, text[0].lower()) for i, (kind, text) in enumerate(tokens) if kind in {"date", "elapsed"}]
    place = [i for i, _ in parts].index(index)
    after_hours = place > 0 and parts[place - 1][1] == "h"
    before_seconds = place + 1 < len(parts) and parts[place + 1][1] == "s"
    return after_hours or before_seconds


def _minutes(of_day: Decimal, text: str) -> str:
    return f"{int(of_day) % 3_600 // 60:0{len(text)}}"


def _part(moment: dt.date, of_day: Decimal, text: str, *, noon: bool) -> str:
    length = len(text)
    match text[0]:
        case "y":
            return f"{moment.year % 100:02}" if length <= 2 else f"{moment.year:04}"
        case "e":
            return str(moment.year)
        case "m":
            name = _MONTHS[moment.month - 1]
            return {3: name[:3], 4: name, 5: name[0]}.get(length, f"{moment.month:0{min(length, 2)}}")
        case "d":
            name = _DAYS[moment.weekday()]
            return {3: name[:3]}.get(length, name if length > 3 else f"{moment.day:0{length}}")
        case "h":
            hour = int(of_day) // 3_600
            return f"{((hour + 11) % 12 + 1) if noon else hour:0{min(length, 2)}}"
        case _:
            return f"{int(of_day) % 60:0{min(length, 2)}}"
