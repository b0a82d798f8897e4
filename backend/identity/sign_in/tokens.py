"""Access tokens: JWTs signed with ES256 and typed `at+jwt` (RFC 9068); verifying one never fetches anything.

The one module that uses python-jose, which Affidavit was asked to use: its own tokens are of one form, which is read strictly
before python-jose sees it. It knows no PS256 and accepts many spellings of a token, so that tokens of others, of providers and
of partners, are verified by joserfc.

Never key a revocation on a token's text: ECDSA lets anyone turn a valid signature into a second valid one. Use the `jti` or
`sid` claim. What is remembered here by text says only that this very text was signed; its times are compared at each use.
"""

import hashlib
import json
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jwk, jws
from jose.backends.base import Key
from jose.exceptions import JWSError

from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.compact_jws import InvalidToken, Refusal, json_object, split, to_base64url

__all__ = [
    "LIFETIME_SECONDS",
    "AccessClaims",
    "AccessTokens",
    "InvalidToken",
    "Refusal",
    "SigningKeys",
    "generate_private_key_pem",
    "public_key_pem",
    "thumbprint",
]

ALGORITHM = "ES256"
MEDIA_TYPE = "at+jwt"
LIFETIME_SECONDS = 15 * 60
# Clocks of two servers differ, so a token may seem to come from the near future. Expiry gets no leeway.
LEEWAY_SECONDS = 5

_SIGNATURE_BYTES = 64
_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a valid token says; times in seconds since the epoch. `scope` only narrows the user's rights."""

    subject: uuid.UUID
    tenant_id: uuid.UUID
    session_id: uuid.UUID
    token_id: uuid.UUID
    audience: str
    scope: frozenset[Permission]
    issued_at: int
    not_before: int
    expires_at: int


class SigningKeys:
    """The private key that signs, and the public keys that verify: its own and those of its predecessors."""

    def __init__(self, private_pem: str, previous_public_pems: Iterable[str] = ()) -> None:
        """Raises ValueError for anything but unencrypted PEM keys on the curve P-256."""
        self._signing_key = _signing_key(private_pem)
        current = self._signing_key.public_key()
        self.kid = thumbprint(current)
        previous = map(_verification_key, previous_public_pems)
        self._verification_keys = {thumbprint(key): key for key in (current, *previous)}

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Returns the public keys as a JSON Web Key Set (RFC 7517), the current one first."""
        keys = self._verification_keys.items()
        return {"keys": [{**key.to_dict(), "kid": kid, "use": "sig"} for kid, key in keys]}

    def sign(self, claims: dict[str, object]) -> str:
        """Returns the claims as a signed token in compact form."""
        headers = {"kid": self.kid, "typ": MEDIA_TYPE}
        return jws.sign(claims, self._signing_key, headers=headers, algorithm=ALGORITHM)

    def verify(self, token: str) -> dict[str, Any]:
        """Returns the unchecked claims of a token that one of the keys signed; raises InvalidToken."""
        parts = split(token)
        key = self._key_for(parts.header)
        if len(parts.signature) != _SIGNATURE_BYTES:
            raise InvalidToken(Refusal.BAD_SIGNATURE)
        try:
            jws.verify(token, key, algorithms=[ALGORITHM])
        except JWSError as error:
            raise InvalidToken(Refusal.BAD_SIGNATURE) from error
        return json_object(parts.payload, Refusal.BAD_CLAIMS)

    def _key_for(self, header: dict[str, Any]) -> Key:
        # An exact set of members leaves no room for jku, x5u, jwk, x5c, crit, zip or b64.
        if header.keys() != {"alg", "kid", "typ"} or not isinstance(header["kid"], str):
            raise InvalidToken(Refusal.BAD_HEADER)
        if header["alg"] != ALGORITHM:
            raise InvalidToken(Refusal.BAD_ALGORITHM)
        if header["typ"] != MEDIA_TYPE:
            raise InvalidToken(Refusal.BAD_TYPE)
        if header["kid"] not in self._verification_keys:
            raise InvalidToken(Refusal.UNKNOWN_KEY)
        return self._verification_keys[header["kid"]]


class AccessTokens:
    """Issues and verifies the access tokens of one issuer: for the service, and for resources of it that clients are given."""

    def __init__(
        self, keys: SigningKeys, *, issuer: str, audience: str, resources: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """Takes the time from `clock`, in seconds since the epoch; `resources` are audiences by the door that they open."""
        self.keys = keys
        self._issuer = issuer
        self.audience = audience
        self._resources = dict(resources or {})
        self._clock = clock
        self._signed: OrderedDict[str, AccessClaims] = OrderedDict()  # the last ones that were verified

    def opens(self, audience: str, door: str) -> bool:
        """Tells whether tokens of an audience are good at a door: those for one resource are at no other."""
        return audience in {self.audience, self._resources.get(door)}

    def issue(
        self, *, subject: uuid.UUID, tenant_id: uuid.UUID, session_id: uuid.UUID, scope: Iterable[Permission],
        audience: str | None = None,
    ) -> str:  # fmt: skip
        """Returns a signed token that expires after 15 minutes, for the service unless another audience is named."""
        now = int(self._clock())
        return self.keys.sign(
            {
                "iss": self._issuer,
                "aud": audience or self.audience,
                "sub": str(subject),
                "tenant": str(tenant_id),
                "sid": str(session_id),
                "jti": str(uuid.uuid4()),
                "scope": " ".join(sorted(scope)),
                "iat": now,
                "nbf": now,
                "exp": now + LIFETIME_SECONDS,
            }
        )

    def verify(self, token: str) -> AccessClaims:
        """Returns what a valid token says; raises InvalidToken. Needs neither network nor database."""
        access = self._signed.get(token)
        if access is None:
            access = self._signed[token] = self._read(token)
            if len(self._signed) > _REMEMBERED:
                self._signed.popitem(last=False)
        self._check_times(access)
        return access

    def _read(self, token: str) -> AccessClaims:
        claims = self.keys.verify(token)
        if claims.get("iss") != self._issuer:
            raise InvalidToken(Refusal.WRONG_ISSUER)
        audience = claims.get("aud")
        if not isinstance(audience, str) or audience not in {self.audience, *self._resources.values()}:
            raise InvalidToken(Refusal.WRONG_AUDIENCE)
        return AccessClaims(
            subject=_uuid(claims.get("sub")),
            tenant_id=_uuid(claims.get("tenant")),
            session_id=_uuid(claims.get("sid")),
            token_id=_uuid(claims.get("jti")),
            audience=audience,
            scope=_scope(claims.get("scope")),
            issued_at=_numeric_date(claims.get("iat")),
            not_before=_numeric_date(claims.get("nbf")),
            expires_at=_numeric_date(claims.get("exp")),
        )

    def _check_times(self, access: AccessClaims) -> None:
        now = self._clock()
        if max(access.issued_at, access.not_before) > now + LEEWAY_SECONDS:
            raise InvalidToken(Refusal.NOT_YET_VALID)
        if now >= access.expires_at:
            raise InvalidToken(Refusal.EXPIRED)
        if access.expires_at - access.issued_at > LIFETIME_SECONDS:
            raise InvalidToken(Refusal.BAD_CLAIMS)


def generate_private_key_pem() -> str:
    """Makes a new P-256 private key, as unencrypted PKCS #8 PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode("ascii")


