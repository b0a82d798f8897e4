"""The words by which reviewers search encrypted texts, and the keyed hashes that stand for them in the database.

Who reads the table learns how often some word occurs, never which: the key never enters the database.
"""

import hmac
import re
import unicodedata
from collections.abc import Iterable
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

    def __init__(self, secret: str, *others: str) -> None:
        """Derives from secrets of the service, independently of what else they key (HKDF, RFC 5869).

        Texts are found by hashes under the first. While a key takes another's place, words are hashed under both.
        """
        self._roots = [derived(each, "affidavit payload search") for each in (secret, *others)]
        self._keys = lru_cache(maxsize=10_000)(self._derive)  # a derivation takes longer than the hashes of a question

    def hashes(self, tenant_id: UUID, text: str) -> list[int]:
        """Returns the hash of each word of a text, by which it is found."""
        words = search_words(text)
        return _hashed(self._keys(tenant_id)[0], words) if words else []

    def stored(self, tenant_id: UUID, text: str) -> list[int]:
        """Returns what is kept of a text: the hashes of its words under each key, and the mark of that key."""
        words = ["", *search_words(text)]
        return [one for key in self._keys(tenant_id) for one in _hashed(key, words)]

    def marks(self, tenant_id: UUID) -> list[int]:
        """Returns what every text holds whose words are hashed under a key, for each key."""
        return [_hashed(key, [""])[0] for key in self._keys(tenant_id)]

    def _derive(self, tenant_id: UUID) -> list[bytes]:
        return [HKDFExpand(hashes.SHA256(), 32, b"tenant " + tenant_id.bytes).derive(root) for root in self._roots]


def _hashed(key: bytes, words: Iterable[str]) -> list[int]:
    """Returns the signed 64-bit head of the HMAC-SHA-256 of each word."""
    return [int.from_bytes(hmac.digest(key, word.encode(), "sha256")[:8], signed=True) for word in words]
