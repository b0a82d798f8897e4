"""Encryption for one purpose, under a key derived from a secret of the service."""

import base64

from cryptography.fernet import Fernet, MultiFernet
from cryptography.fernet import InvalidToken as InvalidSeal

from backend.audit.key_encryption import derived
from backend.errors import Unauthenticated


class Seal:
    """Encrypts for one purpose under a key derived from the first of several secrets, and opens what any of them closed."""

    def __init__(self, purpose: str, *secrets: str) -> None:
        keys = [derived(secret, f"affidavit {purpose}") for secret in secrets]
        fernets = [Fernet(base64.urlsafe_b64encode(key)) for key in keys]
        self._first, self._fernet = fernets[0], MultiFernet(fernets)

    def close(self, text: bytes) -> str:
        """Returns the text, encrypted and authenticated, with the time."""
        return self._fernet.encrypt(text).decode()

    def open(self, sealed: str, *, max_age: int | None = None) -> bytes:
        """Returns the text; raises Unauthenticated for what was not sealed here, or more than `max_age` seconds ago."""
        try:
            return self._fernet.decrypt(sealed.encode(), ttl=max_age)
        except (InvalidSeal, UnicodeEncodeError) as error:
            raise Unauthenticated(reason="oidc:cookie") from error

    def renewed(self, sealed: str) -> str | None:
        """Returns the text closed under the first secret; None when it is already. Raises Unauthenticated."""
        try:
            self._first.decrypt(sealed.encode())
        except (InvalidSeal, UnicodeEncodeError):
            return self.close(self.open(sealed))
        return None


def client_secret_seal(*payload_keys: str) -> Seal:
    """Returns what client secrets are stored under."""
    return Seal("issuer client secret", *payload_keys)


def second_factor_seal(*payload_keys: str) -> Seal:
    """Returns what the secrets of second factors are stored under."""
    return Seal("second factor", *payload_keys)
