"""Access tokens: what they carry, how keys rotate, and when a token stops to be valid."""

import base64
import json
import re
import uuid
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jose import jwk, jws

from backend.identity.callers.permissions import Permission
from backend.identity.sign_in import tokens as backend_tokens
from backend.identity.sign_in.tokens import (
    AccessTokens,
    InvalidToken,
    Refusal,
    SigningKeys,
    generate_private_key_pem,
    public_key_pem,
    thumbprint,
)

NOW = 1_800_000_000
SUBJECT, TENANT, SESSION = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
SCOPE = {Permission.RETRIEVAL_QUERY, Permission.DOCUMENTS_READ}
OLD_PEM, NEW_PEM = generate_private_key_pem(), generate_private_key_pem()


def tokens(keys: SigningKeys, *, now: float = NOW, issuer: str = "affidavit", audience: str = "api") -> AccessTokens:
    return AccessTokens(keys, issuer=issuer, audience=audience, clock=lambda: now)


def issue(keys: SigningKeys, *, now: float = NOW) -> str:
    return tokens(keys, now=now).issue(subject=SUBJECT, tenant_id=TENANT, session_id=SESSION, scope=SCOPE)


KEYS = SigningKeys(NEW_PEM)
TOKEN = issue(KEYS)


def test_a_token_says_who_called_for_which_tenant_and_what_for() -> None:
    claims = tokens(KEYS).verify(TOKEN)
    assert (claims.subject, claims.tenant_id, claims.session_id) == (SUBJECT, TENANT, SESSION)
    assert claims.scope == SCOPE
    assert (claims.issued_at, claims.not_before, claims.expires_at) == (NOW, NOW, NOW + 900)


def test_a_token_holds_the_documented_header_and_claims() -> None:
    assert jws.get_unverified_header(TOKEN) == {"alg": "ES256", "kid": KEYS.kid, "typ": "at+jwt"}
    claims = json.loads(jws.get_unverified_claims(TOKEN))
    assert set(claims) == {"iss", "aud", "sub", "tenant", "sid", "jti", "scope", "iat", "nbf", "exp"}
    assert claims["scope"] == "documents:read retrieval:query"


def test_every_token_has_an_id_of_its_own() -> None:
    first, second = tokens(KEYS).verify(issue(KEYS)), tokens(KEYS).verify(issue(KEYS))
    assert first.token_id != second.token_id


def test_a_user_without_roles_gets_a_token_with_an_empty_scope() -> None:
    token = tokens(KEYS).issue(subject=SUBJECT, tenant_id=TENANT, session_id=SESSION, scope=())
    assert tokens(KEYS).verify(token).scope == frozenset()


def test_a_token_with_every_permission_is_far_below_the_size_limit() -> None:
    token = tokens(KEYS).issue(subject=SUBJECT, tenant_id=TENANT, session_id=SESSION, scope=Permission)
    assert tokens(KEYS).verify(token).scope == frozenset(Permission)
    assert len(token) < 2048


@pytest.mark.parametrize(
    ("now", "refusal"),
    [
        (NOW - 3600, Refusal.NOT_YET_VALID),
        (NOW - 5.1, Refusal.NOT_YET_VALID),
        (NOW - 5, None),
        (NOW + 899.9, None),
        (NOW + 900, Refusal.EXPIRED),
        (NOW + 10**9, Refusal.EXPIRED),
    ],
)
def test_a_token_is_valid_for_fifteen_minutes(now: float, refusal: Refusal | None) -> None:
    assert refusal_of(tokens(KEYS, now=now), TOKEN) == refusal


def test_a_token_of_another_issuer_or_for_another_audience_is_refused() -> None:
    assert refusal_of(tokens(KEYS, issuer="https://idp.example"), TOKEN) is Refusal.WRONG_ISSUER
    assert refusal_of(tokens(KEYS, audience="console"), TOKEN) is Refusal.WRONG_AUDIENCE


def test_a_replaced_key_verifies_but_no_longer_signs() -> None:
    old_token = issue(SigningKeys(OLD_PEM))
    rotated = SigningKeys(NEW_PEM, [public_key_pem(OLD_PEM)])
    assert tokens(rotated).verify(old_token).subject == SUBJECT
    assert jws.get_unverified_header(issue(rotated))["kid"] == KEYS.kid


def test_a_retired_key_verifies_nothing() -> None:
    assert refusal_of(tokens(KEYS), issue(SigningKeys(OLD_PEM))) is Refusal.UNKNOWN_KEY


def test_the_key_set_publishes_every_verification_key_and_no_private_part() -> None:
    published = SigningKeys(NEW_PEM, [public_key_pem(OLD_PEM)]).jwks()["keys"]
    assert [key["kid"] for key in published] == [KEYS.kid, SigningKeys(OLD_PEM).kid]
    for key in published:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


