"""Forged, malformed and merely unusual tokens: each is refused, for the reason that is written beside it.

Tokens are put together from raw parts and signed by `cryptography` itself: no library tidies an attack up.
"""

import base64
import hmac
import json
import socket
import uuid
from typing import NoReturn

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.tokens import (
    AccessTokens,
    InvalidToken,
    Refusal,
    SigningKeys,
    generate_private_key_pem,
    public_key_pem,
)

NOW = 1_800_000_000
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256

PEM = generate_private_key_pem()
PREVIOUS_PEM = generate_private_key_pem()
KEYS = SigningKeys(PEM, [public_key_pem(PREVIOUS_PEM)])
VERIFIER = AccessTokens(KEYS, issuer="affidavit", audience="api", clock=lambda: NOW)
VALID = VERIFIER.issue(
    subject=uuid.uuid4(), tenant_id=uuid.uuid4(), session_id=uuid.uuid4(), scope=[Permission.RETRIEVAL_QUERY]
)

HEADER = {"alg": "ES256", "kid": KEYS.kid, "typ": "at+jwt"}
CLAIMS = {
    "iss": "affidavit",
    "aud": "api",
    "sub": "0b5c1f0e-6d1c-4a57-9a3f-3f6f5f0d9e11",
    "tenant": "1c6d2a1f-7e2d-4b68-8b4a-4a7a6a1eaf22",
    "sid": "2d7e3b2a-8f3e-4c79-9c5b-5b8b7b2fba33",
    "jti": "3e8f4c3b-9a4f-4d8a-8d6c-6c9c8c3acb44",
    "scope": "documents:read retrieval:query",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 900,
}


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def encoded(part: object) -> bytes:
    if isinstance(part, bytes):
        return part
    return (part if isinstance(part, str) else json.dumps(part)).encode()


def signing_input(header: object = HEADER, claims: object = CLAIMS) -> str:
    return f"{b64(encoded(header))}.{b64(encoded(claims))}"


def integers(message: str, pem: str = PEM) -> tuple[int, int]:
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return decode_dss_signature(key.sign(message.encode(), ec.ECDSA(hashes.SHA256())))


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


def signed(header: object = HEADER, claims: object = CLAIMS, pem: str = PEM) -> str:
    message = signing_input(header, claims)
    return f"{message}.{b64(raw(*integers(message, pem)))}"


def with_signature(signature: bytes) -> str:
    return f"{signing_input()}.{b64(signature)}"


def mac(header: object, key: bytes) -> str:
    message = signing_input(header)
    return f"{message}.{b64(hmac.digest(key, message.encode(), 'sha256'))}"


def signed_on_p384() -> str:
    message = signing_input({**HEADER, "alg": "ES384"})
    key = ec.generate_private_key(ec.SECP384R1())
    r, s = decode_dss_signature(key.sign(message.encode(), ec.ECDSA(hashes.SHA384())))
    return f"{message}.{b64(r.to_bytes(48) + s.to_bytes(48))}"


