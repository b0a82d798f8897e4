"""Plain events, read by the block."""

import re
import sys
from functools import cache

from backend.ledger.verifier.entries import PlainEvent
from backend.ledger.verifier.spelling import UUID7

# The service writes envelopes as canonical JSON, so that nearly all are plain: names in order, no spaces, no escapes.
# Where no texts come with them, one pattern finds what is read of a whole block of them, in about half the time that a
# decoder takes to make objects of everything. It matches only what JSON reads the same. A block that holds anything else,
# or of which anything has to be reported, is read line by line.

_STRING, _INTEGER, _BOOLEAN = '"[^"]*+"', "(?:-?[1-9][0-9]{0,15}+|0)", "(?:true|false)"
_STRINGS = rf"\[(?:{_STRING}(?:,{_STRING})*+)?+\]"


def _alike(sample: str) -> str:
    """Returns the pattern of objects that have the names of the sample, and values of the same kinds."""
    pattern = re.escape(sample).replace('""', _STRING).replace("0", _INTEGER).replace("true", _BOOLEAN)
    return pattern.replace(rf"\[{_STRING}\]", _STRINGS)


# Most of what envelopes hold, by depth: known names take fewer steps than any names.
_FREQUENT = {
    3: [
        _alike(
            '{"collection_count":0,"collections":[""],"id":"","kind":"","permissions":[""],"roles":[""],"session":""}'
        )
    ],
    1: [
        _alike('{"bytes":0,"commitment":""}'),
        _alike('{"doc_id":"","id":"","rank":0,"score_micros":0,"sha256":"","used":true,"version":0}'),
    ],
}


def _value(depth: int) -> str:
    """Returns the pattern of a JSON value without spaces and escapes, of at most `depth` nested objects and arrays."""
    kinds = [_STRING]
    if depth:
        inner = _value(depth - 1)
        kinds += _FREQUENT.get(depth, [])
        kinds += [rf"\{{(?:{_STRING}:{inner}(?:,{_STRING}:{inner})*+)?+\}}", rf"\[(?:{inner}(?:,{inner})*+)?+\]"]
    return f"(?:{'|'.join([*kinds, _INTEGER, _BOOLEAN])})"


# Every member that is read for any event has to be named here.
_UNREAD = rf'(?:"(?!(?:action|archive|erased|id|payloads|tenant|time|turn)")[^"]*+":{_value(3)},)*+'


@cache
def _plain_line() -> re.Pattern[bytes]:
    """Returns the pattern of a plain event; compiling it takes a third of a second."""
    pattern = (
        rf'^\{{"leaf":(0|[1-9][0-9]{{0,18}}),"envelope":(\{{"action":"([^"]*+)",{_UNREAD}"id":"({UUID7.pattern})",{_UNREAD}'
        rf'(?:"(p)ayloads":(?=\{{"){_value(2)},)?{_UNREAD}"tenant":"([^"]*+)",'
        r'"time":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.)([0-9]{3})[0-9]{3}Z",'
        r'(?:"turn":"([^"]++)",)?"v":1\})\}\n'
    )
    return re.compile(pattern.encode(), re.MULTILINE)


_PRINTABLE = bytes(range(0x20, 0x7F)).replace(b"\\", b"")
# Before 3.11.5 possessive groups could match what their patterns do not allow (CPython issue 106052).
_POSSESSIVE_IS_SOUND = sys.version_info >= (3, 11, 5)


def plain_events(block: bytes) -> list[PlainEvent]:
    """Returns the events of a block of whole lines, or none unless all of them are plain."""
    if not _POSSESSIVE_IS_SOUND:
        return []
    events = _plain_line().findall(block)
    # Each match begins with a line and ends with one. If nothing but their newlines is left without what is printable,
    # they are all the lines, and hold no escapes, control characters or letters beyond ASCII.
    return events if len(events) == len(block.translate(None, _PRINTABLE)) else []
