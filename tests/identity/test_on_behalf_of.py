"""For whom a partner's system acts: named without proof, or by an assertion that it signs for five minutes at most."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jose import jws

from backend.identity.callers.on_behalf_of import Assurance, EndUser, asserted, load_public_key, signed
from backend.identity.sign_in.compact_jws import InvalidToken, Refusal

NOW = 1_800_000_000
AUDIENCE = "https://affidavit.example"
HEADER = {"alg": "ES256", "typ": "on-behalf-of+jwt"}


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
CLAIMS = {"sub": "customer-7", "aud": AUDIENCE, "iat": NOW - 10, "exp": NOW + 290}


def assertion(claims: dict[str, Any] | None = None, *, header: dict[str, Any] | None = None, **changed: Any) -> str:
    told = {**CLAIMS, **changed} if claims is None else claims
    written: str = jws.sign(json.dumps(told).encode(), private_pem(KEY), headers=header or HEADER, algorithm="ES256")
    return written


def read(text: str, *, now: float = NOW) -> EndUser:
    return signed(text, public_pem(KEY), audience=AUDIENCE, clock=lambda: now)


def refusal(text: str, *, now: float = NOW) -> Refusal:
    with pytest.raises(InvalidToken) as refused:
        read(text, now=now)
    return refused.value.reason


def test_a_named_end_user_is_asserted_and_a_signed_one_is_signed() -> None:
    assert asserted("customer-7") == EndUser("customer-7", Assurance.ASSERTED)
    assert read(assertion()) == EndUser("customer-7", Assurance.SIGNED)


@pytest.mark.parametrize("subject", ["x", "x" * 200, "Ünal, Ö."])
def test_a_name_has_from_1_to_200_characters(subject: str) -> None:
    assert asserted(subject).subject == subject
    assert read(assertion(sub=subject)).subject == subject


@pytest.mark.parametrize("subject", ["", "x" * 201, "a\nb", "a\x00", 7, None, ["x"]])
def test_what_is_no_name_is_refused_in_both_ways(subject: Any) -> None:
    with pytest.raises(InvalidToken):
        asserted(subject)
    assert refusal(assertion(sub=subject)) is Refusal.BAD_CLAIMS


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"aud": "https://elsewhere.example"}, Refusal.WRONG_AUDIENCE),
        ({"aud": [AUDIENCE]}, Refusal.WRONG_AUDIENCE),
        ({"exp": NOW + 291}, Refusal.BAD_CLAIMS),
        ({"iat": NOW - 10.0}, Refusal.BAD_CLAIMS),
        ({"iat": "1800000000"}, Refusal.BAD_CLAIMS),
        ({"iat": True}, Refusal.BAD_CLAIMS),
        ({"exp": None}, Refusal.BAD_CLAIMS),
        ({"exp": NOW + 290.5}, Refusal.BAD_CLAIMS),
        ({"exp": NOW - 10}, Refusal.BAD_CLAIMS),
        ({"exp": NOW - 11}, Refusal.BAD_CLAIMS),
        ({"iat": NOW + 6, "exp": NOW + 60}, Refusal.NOT_YET_VALID),
        ({"exp": NOW}, Refusal.EXPIRED),
    ],
)
def test_claims_that_are_not_exactly_as_agreed_are_refused(changed: dict[str, Any], reason: Refusal) -> None:
    assert refusal(assertion(**changed)) is reason


def test_it_holds_until_before_it_ends_and_from_5_seconds_before_it_begins() -> None:
    assert read(assertion(), now=NOW + 289.9).subject == "customer-7"
    assert refusal(assertion(), now=NOW + 290) is Refusal.EXPIRED
    assert read(assertion(), now=NOW - 15).subject == "customer-7"
    assert refusal(assertion(), now=NOW - 15.1) is Refusal.NOT_YET_VALID


@pytest.mark.parametrize("left_out", ["sub", "aud", "iat", "exp"])
def test_an_assertion_without_one_of_its_claims_is_refused(left_out: str) -> None:
    reason = refusal(assertion({name: value for name, value in CLAIMS.items() if name != left_out}))
    assert reason in {Refusal.BAD_CLAIMS, Refusal.WRONG_AUDIENCE}


def test_a_header_that_says_more_less_or_other_is_refused() -> None:
    assert refusal(assertion(header={**HEADER, "kid": "1"})) is Refusal.BAD_HEADER
    assert refusal(assertion(header={**HEADER, "typ": "JWT"})) is Refusal.BAD_HEADER


def test_a_signature_of_another_key_or_form_is_refused() -> None:
    with pytest.raises(InvalidToken) as refused:
        signed(assertion(), public_pem(OTHER_KEY), audience=AUDIENCE, clock=lambda: NOW)
    assert refused.value.reason is Refusal.BAD_SIGNATURE
    head, payload, signature = assertion().split(".")
    shorter = base64.urlsafe_b64encode(base64.urlsafe_b64decode(signature + "==")[:63]).rstrip(b"=").decode()
    assert refusal(f"{head}.{payload}.{shorter}") is Refusal.BAD_SIGNATURE
    assert refusal(f"{head}.{payload}.{'A' * 86}") is Refusal.BAD_SIGNATURE


def test_only_a_public_key_on_p_256_verifies() -> None:
    assert load_public_key(public_pem(KEY)).algorithm == "ES256"
    for wrong in (
        public_pem(ec.generate_private_key(ec.SECP384R1())),
        public_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        private_pem(KEY),
        "no key",
        "",
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - cryptography's own messages vary
            load_public_key(wrong)
