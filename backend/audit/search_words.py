"""The words by which reviewers search encrypted texts, and the keyed hashes that stand for them in the database.

Who reads the table learns how often some word occurs, never which: the key never enters the database.
"""

import hmac
import re
import unicodedata
from functools import lru_cache
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from backend.audit.key_encryption import derived
from backend.language import stemming
from backend.language.stop_words import SEARCHING, stop_words

MAX_WORDS = 1_000  # of one text; what follows is not searched

_WORD = re.compile(r"[^\W_]+")
_SKIPPED = stop_words(SEARCHING)


def search_words(text: str) -> list[str]:
    """Returns the distinct words of a text in order, as English Snowball stems of their case-folded NFKC form.

    Words of other languages are stemmed the same way on both sides, so that they are found as well.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = dict.fromkeys(word for word in _WORD.findall(folded) if word not in _SKIPPED)
    return list(dict.fromkeys(stemming.stems(words)))[:MAX_WORDS]


class SearchWords:
    """Hashes words under a key of each tenant, so that no hash of one tenant tells anything about another's texts."""

    def __init__(self, secret: str) -> None:
        """Derives from the secret that wraps data keys, independently of them (HKDF, RFC 5869)."""
        self._root = derived(secret, "affidavit payload search")
        self._key = lru_cache(maxsize=10_000)(self._derive)  # a derivation takes longer than the hashes of a question

    def hashes(self, tenant_id: UUID, text: str) -> list[int]:
        """Returns the signed 64-bit head of the HMAC-SHA-256 of each word of a text."""
        words = search_words(text)
        key = self._key(tenant_id) if words else b""
        return [int.from_bytes(hmac.digest(key, word.encode(), "sha256")[:8], signed=True) for word in words]

    def _derive(self, tenant_id: UUID) -> bytes:
        return HKDFExpand(hashes.SHA256(), 32, b"tenant " + tenant_id.bytes).derive(self._root)
