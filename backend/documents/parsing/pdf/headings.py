"""Which lines of a PDF are headings: larger or bolder than the body, short, and followed by body.

Forms and covers are set in bold type throughout, and companies print their names and addresses in the largest; so a
heading also has to look like words that name what follows.
"""

import re

SENTENCE = 4
"""The level of a whole sentence in bold type, which heads the paragraphs that explain it."""
_LONGEST = 180
_MOST_WORDS = 24
_MOST_LINES = 3
_LARGER = 1.12
_MUCH_LARGER = 1.5
_RANKED = re.compile(r"(?i)(?:part\s+[ivx]+\b|chapter\s+\w+\b|annex\b|appendix\b|schedule\s+\w{1,3}\b)")
_ITEM = re.compile(r"(?i)item\s+\d{1,2}[a-c]?\b")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+[A-Z“\"]")
_SENTENCE_END = re.compile(r"[.!?;,][\"'”’)]*$")
_ABBREVIATED_END = re.compile(r"(?:\b(?:Inc|Corp|Co|Ltd|etc|No|vs|[A-Z])\.)$")
_IMPLAUSIBLE = re.compile(
    r"[☐☒☑✓□■●○]|_{3,}|\.{4,}|\b\d{5}(?:-\d{4})?\b|\(\d{3}\)\s*\d{3}|\b(?:yes|no)\s*$|@|www\.|https?:"
    r"|(?i:\b(?:indicate by check mark|mark one|exact name|state or other jurisdiction|commission file|telephone|zip code"
    r"|i\.?r\.?s|title of each class|trading symbols?|name of each exchange|registrant|table of contents|page|continued"
    r"|not applicable|none|pursuant to (?:section|rule)))\b"
    r"|^(?i:(?:for the )?(?:fiscal )?(?:years?|\w+ months|\w+ weeks|quarters?|periods?) ended)\b"
    r"|^(?i:\W*(?:(?:us )?dollars |amounts )?(?:in|of) (?:millions|thousands|billions))\b"
    r"|\b(?i:and|or|of|the|for|to|in|at|by|with|as|from|a|an|their|our)$"
    r"|^\d+\s.*\b(?i:road|street|avenue|boulevard|drive|plaza|way)\b"
)
_DESIGNATION = re.compile(r"(?i)(?:note|item|section|article|annex|appendix|schedule|part|chapter)\s+[\w.]{1,6}")
_SENTENCE = re.compile(r"[A-Z“\"][^☐☒]+\.[\"”]?")
_SHORTEST_SENTENCE = 5
_LONGEST_SENTENCE = 45
_MOST_LETTERS_ALONE = 0.35
_DATE = re.compile(
    r"(?i)(?:as (?:of|at)\s+)?(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb"
    r"|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?\s+\d{1,2}(?:,?\s+\d{4})?,?(?:\s+(?:and|to|through)\s+.*)?"
    r"|(?:19|20)\d\d(?:[\s,–-]+(?:and\s+)?(?:19|20)\d\d)*"
)
_FIGURE = re.compile(r"[$€£(]?\d[\d,.]*[)%]?")
_NAMED = re.compile(
    r"(?i)(?!the company$)[\w.,&’' -]+\b(?:inc|corp|corporation|company|companies|subsidiaries|plc|ltd|co)\.?"
    r"(?:\s+and\s+subsidiaries)?"
    r"|form\s+\d+-\w+"
)
_WRAPPED = re.compile(r"\(.*\)|\*.*|[a-z].*|\[note .*")


def level(text: str, lines: int, ratio: float, *, is_bold: bool, body_is_bold: bool) -> int:  # noqa: PLR0911 — a return for each rank
    """Returns the level that the text would have as a heading, from 1; 0 if it cannot be one.

    `ratio` compares the height of its type with that of the body.
    """
    stands_out = ratio >= _LARGER or (is_bold and not body_is_bold and ratio > 0.85)
    if not stands_out or lines > _MOST_LINES:
        return 0
    if is_bold and not body_is_bold and ratio < _LARGER and _is_statement(text):
        return SENTENCE
    if not is_plausible(text):
        return 0
    if _RANKED.match(text) or ratio >= _MUCH_LARGER:
        return 1
    if _ITEM.match(text):
        return 2
    if numbered := _NUMBERED.match(text):
        return min(2 + numbered[1].count("."), 6)
    return 2 if ratio >= _LARGER or text.isupper() else 3


def _is_statement(text: str) -> bool:
    """Returns whether the text is one sentence, as risks are headed: "Our liquidity may be affected by rates."."""
    words = text.split()
    return bool(
        _SHORTEST_SENTENCE <= len(words) <= _LONGEST_SENTENCE
        and _SENTENCE.fullmatch(text)
        and ". " not in text[:-1].replace("U.S. ", "").replace("Inc. ", "")
        and not _NUMBERED.match(text)
        and not _ITEM.match(text)
        and not _IMPLAUSIBLE.search(text)
    )


def is_item(text: str) -> bool:
    """Returns whether the text is an item of a form, of which "None." may be all that follows."""
    return bool(_ITEM.match(text))


def is_plausible(text: str) -> bool:
    """Returns whether the words may name what follows: no sentence, box, address, date, figure or name of a company."""
    letters = sum(map(str.isalpha, text))
    words = text.split()
    if letters < 3 or len(text) > _LONGEST or len(words) > _MOST_WORDS or letters < 0.6 * len(text.replace(" ", "")):
        return False
    if (
        _SENTENCE_END.search(text)
        and not _ABBREVIATED_END.search(text)
        and not _NUMBERED.match(text)
        and not _ITEM.match(text)
    ):
        return False
    if _IMPLAUSIBLE.search(text) or _WRAPPED.fullmatch(text) or _DATE.fullmatch(text) or _NAMED.fullmatch(text):
        return False
    if _DESIGNATION.fullmatch(text):
        return True
    alone = sum(len(word) == 1 and word.isalpha() for word in words)
    if len(words) > 3 and alone > _MOST_LETTERS_ALONE * len(words):
        return False
    return sum(bool(_FIGURE.fullmatch(word)) for word in words[1:]) <= len(words) / 3
