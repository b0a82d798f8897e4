"""The prompt: a versioned, readable template in which retrieved text is fenced as data."""

import re
import secrets
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from string import Template

import numpy as np
from numpy.typing import NDArray

from backend.answers.display import CONTROL, INVISIBLE
from backend.answers.generator import Passage, Prompt
from backend.answers.grounding.verdict import Support

VERSION = "v1"
REFUSAL = "NOT_IN_SOURCES"

_SOURCE = files("backend.answers").joinpath(f"prompt_{VERSION}.txt").read_text(encoding="utf-8")
TEMPLATE_SHA256 = sha256(_SOURCE.encode()).hexdigest()

_SECTION = re.compile(r"^=== (\w+) ===\n", re.MULTILINE)

# Characters that a model may read as an opening bracket.
_LIKE_OPENING = re.compile(
    "[\u02c2\u1438\u16b2\u2039\u226a\u226e\u227a\u22d6\u2329\u276c\u276e\u2770\u27e8\u27ea\u2993\u29fc\u2a79\u3008\u300a"
    "\ufe3f\ufe64\uff1c\U0001d236]"
)
_OPENING = re.compile(r"<[\W\d_]*+")  # with all that may stand before the name of a tag
_OF_A_FENCE = re.compile(r"passage|question|system|user|assistant|instruction|document", re.IGNORECASE)


def _sections(source: str) -> dict[str, Template]:
    _, *parts = _SECTION.split(source)
    return {name: Template(body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)}


_TEMPLATES = _sections(_SOURCE)


def render(
    question: str, passages: Sequence[Passage], nonce: str | None = None, vector: NDArray[np.float32] | None = None,
    levels: frozenset[Support] | None = None,
) -> Prompt:  # fmt: skip
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
        vector=vector,
        levels=levels,
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
    visible = INVISIBLE.sub("", CONTROL.sub(" ", text))
    return _OPENING.sub(_spelled_out, _LIKE_OPENING.sub("<", visible))


def _spelled_out(match: re.Match[str]) -> str:
    """Returns the brackets of what may open a tag in another spelling; "< 5 % or" and "<$100" open none."""
    opening, following = match[0], match.string[match.end() : match.end() + 16]
    if not following:
        return opening
    *_, behind_figures = re.split(r"\d", opening)
    if "<" in behind_figures or "/" in opening or _OF_A_FENCE.match(following):
        return opening.replace("<", "&lt;")
    return opening
