"""Texts as they may be shown: a document cannot plant citations, markup, addresses or hidden characters in an answer."""

import html
import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# Format characters, variation selectors, tags, private use and surrogates.
INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ud800-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)

_PASSES = 4  # what is left when something was removed may be something to remove; then every bracket goes

_LEFT, _RIGHT = r"[\[\u3010\uff3b\u3014\u27e6]", r"[\]\u3011\uff3d\u3015\u27e7]"
_PLANTED = re.compile(
    rf"""
      # [2], [2, 3], \u3010 2 \u2020 source \u3011, [Passage 2]
      \s?\\?{_LEFT}\s*(?:(?:passage|source|citation|doc|document|ref)s?[\s\-_#:]*)?\^?\d{{1,3}}
      (?:\s*[,;\u2020\u2021\u2013-]\s*[\w\-]{{1,20}})*\s*\\?{_RIGHT}
    | {_LEFT}\s*{_RIGHT}
    | \[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_(?:CALLS|RESULTS|CONTENT))\] | <</?SYS>>
    | <[|\uff5c][^<>\n]{{0,80}}[|\uff5c]>                               # tokens of chat templates
    | </?(?:s|start_of_turn|end_of_turn|bos|eos|think)>
    | !\[[^\[\]\n]{{0,300}}\](?:\([^()\n]{{0,2000}}\)|\[[^\[\]\n]{{0,300}}\])         # an image
    | <(?:script|style)\b.{{0,5000}}?</(?:script|style)\s*>
    | <[a-z/!?][^<>]{{0,500}}>                                                                   # a tag
    | \b(?:javascript|vbscript)\s*:\s*\S+ | \bdata:[a-z]+/[\w.+-]+[;,]\S*
    | \bhttps?://[^\s()<>]+\.(?:png|jpe?g|gif|svg|webp|bmp|ico)\b[^\s()<>]*                      # an image's address
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_LINK = re.compile(r"(!?)\[([^\[\]\n]{1,300})\]\((?:[^()\n]|\([^()\n]{0,300}\)){0,2000}\)")
_DEFINITION = re.compile(r"(?m)^[ \t]{0,3}\[[^\[\]\n]{1,300}\]:[ \t]*\S+")  # what a link elsewhere refers to
_ENTITY = re.compile(r"&(?:#\d{1,7};?|#x[0-9a-f]{1,6};?|[a-z][a-z0-9]{1,31};)", re.IGNORECASE)
_EMPHASIS = re.compile(r"(\*\*|__|~~|``?`?)(?=\S)(.{1,2000}?)(?<=\S)\1", re.DOTALL)
_LINE_MARK = re.compile(r"(?m)^[ \t]{0,3}(?:#{1,6}|>{1,3})[ \t]+")
_BRACKET = re.compile(r"[\[\]<>\u3010\u3011\uff3b\uff3d]")


def _linked(match: re.Match[str]) -> str:
    """Returns the words of a link, and of an image none."""
    return "" if match[1] else match[2]


def _without_hidden(text: str) -> str:
    """Returns a text as a browser would read it, without what it would not show."""
    return INVISIBLE.sub("", CONTROL.sub(" ", _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)))


def displayed(text: str) -> str:
    """Returns the words of a document's text in one line, without what could pass for something else than its words."""
    shown = _without_hidden(text)
    for _ in range(_PASSES):
        before = shown
        shown = _PLANTED.sub("", _DEFINITION.sub("", _LINK.sub(_linked, shown)))
        shown = _LINE_MARK.sub("", _EMPHASIS.sub(r"\2", shown))
        shown = _without_hidden(shown)
        if shown == before:
            break
    else:
        shown = _BRACKET.sub("", shown).replace("&", "")
    return " ".join(shown.split())
