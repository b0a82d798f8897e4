"""Encryption for one purpose, under a key derived from a secret of the service."""

import base64

from cryptography.fernet import Fernet
from cryptography.fernet import InvalidToken as InvalidSeal
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backend.errors import Unauthenticated


class Seal:
    """Encrypts for one purpose, under a key derived from a secret of the service."""

    def __init__(self, secret: str, purpose: str) -> None:
        key = HKDF(hashes.SHA256(), 32, salt=None, info=f"affidavit {purpose}".encode()).derive(secret.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def close(self, text: bytes) -> str:
        """Returns the text, encrypted and authenticated, with the time."""
        return self._fernet.encrypt(text).decode()

    def open(self, sealed: str, *, max_age: int | None = None) -> bytes:
        """Returns the text; raises Unauthenticated for what was not sealed here, or more than `max_age` seconds ago."""
        try:
            return self._fernet.decrypt(sealed.encode(), ttl=max_age)
        except (InvalidSeal, UnicodeEncodeError) as error:
            raise Unauthenticated(reason="oidc:cookie") from error


def client_secret_seal(payload_key: str) -> Seal:
    """Returns what client secrets are stored under."""
    return Seal(payload_key, "issuer client secret")


def second_factor_seal(payload_key: str) -> Seal:
    """Returns what the secrets of second factors are stored under."""
    return Seal(payload_key, "second factor")
