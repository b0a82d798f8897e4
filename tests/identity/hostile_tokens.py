"""Forged, malformed and merely unusual tokens, each beside the reason for which it is to be refused."""

import json
import uuid

import pytest

from backend.identity.sign_in.tokens import (
    Refusal,
    SigningKeys,
    generate_private_key_pem,
)
from tests.identity.token_forging import (
    CLAIMS,
    DER,
    HEADER,
    JWK,
    KEYS,
    NOW,
    ORDER,
    PREVIOUS_PEM,
    PUBLIC_PEM,
    R_INT,
    S_INT,
    VALID,
    VALID_SIGNATURE,
    H,
    P,
    S,
    claims,
    claims_without,
    header,
    header_without,
    integers,
    mac,
    other_spelling,
    raw,
    signed,
    signed_on_p384,
    signing_input,
    with_signature,
)

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
