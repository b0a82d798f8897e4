"""The end user for whom a partner's system acts: one that it names, or one that it proves by a short-lived signed assertion.

An assertion is a JWT signed with ES256 whose header is exactly `alg` and `typ`, and whose claims are `sub` (the end
user), `aud` (this service), `iat` and `exp`, at most five minutes apart.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backend.identity.sign_in.compact_jws import InvalidToken, Refusal, json_object, split
from backend.identity.sign_in.foreign_jws import ForeignKey

ALGORITHM = "ES256"
MEDIA_TYPE = "on-behalf-of+jwt"
LIFETIME_SECONDS = 300
LEEWAY_SECONDS = 5
MAX_SUBJECT_CHARACTERS = 200
_SIGNATURE_BYTES = 64


class Assurance(StrEnum):
    """How it is known for whom a key acts."""

    ASSERTED = "asserted"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class EndUser:
    """For whom a key acts, in the partner's words. It enters sealed records: a pseudonym is better than a name."""

    subject: str
    assurance: Assurance


def load_public_key(pem: str) -> ForeignKey:
    """Returns a partner's verification key; raises ValueError for anything but a public key on the curve P-256."""
    try:
        key = serialization.load_pem_public_key(pem.encode("ascii"))
    except UnsupportedAlgorithm as error:
        raise ValueError("The key is of an unknown kind.") from error
    on_p256 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    if not on_p256:
        raise ValueError("The key is not on the curve P-256.")
    return ForeignKey.of_pem(pem, ALGORITHM)


def asserted(subject: str) -> EndUser:
    """Returns the end user that a partner names without proof; raises InvalidToken for what is no name."""
    return EndUser(_checked(subject), Assurance.ASSERTED)


def signed(assertion: str, public_pem: str, *, audience: str, clock: Callable[[], float] = time.time) -> EndUser:
    """Returns the end user of a signed assertion; raises InvalidToken."""
    parts = split(assertion)
    if parts.header != {"alg": ALGORITHM, "typ": MEDIA_TYPE}:
        raise InvalidToken(Refusal.BAD_HEADER)
    if len(parts.signature) != _SIGNATURE_BYTES:
        raise InvalidToken(Refusal.BAD_SIGNATURE)
    try:
        key = load_public_key(public_pem)
    except ValueError as error:
        raise InvalidToken(Refusal.BAD_SIGNATURE) from error
    key.verify(assertion)
    claims = json_object(parts.payload, Refusal.BAD_CLAIMS)
    if claims.get("aud") != audience:
        raise InvalidToken(Refusal.WRONG_AUDIENCE)
    issued, expires, now = claims.get("iat"), claims.get("exp"), clock()
    if type(issued) is not int or type(expires) is not int or not 0 < expires - issued <= LIFETIME_SECONDS:
        raise InvalidToken(Refusal.BAD_CLAIMS)
    if issued > now + LEEWAY_SECONDS:
        raise InvalidToken(Refusal.NOT_YET_VALID)
    if now >= expires:
        raise InvalidToken(Refusal.EXPIRED)
    return EndUser(_checked(claims.get("sub")), Assurance.SIGNED)


def _checked(subject: object) -> str:
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT_CHARACTERS or not subject.isprintable():
        raise InvalidToken(Refusal.BAD_CLAIMS)
    return subject
