"""Signatures of others, of providers and of partners: the one module that uses joserfc.

Affidavit's own tokens are verified by python-jose (see tokens.py), which it was asked to use. It knows no PS256, with which some
providers sign, and it accepts many spellings of a token.
"""

from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from backend.identity.sign_in.compact_jws import InvalidToken, Refusal

_PUBLIC = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}


class ForeignKey:
    """A public key of somebody else, and the one algorithm that it verifies."""

    def __init__(self, key: RSAKey | ECKey, algorithm: str) -> None:
        self._key = key
        self.algorithm = algorithm

    @classmethod
    def of_jwk(cls, members: Mapping[str, Any], algorithm: str) -> "ForeignKey":
        """Takes a JWK (RFC 7517), and of it only what is public; raises ValueError for one that is malformed."""
        kind = RSAKey if members["kty"] == "RSA" else ECKey
        try:
            return cls(kind.import_key({name: members[name] for name in _PUBLIC[members["kty"]]}), algorithm)
        except (JoseError, KeyError, TypeError) as error:
            raise ValueError("The key is malformed.") from error

    @classmethod
    def of_pem(cls, pem: str, algorithm: str) -> "ForeignKey":
        """Takes a public key on an elliptic curve."""
        return cls(ECKey.import_key(pem), algorithm)

    def verify(self, token: str) -> None:
        """Raises InvalidToken unless this key signed the token with its algorithm."""
        try:
            jws.deserialize_compact(token, self._key, algorithms=[self.algorithm])
        except (JoseError, ValueError) as error:
            raise InvalidToken(Refusal.BAD_SIGNATURE) from error
