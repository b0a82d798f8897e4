"""Tokens that are put together from raw parts and signed by `cryptography` itself: no library tidies an attack up."""

import base64
import hmac
import json
import uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.tokens import (
    AccessTokens,
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