def public_key_pem(private_pem: str) -> str:
    """Returns the public half of a private key, to keep verifying its tokens after it is replaced."""
    return _signing_key(private_pem).public_key().to_pem().decode("ascii")


def thumbprint(public_key: Key) -> str:
    """Returns the base64url SHA-256 thumbprint of a public key (RFC 7638)."""
    members = public_key.to_dict()
    required = {name: members[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(required, separators=(",", ":"))  # in alphabetical order, as the RFC demands
    return to_base64url(hashlib.sha256(canonical.encode()).digest())


def _signing_key(pem: str) -> Key:
    try:
        key = serialization.load_pem_private_key(pem.encode("ascii"), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        message = "The signing key is encrypted or of an unknown kind."
        raise ValueError(message) from error
    if not _on_p256(key):
        message = "The signing key is not on the curve P-256."
        raise ValueError(message)
    return jwk.construct(pem, ALGORITHM)


def _verification_key(pem: str) -> Key:
    try:
        key = serialization.load_pem_public_key(pem.encode("ascii"))
    except UnsupportedAlgorithm as error:
        message = "A previous public key is of an unknown kind."
        raise ValueError(message) from error
    if not _on_p256(key):
        message = "A previous public key is not on the curve P-256."
        raise ValueError(message)
    return jwk.construct(pem, ALGORITHM)


def _on_p256(key: object) -> bool:
    elliptic = ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey
    return isinstance(key, elliptic) and isinstance(key.curve, ec.SECP256R1)


def _uuid(claim: object) -> uuid.UUID:
    """Reads a UUID in canonical spelling; its constructor also takes braces, URNs and any script's digits."""
    try:
        value = uuid.UUID(str(claim))
    except ValueError as error:
        raise InvalidToken(Refusal.BAD_CLAIMS) from error
    if str(value) != claim:
        raise InvalidToken(Refusal.BAD_CLAIMS)
    return value


def _numeric_date(claim: object) -> int:
    """Reads a NumericDate (RFC 7519) of whole seconds; True is an int in Python, and is refused."""
    if type(claim) is not int:
        raise InvalidToken(Refusal.BAD_CLAIMS)
    return claim


def _scope(claim: object) -> frozenset[Permission]:
    if not isinstance(claim, str):
        raise InvalidToken(Refusal.BAD_CLAIMS)
    try:
        return frozenset(map(Permission, claim.split(" "))) if claim else frozenset()
    except ValueError as error:
        raise InvalidToken(Refusal.BAD_CLAIMS) from error
