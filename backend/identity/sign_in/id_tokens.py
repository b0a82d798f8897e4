"""What an ID token must say before it opens anything (OpenID Connect Core 1.0, section 3.1.3.7)."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from backend.identity.sign_in.compact_jws import InvalidToken, Refusal, json_object, split
from backend.identity.sign_in.provider_keys import MAX_TOKEN_CHARACTERS

LEEWAY_SECONDS = 60  # a bank's clock and ours differ
MAX_LIFETIME_SECONDS = 24 * 3600
MAX_AGE_SECONDS = 600  # however long a token says that it lives: what it says of groups was true when it was issued
MAX_SUBJECT_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Expectation:
    """Whose token it must be, for whom, and for which attempt to sign in; no attempt if `nonce` is None."""

    issuer: str
    client_id: str
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says it is: `subject` is unique and stable there, names and addresses are not."""

    subject: str
    issued_at: int  # seconds since the epoch, by the provider's clock
    digest: bytes  # of what is signed, and not of the signature, which others can spell in a second way
    claims: dict[str, Any]

    @property
    def opens_until(self) -> int:
        """The second after which the token opens nothing any more, whatever our clocks say."""
        return self.issued_at + MAX_AGE_SECONDS + 2 * LEEWAY_SECONDS

    def seconds_since_proof(self, now: float) -> int | None:
        """Returns how long ago the user proved to the provider who it is (`auth_time`); None where it does not say."""
        proved = self.claims.get("auth_time")
        return max(0, int(now) - proved) if type(proved) is int else None

    def groups(self, claim: str) -> frozenset[str]:
        """Returns the names in a claim that is a string or a list of strings; nothing for any other shape."""
        value = self.claims.get(claim)
        names = [value] if isinstance(value, str) else value
        return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()

    def lacks_groups(self, claim: str) -> bool:
        """Tells whether the provider left the groups out because they are too many (Entra: groups overage)."""
        elsewhere = self.claims.get("_claim_names")
        return claim not in self.claims and (
            (isinstance(elsewhere, dict) and claim in elsewhere) or self.claims.get("hasgroups") in (True, "true")
        )


def read(token: str, expected: Expectation, *, now: float) -> Identity:
    """Returns whom an ID token names; raises InvalidToken. Its signature is not looked at here."""
    claims = json_object(split(token, max_characters=MAX_TOKEN_CHARACTERS).payload, Refusal.BAD_CLAIMS)
    if claims.get("iss") != expected.issuer:
        raise InvalidToken(Refusal.WRONG_ISSUER)
    _check_audience(claims, expected.client_id)
    _check_times(claims, now)
    if "events" in claims:  # a logout token is signed with the same keys
        raise InvalidToken(Refusal.BAD_TYPE)
    if expected.nonce is not None and not _same(claims.get("nonce"), expected.nonce):
        raise InvalidToken(Refusal.WRONG_NONCE)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT_CHARACTERS or not subject.isprintable():
        raise InvalidToken(Refusal.BAD_CLAIMS)
    signed = token.rpartition(".")[0].encode()
    return Identity(subject, claims["iat"], hashlib.sha256(signed).digest(), claims)


def _check_audience(claims: dict[str, Any], client_id: str) -> None:
    """A token for several audiences must have been issued to us: each of the others could pass it on."""
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or client_id not in audiences:
        raise InvalidToken(Refusal.WRONG_AUDIENCE)
    if claims.get("azp", None if len(audiences) > 1 else client_id) != client_id:
        raise InvalidToken(Refusal.WRONG_AUDIENCE)


def _check_times(claims: dict[str, Any], now: float) -> None:
    issued, expires, not_before = claims.get("iat"), claims.get("exp"), claims.get("nbf", 0)
    if type(issued) is not int or type(expires) is not int or type(not_before) is not int:
        raise InvalidToken(Refusal.BAD_CLAIMS)
    if not 0 < expires - issued <= MAX_LIFETIME_SECONDS:
        raise InvalidToken(Refusal.BAD_CLAIMS)
    if max(issued, not_before) > now + LEEWAY_SECONDS:
        raise InvalidToken(Refusal.NOT_YET_VALID)
    if now >= min(expires, issued + MAX_AGE_SECONDS) + LEEWAY_SECONDS:
        raise InvalidToken(Refusal.EXPIRED)


def _same(claim: object, nonce: str) -> bool:
    return isinstance(claim, str) and hmac.compare_digest(claim.encode(errors="replace"), nonce.encode())
