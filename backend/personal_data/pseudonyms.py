"""Puts pseudonyms in the place of personal data, and puts it back.

A pseudonym is made of the value by a key of its tenant: the same value has the same one wherever it stands, so that a question
finds what speaks of it, and nobody without the key learns the value from it.
"""

import base64
import hmac
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backend.personal_data.detection import Occurrence, find
from backend.personal_data.kinds import PersonalKind

_BYTES = 8
_PSEUDONYM = re.compile(rf"\[(?:{'|'.join(kind.name for kind in PersonalKind)})-[A-P]{{{2 * _BYTES}}}\]")
_LETTERS = bytes.maketrans(b"0123456789ABCDEF", b"ABCDEFGHIJKLMNOP")  # a figure could be taken for a quantity


@dataclass(frozen=True)
class Pseudonymous:
    """A text with its personal data under pseudonyms, and the text as it was."""

    original: str
    text: str
    findings: tuple[Occurrence, ...]
    pseudonyms: tuple[str, ...]

    @cached_property
    def values(self) -> Mapping[str, str]:
        """What stands behind each pseudonym, as it is written first."""
        named: dict[str, str] = {}
        for finding, pseudonym in zip(self.findings, self.pseudonyms, strict=True):
            named.setdefault(pseudonym, self.original[finding.start : finding.end])
        return named

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Returns where a part of the text stands in the original; a part of a pseudonym is the whole value."""
        return self._original(start, at_end=False), self._original(end, at_end=True)

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        """Where each pseudonym stands in the text."""
        places, moved = [], 0
        for finding, pseudonym in zip(self.findings, self.pseudonyms, strict=True):
            start = finding.start + moved
            places.append((start, start + len(pseudonym)))
            moved += len(pseudonym) - (finding.end - finding.start)
        return places

    def _original(self, position: int, *, at_end: bool) -> int:
        before = bisect_right(self._places, (position - at_end, len(self.text))) - 1
        if before < 0:
            return position
        (_, end), finding = self._places[before], self.findings[before]
        if position < end or (at_end and position == end):
            return finding.end if at_end else finding.start
        return position - end + finding.end


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The pseudonyms of one tenant."""

    key: bytes

    def given(self, text: str) -> Pseudonymous:
        """Returns the text with pseudonyms in the place of what is found in it."""
        findings = tuple(find(text))
        pseudonyms = tuple(map(self._pseudonym, findings))
        parts, position = [], 0
        for finding, pseudonym in zip(findings, pseudonyms, strict=True):
            parts += [text[position : finding.start], pseudonym]
            position = finding.end
        return Pseudonymous(text, "".join([*parts, text[position:]]), findings, pseudonyms)

    def _pseudonym(self, finding: Occurrence) -> str:
        digest = hmac.digest(self.key, f"{finding.kind}:{finding.value}".encode(), "sha256")[:_BYTES]
        return f"[{finding.kind.name}-{base64.b16encode(digest).translate(_LETTERS).decode()}]"


class PseudonymKeys:
    """Derives the key of each tenant from one secret (HKDF, RFC 5869)."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.of_tenant = lru_cache(maxsize=10_000)(self._derive)

    def _derive(self, tenant_id: UUID) -> Pseudonyms:
        kdf = HKDF(hashes.SHA256(), 32, salt=None, info=b"affidavit pseudonyms of tenant " + tenant_id.bytes)
        return Pseudonyms(kdf.derive(self._secret.encode()))


def put_back(text: str, values: Mapping[str, str]) -> str:
    """Returns a text with the values behind its pseudonyms; those that are not known stay."""
    return _PSEUDONYM.sub(lambda match: values.get(match[0], match[0]), text)


def values_in(findings: Iterable[Occurrence]) -> set[tuple[str, str]]:
    """Returns the different values that were found, each with its kind."""
    return {(finding.kind.value, finding.value) for finding in findings}


def counts(values: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Returns how many values of each kind there are: all that is recorded of them."""
    return dict(sorted(Counter(kind for kind, _ in set(values)).items()))
