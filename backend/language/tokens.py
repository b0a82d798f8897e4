"""The words, numbers and signs of a text, with the tags that a language's phrases give them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from backend.language.languages import Language


class TokenKind(StrEnum):
    """What a token is."""

    WORD = "word"
    NUMBER = "number"
    SIGN = "sign"
    PUNCTUATION = "punctuation"


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a text: `form` in lower case, where it stands, and what tags the phrase that it is part of carries."""

    form: str
    stem: str
    kind: TokenKind
    start: int
    end: int
    capital: bool
    tags: frozenset[str] = frozenset()

    def has(self, tag: str) -> bool:
        """Whether it carries the tag."""
        return tag in self.tags


_TOKEN = re.compile(
    r"""
      (?P<number> \d{4}-\d\d-\d\d(?!\d)
                | \d+(?:[.,':/]\d+)*(?:st|nd|rd|th|er|e|º|ª)?(?:[kKmMbB](?![^\W\d_])|[mMbBtT][nN](?![^\W\d_]))? )
    | (?P<negated> [^\W\d_]+(?=n't\b) | n't\b )
    | (?P<initials> [^\W\d_](?:\.[^\W\d_])+\b\.? )
    | (?P<elided> \b(?:[cdjlmnstCDJLMNST]|qu|Qu|[dDnNsS]ell|[aA]ll|[dD]all|[sS]ull|[uU]n|[qQ]uell|[cC])'(?=[^\W\d_]) )
    | (?P<word> [^\W\d_]+(?:'(?!s\b|ll\b|ve\b|re\b|d\b)[^\W\d_]+)* | '(?:s|ll|ve|re|d)\b )
    | (?P<sign> [$\u20ac\u00a3\u00a5%] )
    | (?P<punctuation> [^\w\s] )
    """,
    re.VERBOSE,
)
_KINDS = {"number": TokenKind.NUMBER, "sign": TokenKind.SIGN, "punctuation": TokenKind.PUNCTUATION}


def tokens(text: str, language: Language) -> list[Token]:
    """Returns the tokens of a legible text in order, each with its tags."""
    return list(_with_ceasing(_tagged(list(_tokens(text, language)), language)))


def _tokens(text: str, language: Language) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        written, kind = match[0], _KINDS.get(str(match.lastgroup), TokenKind.WORD)
        form = written.casefold()
        if match.lastgroup == "initials":
            form = form.replace(".", "")
        if match.lastgroup == "negated" and form == "ca":  # can't
            form = "can"
        if match.lastgroup == "negated" and form == "wo":  # won't
            form = "will"
        start, end = match.span()
        if written.isupper() and form in language.rule("acronyms"):
            form = f"{form}."
        capital = written[:1].isupper()
        if form == "cannot" and language.code == "en":
            yield Token("can", "can", TokenKind.WORD, start, start + 3, capital=False)
            yield Token("not", "not", TokenKind.WORD, start + 3, end, capital=False)
        else:
            yield Token(form, language.stem(form) if kind is TokenKind.WORD else form, kind, start, end, capital)


def _tagged(found: list[Token], language: Language) -> list[Token]:
    """Gives each token the tags of the longest phrase that it is part of."""
    tagged: list[Token] = []
    while len(tagged) < len(found):
        position = len(tagged)
        token = found[position]
        tags, length = _phrase_at(found, position, language)
        taken = found[position : position + length] if tags else [token]
        tagged += [
            Token(one.form, one.stem, one.kind, one.start, one.end, one.capital, tags if place == 0 else _inner(tags))
            for place, one in enumerate(taken)
        ]
    return tagged


def _with_ceasing(found: Sequence[Token]) -> Iterator[Token]:
    """Yields the tokens; "stop" negates what somebody does, as in "stop paying", and not a thing."""
    for token, following in zip(found, [*found[1:], None], strict=True):
        ceases = token.has("ceasing") and following is not None and following.form.endswith("ing")
        yield replace(token, tags=token.tags | {"negation"}) if ceases else token


def _inner(tags: frozenset[str]) -> frozenset[str]:
    """Marks the words of a phrase but its first, so that what they mean alone is not counted as well."""
    return frozenset({"inner", *(tag for tag in tags if tag.startswith("party"))})


def _phrase_at(found: list[Token], position: int, language: Language) -> tuple[frozenset[str], int]:
    token = found[position]
    if token.kind is not TokenKind.WORD and token.form != "%":
        return frozenset(), 1
    candidates = (*language.phrases.get(token.form, ()), *language.phrases.get(token.stem, ()))
    longest: tuple[frozenset[str], int] = (frozenset(), 1)
    for phrase in candidates:
        length = len(phrase.words)
        part = found[position : position + length]
        if len(part) == length and phrase.stands_at((one.form, one.stem) for one in part):
            if length > longest[1] or not longest[0]:
                longest = (phrase.tags, length)
            elif length == longest[1]:
                longest = (longest[0] | phrase.tags, length)
    return longest