def test_anyone_can_verify_a_token_with_the_published_key_set() -> None:
    assert jws.verify(TOKEN, KEYS.jwks(), algorithms=["ES256"])


def test_a_key_id_is_the_thumbprint_of_the_key() -> None:
    # The public key of RFC 7517, appendix A.1; the expected value was computed with openssl and sha256sum.
    public = jwk.construct(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        },
        "ES256",
    )
    assert thumbprint(public) == "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"


def test_a_private_key_never_shows_in_a_log() -> None:
    secret_line = NEW_PEM.splitlines()[1]
    assert secret_line not in repr(KEYS)
    assert secret_line not in repr(tokens(KEYS))
    assert secret_line not in public_key_pem(NEW_PEM)


def test_every_other_character_at_the_ends_of_each_part_is_refused() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.="
    dots = [index for index, character in enumerate(TOKEN) if character == "."]
    for position in {0, *dots, *(dot - 1 for dot in dots), *(dot + 1 for dot in dots), len(TOKEN) - 1}:
        for character in set(alphabet) - {TOKEN[position]}:
            assert refusal_of(tokens(KEYS), TOKEN[:position] + character + TOKEN[position + 1 :])


@given(position=st.integers(0, len(TOKEN) - 1), character=st.characters())
def test_any_change_of_a_single_character_is_refused(position: int, character: str) -> None:
    if character != TOKEN[position]:
        assert refusal_of(tokens(KEYS), TOKEN[:position] + character + TOKEN[position + 1 :])


@given(position=st.integers(0, len(TOKEN)), character=st.characters())
def test_any_added_character_is_refused(position: int, character: str) -> None:
    assert refusal_of(tokens(KEYS), TOKEN[:position] + character + TOKEN[position:])


@given(start=st.integers(0, len(TOKEN) - 1), length=st.integers(1, len(TOKEN)))
def test_any_missing_stretch_is_refused(start: int, length: int) -> None:
    assert refusal_of(tokens(KEYS), TOKEN[:start] + TOKEN[start + length :])


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    assert refusal_of(tokens(KEYS), text)


def private_pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b""
) -> str:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


UNUSABLE_PRIVATE_KEYS = {
    "no PEM": "secret",
    "empty": "",
    "not ASCII": "-----BEGIN PRIVATE KEY-----\n\u00e9",
    "a public key": public_key_pem(NEW_PEM),
    "P-384": private_pem(ec.generate_private_key(ec.SECP384R1())),
    "secp256k1, equal in length": private_pem(ec.generate_private_key(ec.SECP256K1())),
    "RSA": private_pem(rsa.generate_private_key(65537, 2048)),
    "Ed25519": private_pem(ed25519.Ed25519PrivateKey.generate()),
    "encrypted": private_pem(ec.generate_private_key(ec.SECP256R1()), b"passphrase"),
}


@pytest.mark.parametrize("pem", UNUSABLE_PRIVATE_KEYS.values(), ids=UNUSABLE_PRIVATE_KEYS)
def test_a_service_with_an_unusable_signing_key_does_not_start(pem: str) -> None:
    with pytest.raises(ValueError, match=r".") as fault:
        SigningKeys(pem)
    assert not pem or pem not in str(fault.value)


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    public_format = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, public_format).decode()


P256_IDENTIFIER = bytes.fromhex("06082a8648ce3d030107")
UNKNOWN_IDENTIFIER = bytes.fromhex("06082a8648ce3d03017f")


def on_an_unknown_curve(pem: str) -> str:
    _, *lines, _ = pem.splitlines()
    der = base64.b64decode("".join(lines)).replace(P256_IDENTIFIER, UNKNOWN_IDENTIFIER)
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"


UNUSABLE_PUBLIC_KEYS = {
    "no PEM": "secret",
    "a private key": OLD_PEM,
    "P-384": public_pem(ec.generate_private_key(ec.SECP384R1())),
    "an unknown curve": on_an_unknown_curve(public_key_pem(OLD_PEM)),
}


@pytest.mark.parametrize("pem", UNUSABLE_PUBLIC_KEYS.values(), ids=UNUSABLE_PUBLIC_KEYS)
def test_a_service_with_an_unusable_previous_key_does_not_start(pem: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        SigningKeys(NEW_PEM, [pem])


def refusal_of(verifier: AccessTokens, token: str) -> Refusal | None:
    try:
        verifier.verify(token)
    except InvalidToken as refused:
        return refused.reason
    return None


def test_one_module_alone_uses_python_jose() -> None:
    backend = Path(backend_tokens.__file__).parents[2]
    using = [
        path for path in backend.rglob("*.py") if re.search(r"^(?:from|import) jose\b", path.read_text(), re.MULTILINE)
    ]
    assert using == [Path(backend_tokens.__file__)]
