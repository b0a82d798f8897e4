"""The prompt: a versioned, readable template in which retrieved text is fenced as data."""

import re
import secrets
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from string import Template

from backend.answers.generator import Passage, Prompt

VERSION = "v1"
REFUSAL = "NOT_IN_SOURCES"

_SOURCE = files("backend.answers").joinpath(f"prompt_{VERSION}.txt").read_text(encoding="utf-8")
TEMPLATE_SHA256 = sha256(_SOURCE.encode()).hexdigest()

_SECTION = re.compile(r"^=== (\w+) ===\n", re.MULTILINE)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# Format characters, variation selectors, tags, private use and surrogates.
_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ud800-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)

# An opening bracket, or a character that a model may read as one, in front of something shaped like a tag.
_TAG_OPENING = re.compile(r"[<\u02c2\u2039\u227a\u2329\u27e8\u3008\ufe64\uff1c](?=[\W_]{0,8}[^\W\d_])")


def _sections(source: str) -> dict[str, Template]:
    _, *parts = _SECTION.split(source)
    return {name: Template(body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)}


_TEMPLATES = _sections(_SOURCE)


def render(question: str, passages: Sequence[Passage], nonce: str | None = None) -> Prompt:
    """Renders the prompt; with the nonce of an earlier one, the same input gives the same text.

    The nonce is 128 random bits: the author of a document cannot know the fence that will enclose it.
    """
    nonce = nonce or secrets.token_hex(16)
    fixed = {"nonce": nonce, "refusal": REFUSAL}
    rendered = "\n".join(_passage(passage, nonce) for passage in passages)
    return Prompt(
        version=VERSION,
        nonce=nonce,
        system=_TEMPLATES["system"].substitute(fixed),
        user=_TEMPLATES["user"].substitute(fixed, passages=rendered, question=neutralise(question)),
        question=question,
        passages=tuple(passages),
    )


def _passage(passage: Passage, nonce: str) -> str:
    return _TEMPLATES["passage"].substitute(
        nonce=nonce,
        number=passage.number,
        doc_id=_attribute(passage.doc_id),
        document_version=passage.document_version,
        title=_attribute(passage.title or ""),
        text=neutralise(passage.text),
    )


def _attribute(text: str) -> str:
    return " ".join(neutralise(text).replace('"', "'").split())


def neutralise(text: str) -> str:
    """Returns the text without invisible characters, and with every tag-like bracket spelled `&lt;`.

    Invisible characters carry instructions that a reviewer of the document cannot see; a look-alike of the
    fence, even with a wrong nonce, could make a model believe that a passage has ended.
    """
    visible = _INVISIBLE.sub("", _CONTROL.sub(" ", text))
    return _TAG_OPENING.sub("&lt;", visible)
