"""The keys with which an OpenID provider signs, each bound to one algorithm. Pure: nothing here is fetched."""

from collections.abc import Mapping
from typing import Any

from backend.identity.sign_in.compact_jws import InvalidToken, Refusal, split
from backend.identity.sign_in.foreign_jws import ForeignKey

MAX_TOKEN_CHARACTERS = 16_384  # an ID token can name many groups
MAX_KEYS = 50
# A token says what it was signed with; only what the key says counts (RFC 8725, section 3.1). A key that leaves it open is
# for the algorithm that OpenID providers sign with by default. HMAC and `none` are in neither table.
_BY_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_OF_RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
_DEFAULT_OF_RSA = "RS256"
_MIN_RSA_MODULUS = 342  # base64url characters of 2,048 bits
_PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
# Whatever else a header could name (jku, x5u, jwk, crit, zip, b64, …) would tell the verifier how to verify.
_HEADER_MEMBERS = {"alg", "kid", "typ", "x5t", "x5t#S256"}


class UnusableKeys(ValueError):
    """The key set is ambiguous, or holds what must never be published; none of it is used."""


def key_id_of(token: str) -> str:
    """Returns the `kid` of an ID token whose form and header are acceptable; raises InvalidToken."""
    header = split(token, max_characters=MAX_TOKEN_CHARACTERS).header
    if not header.keys() <= _HEADER_MEMBERS or not isinstance(header.get("kid"), str):
        raise InvalidToken(Refusal.BAD_HEADER)
    if header.get("typ", "JWT") not in {"JWT", "jwt"}:  # an access or logout token is not an ID token
        raise InvalidToken(Refusal.BAD_TYPE)
    if header.get("alg") not in _OF_RSA | set(_BY_CURVE.values()):
        raise InvalidToken(Refusal.BAD_ALGORITHM)
    kid: str = header["kid"]
    return kid


def read_key_set(document: Mapping[str, Any]) -> dict[str, ForeignKey]:
    """Returns the usable keys of a JWK Set by `kid`; raises UnusableKeys.

    Keys of other kinds, for other uses or without an id are left out (RFC 7517, section 5).
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > MAX_KEYS or not all(isinstance(key, dict) for key in listed):
        raise UnusableKeys("The key set is malformed or too large.")
    if any(_PRIVATE_MEMBERS & key.keys() for key in listed):
        raise UnusableKeys("The key set holds a private or symmetric key.")
    identifiers = [key["kid"] for key in listed if "kid" in key]
    if not all(isinstance(kid, str) for kid in identifiers) or len(set(identifiers)) < len(identifiers):
        raise UnusableKeys("Two keys have the same id.")
    usable: dict[str, ForeignKey] = {}
    for key in listed:
        try:
            usable[key["kid"]] = ForeignKey.of_jwk(key, _algorithm_of(key))
        except (KeyError, ValueError):
            continue
    return usable


def _algorithm_of(members: Mapping[str, Any]) -> str:
    """Returns the algorithm of a key; raises ValueError when it may not verify signatures."""
    if members.get("use", "sig") != "sig" or "verify" not in members.get("key_ops", ["verify"]):
        raise ValueError("The key is for another use.")
    if members.get("kty") == "RSA":
        algorithm = members.get("alg", _DEFAULT_OF_RSA)
        if algorithm in _OF_RSA and len(str(members.get("n", ""))) >= _MIN_RSA_MODULUS:
            return str(algorithm)
    elif members.get("kty") == "EC":
        algorithm = _BY_CURVE.get(str(members.get("crv")))
        if algorithm is not None and members.get("alg", algorithm) == algorithm:
            return algorithm
    raise ValueError("The key is of an unknown kind, or too weak.")