def other_spelling(part: str) -> str:
    """Changes the unused last bits of a base64url text, which the standard library's decoder ignores."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    position = alphabet.index(part[-1])
    assert len(part) % 4, "a text without unused bits has one spelling"
    changed = part[:-1] + alphabet[position ^ 1]
    assert base64.urlsafe_b64decode(changed + "==") == base64.urlsafe_b64decode(part + "==")
    return changed


H, P, S = VALID.split(".")
R_INT, S_INT = integers(signing_input())
VALID_SIGNATURE = b64(raw(R_INT, S_INT))
DER = encode_dss_signature(R_INT, S_INT)
PUBLIC_PEM = public_key_pem(PEM).encode()
JWK = json.dumps({**KEYS.jwks()["keys"][0]})


def header(**changes: object) -> dict[str, object]:
    return {**HEADER, **changes}


def header_without(name: str) -> dict[str, object]:
    return {key: value for key, value in HEADER.items() if key != name}


def claims(**changes: object) -> dict[str, object]:
    return {**CLAIMS, **changes}


def claims_without(name: str) -> dict[str, object]:
    return {key: value for key, value in CLAIMS.items() if key != name}


NOT_COMPACT = {
    "nothing": "",
    "one part": "token",
    "two parts": f"{H}.{P}",
    "four parts": f"{VALID}.{S}",
    "five parts, as of an encrypted token": f"{H}.AA.{P}.{S}.AA",
    "only dots": "..",
    "no header": f".{P}.{S}",
    "no payload": f"{H}..{S}",
    "no signature": f"{H}.{P}.",
    "padded header": f"{H}=.{P}.{S}",
    "padded payload": f"{H}.{P}==.{S}",
    "padded signature": f"{VALID}==",
    "leading space": f" {VALID}",
    "trailing space": f"{VALID} ",
    "trailing newline": f"{VALID}\n",
    "trailing carriage return": f"{VALID}\r",
    "newline inside": f"{H}.\n{P}.{S}",
    "space inside a part": f"{H}.{P[:9]} {P[9:]}.{S}",
    "tab inside the signature": f"{H}.{P}.{S[:9]}\t{S[9:]}",
    "NUL inside": f"{H}.{P[:9]}\0{P[9:]}.{S}",
    "NUL at the end": f"{VALID}\0",
    "classic base64 alphabet": f"{H}.{P}.{'+/' + S[2:]}",
    "percent-encoded dots": VALID.replace(".", "%2E"),
    "foreign character that lax decoders skip": f"{H}.{P[:9]}!{P[9:]}.{S}",
    "full-width full stop": VALID.replace(".", "\uff0e"),
    "Cyrillic look-alike": f"\u0435{VALID[1:]}",
    "full-width digit": f"{H}.{P}.\uff11{S[1:]}",
    "lone surrogate": f"{H}.{P}.\ud800{S[1:]}",
    "byte order mark": f"\ufeff{VALID}",
    "second spelling of the header": ".".join([other_spelling(H), P, S]),
    "second spelling of the signature": ".".join([H, P, other_spelling(S)]),
    "a part of impossible length": f"{H}.{P}.AAAAA",
    "a JSON serialisation": json.dumps({"protected": H, "payload": P, "signature": S}),
    "an API key": "afd_0123456789AB_0123456789ABCDEFGHIJKLMNOPQRSTUVW_0QTsPj",
    "with its scheme": f"Bearer {VALID}",
}

TOO_LARGE = {
    "huge header": signed(header(jku="x" * 100_000)),
    "huge payload": signed(claims=claims(note="x" * 1_000_000)),
    "huge signature": with_signature(b"\1" * 100_000),
    "many dots": "." * 1_000_000,
    "one character too long": "A" * 4097,
}

BAD_HEADER = {
    "no JSON": signed("not json"),
    "empty": signed("{}"),
    "array": signed("[]"),
    "string": signed('"ES256"'),
    "null": signed("null"),
    "number": signed("1"),
    "NaN": signed("NaN"),
    "no UTF-8": signed(b"\xff\xfe{}"),
    "UTF-16": signed(json.dumps(HEADER).encode("utf-16")),
    "byte order mark": signed(b"\xef\xbb\xbf" + json.dumps(HEADER).encode()),
    "trailing content": signed(json.dumps(HEADER) + "{}"),
    "trailing NUL": signed(json.dumps(HEADER) + "\0"),
    "nested too deeply": signed("[" * 1400),
    "integer of 1,500 digits": signed('{"alg":' + "9" * 1500 + "}"),
    "algorithm named twice": signed('{"alg":"none",' + json.dumps(HEADER)[1:]),
    "key named twice": signed(json.dumps(HEADER)[:-1] + f',"kid":"{KEYS.kid}"}}'),
    "named twice by an escape": signed(json.dumps(HEADER)[:-1] + ',"\\u0061lg":"ES256"}'),
    "no algorithm": signed(header_without("alg")),
    "no key id": signed(header_without("kid")),
    "no type": signed(header_without("typ")),
    "name in capitals": signed({**header_without("alg"), "ALG": "ES256"}),
    "key id as number": signed(header(kid=1)),
    "key id as null": signed(header(kid=None)),
    "key id as list": signed(header(kid=[KEYS.kid])),
    "key id as object": signed(header(kid={})),
    "jku": signed(header(jku="https://attacker.example/jwks.json")),
    "x5u": signed(header(x5u="https://attacker.example/certificate.pem")),
    "x5c": signed(header(x5c=["MIIB"])),
    "x5t": signed(header(x5t="AAAA")),
    "jwk": signed(header(jwk=KEYS.jwks()["keys"][0])),
    "jwk of the attacker": signed(header(jwk=json.loads(JWK)), pem=generate_private_key_pem()),
    "crit": signed(header(crit=["exp"], exp=NOW)),
    "empty crit": signed(header(crit=[])),
    "unencoded payload": signed(header(b64=False, crit=["b64"])),
    "zip": signed(header(zip="DEF")),
    "nested token": signed(header(cty="JWT"), VALID),
    "encrypted": signed(header(enc="A256GCM")),
    "unknown member": signed(header(note="")),
}

BAD_ALGORITHM = {
    **{
        repr(algorithm): signed(header(alg=algorithm))
        for algorithm in [
            "none",
            "None",
            "NONE",
            "nOnE",
            "",
            "es256",
            "ES256 ",
            "ES256\0",
            "ES256K",
            "RS256",
            "PS256",
        ]
    },
    "full-width ES256": signed(header(alg="\uff25\uff33256")),
    "null": signed(header(alg=None)),
    "number": signed(header(alg=0)),
    "list": signed(header(alg=["ES256"])),
    "true": signed(header(alg=True)),
    "none, with an empty-looking signature": f"{signing_input(header(alg='none'))}.AA",
    "HS256 with the public key as secret": mac(header(alg="HS256"), PUBLIC_PEM),
    "HS256 with the public key without its last newline": mac(header(alg="HS256"), PUBLIC_PEM.strip()),
    "HS256 with the public JWK as secret": mac(header(alg="HS256"), JWK.encode()),
    "HS256 with an empty secret": mac(header(alg="HS256"), b""),
    "another curve": signed_on_p384(),
}

BAD_TYPE = {
    repr(media_type): signed(header(typ=media_type))
    for media_type in [
        "JWT",
        "at+JWT",
        "AT+JWT",
        "application/at+jwt",
        "at+jwt ",
        "",
        "logout+jwt",
        None,
        1,
        ["at+jwt"],
    ]
}

UNKNOWN_KEY = {
    name: signed(header(kid=kid))
    for name, kid in {
        "empty": "",
        "a stranger's": SigningKeys(generate_private_key_pem()).kid,
        "a path": "../../../../dev/null",
        "an injection": "x' union select 'key' --",
        "an address": "https://attacker.example/key",
        "with NUL": f"{KEYS.kid}\0",
        "with a lone surrogate": "\ud800",
        "lower case": KEYS.kid.lower(),
        "shortened": KEYS.kid[:-1],
    }.items()
}

BAD_SIGNATURE = {
    "by another key": signed(pem=generate_private_key_pem()),
    "by the previous key under the current id": signed(pem=PREVIOUS_PEM),
    "of another token": f"{signing_input()}.{S}",
    "of another spelling of the header": f"{signing_input(json.dumps(HEADER, indent=1))}.{VALID_SIGNATURE}",
    "DER": with_signature(DER),
    "DER cut to 64 bytes": with_signature(DER[:64]),
    "zeros": with_signature(bytes(64)),
    "r = 0": with_signature(raw(0, S_INT)),
    "s = 0": with_signature(raw(R_INT, 0)),
    "r = 1, s = 1": with_signature(raw(1, 1)),
    "r = order, s = order": with_signature(raw(ORDER, ORDER)),
    "r = order": with_signature(raw(ORDER, S_INT)),
    "s = order": with_signature(raw(R_INT, ORDER)),
    "r = order, s = 0": with_signature(raw(ORDER, 0)),
    "r and s swapped": with_signature(raw(S_INT, R_INT)),
    "r negated": with_signature(raw(ORDER - R_INT, S_INT)),
    "all ones": with_signature(b"\xff" * 64),
    "one byte": with_signature(b"\0"),
    "63 bytes": with_signature(raw(R_INT, S_INT)[:-1]),
    "65 bytes": with_signature(raw(R_INT, S_INT) + b"\0"),
    "leading zeros": with_signature(bytes(16) + R_INT.to_bytes(32) + bytes(16) + S_INT.to_bytes(32)),
    "followed by another": with_signature(raw(R_INT, S_INT) * 2),
    "over the payload only": with_signature(raw(*integers(signing_input().split(".")[1]))),
}

NOT_NUMERIC_DATES: list[object] = [
    None,
    True,
    False,
    "",
    str(NOW),
    float(NOW),
    NOW + 0.5,
    1e300,
    [NOW],
    {},
    float("nan"),
    float("inf"),
    float("-inf"),
]

BAD_CLAIMS = {
    "no JSON": signed(claims="not json"),
    "nested token": signed(claims=VALID),
    "array": signed(claims=[CLAIMS]),
    "null": signed(claims="null"),
    "no UTF-8": signed(claims=b"\xff{}"),
    "nested too deeply": signed(claims="[" * 2000),
    "subject named twice": signed(claims=f'{{"sub":"{uuid.uuid4()}",{json.dumps(CLAIMS)[1:]}'),
    "tenant named twice": signed(claims=json.dumps(CLAIMS)[:-1] + f',"tenant":"{uuid.uuid4()}"}}'),
    "named twice in an inner object": signed(claims=json.dumps(CLAIMS)[:-1] + ',"act":{"sub":1,"sub":2}}'),
    "trailing content": signed(claims=json.dumps(CLAIMS) + "x"),
    **{f"no {name}": signed(claims=claims_without(name)) for name in CLAIMS if name not in {"iss", "aud"}},
    **{
        f"{name} is {value!r:.60}": signed(claims=claims(**{name: value}))
        for name in ("sub", "tenant", "sid", "jti")
        for value in (
            None,
            1,
            True,
            "",
            "admin",
            [CLAIMS[name]],
            {"id": CLAIMS[name]},
            f"{CLAIMS[name]}\0",
            f" {CLAIMS[name]}",
            f"{CLAIMS[name]}\n",
            f"{{{CLAIMS[name]}}}",
            f"urn:uuid:{CLAIMS[name]}",
            str(CLAIMS[name]).replace("-", ""),
            "ABCDEF00-0000-4000-8000-000000000000",
            "\u0660" * 32,
            "\uff10" * 8 + "-0000-4000-8000-000000000000",
            "\ud800",
            "0' or '1'='1",
        )
    },
    **{
        f"{name} is {value!r:.60}": signed(claims=claims(**{name: value}))
        for name in ("iat", "nbf", "exp")
        for value in NOT_NUMERIC_DATES
    },
    "exp in exponent form": signed(claims=json.dumps(CLAIMS).replace(str(NOW + 900), "1.8e12")),
    "exp in the far future": signed(claims=claims(exp=10**18)),
    "exp of 1,500 digits": signed(claims=claims(exp=int("9" * 1500))),
    "lives a second too long": signed(claims=claims(exp=NOW + 901)),
    "issued in the far past": signed(claims=claims(iat=-(10**30))),
    **{
        f"scope is {value!r}": signed(claims=claims(scope=value))
        for value in (
            None,
            1,
            ["retrieval:query"],
            {"retrieval:query": True},
            "*",
            "documents:*",
            " ",
            "retrieval:query ",
            "retrieval:query  documents:read",
            "retrieval:query\tdocuments:read",
            "RETRIEVAL:QUERY",
            "retrieval:query\0",
            "retrieval\uff1aquery",
        )
    },
}

WRONG_ISSUER = {
    "missing": signed(claims=claims_without("iss")),
    **{
        repr(issuer): signed(claims=claims(iss=issuer))
        for issuer in (
            None,
            "",
            "Affidavit",
            "affidavit ",
            "affidavit/",
            "affidavit\0",
            "\u0430ffidavit",
            ["affidavit"],
            {"affidavit": 1},
            1,
        )
    },
}

WRONG_AUDIENCE = {
    "missing": signed(claims=claims_without("aud")),
    **{
        repr(audience): signed(claims=claims(aud=audience))
        for audience in (None, "", "API", "api ", "\u0430pi", ["api"], ["api", "other"], [], {"api": 1}, 1)
    },
}

EXPIRED = {
    "now": signed(claims=claims(iat=NOW - 900, nbf=NOW - 900, exp=NOW)),
    "yesterday": signed(claims=claims(iat=NOW - 86_400, nbf=NOW - 86_400, exp=NOW - 85_500)),
    "in 1970": signed(claims=claims(exp=0)),
    "before 1970": signed(claims=claims(exp=-1)),
    "before the universe": signed(claims=claims(exp=-(10**100))),
}

NOT_YET_VALID = {
    "not before a minute from now": signed(claims=claims(nbf=NOW + 60)),
    "issued a minute from now": signed(claims=claims(iat=NOW + 60, exp=NOW + 960)),
    "not before the end of time": signed(claims=claims(nbf=10**1000)),
}

ATTACKS = [
    pytest.param(token, refusal, id=f"{refusal.value} {name}".encode("ascii", "backslashreplace").decode())
    for refusal, attacks in {
        Refusal.NOT_COMPACT: NOT_COMPACT,
        Refusal.TOO_LARGE: TOO_LARGE,
        Refusal.BAD_HEADER: BAD_HEADER,
        Refusal.BAD_ALGORITHM: BAD_ALGORITHM,
        Refusal.BAD_TYPE: BAD_TYPE,
        Refusal.UNKNOWN_KEY: UNKNOWN_KEY,
        Refusal.BAD_SIGNATURE: BAD_SIGNATURE,
        Refusal.BAD_CLAIMS: BAD_CLAIMS,
        Refusal.WRONG_ISSUER: WRONG_ISSUER,
        Refusal.WRONG_AUDIENCE: WRONG_AUDIENCE,
        Refusal.EXPIRED: EXPIRED,
        Refusal.NOT_YET_VALID: NOT_YET_VALID,
    }.items()
    for name, token in attacks.items()
]


def test_the_tokens_that_the_attacks_vary_are_themselves_valid() -> None:
    for token in (VALID, signed(), signed(header(kid=SigningKeys(PREVIOUS_PEM).kid), pem=PREVIOUS_PEM)):
        VERIFIER.verify(token)


@pytest.mark.parametrize(("token", "refusal"), ATTACKS)
def test_a_hostile_token_is_refused_for_its_own_reason(token: str, refusal: Refusal) -> None:
    with pytest.raises(InvalidToken) as refused:
        VERIFIER.verify(token)
    assert refused.value.reason is refusal


def test_every_reason_to_refuse_has_an_attack() -> None:
    assert {attack.values[1] for attack in ATTACKS} == set(Refusal) - {Refusal.WRONG_NONCE}  # only ID tokens have one


def test_no_attack_makes_the_verifier_open_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("the verifier opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for attack in ATTACKS:
        with pytest.raises(InvalidToken):
            VERIFIER.verify(str(attack.values[0]))


def test_a_reason_names_nothing_of_the_token() -> None:
    with pytest.raises(InvalidToken) as refused:
        VERIFIER.verify(signed(claims=claims(sub="jane.doe@example.com")))
    assert str(refused.value) == "token:bad_claims"


def test_a_claim_that_is_not_ours_is_ignored() -> None:
    VERIFIER.verify(signed(claims=claims(act={"sub": "someone"}, roles=["admin"])))


def test_the_second_valid_signature_of_a_token_still_names_the_same_token() -> None:
    first = VERIFIER.verify(with_signature(raw(R_INT, S_INT)))
    second = VERIFIER.verify(with_signature(raw(R_INT, ORDER - S_INT)))
    assert first == second


@given(octets=st.binary(max_size=200))
def test_any_signed_octets_that_are_no_claims_are_refused(octets: bytes) -> None:
    assert is_refused(signed(claims=octets))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(name=st.sampled_from(sorted(set(CLAIMS) - {"iat", "nbf"})), value=JSON)
def test_any_other_value_of_a_claim_is_refused_or_read_as_what_it_is(name: str, value: object) -> None:
    verified = not is_refused(signed(claims=claims(**{name: value})))
    harmless = (name == "scope" and value == "") or (name == "exp" and type(value) is int and 0 < value - NOW <= 900)
    assert verified == harmless


@given(name=st.text(max_size=20), value=JSON)
def test_any_further_header_member_is_refused(name: str, value: object) -> None:
    changed = {**HEADER, name: value}
    if changed != HEADER:
        assert is_refused(signed(changed))


def is_refused(token: str) -> bool:
    try:
        VERIFIER.verify(token)
    except InvalidToken:
        return True
    return False
