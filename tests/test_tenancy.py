"""The signed context: what is in it, under which key, and for how long."""

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest

from backend.tenancy import LIFETIME_SECONDS, PLATFORM_TENANT, Claims, ContextSigner, Purpose

KEY = "a context key of a test"
TENANT, PRINCIPAL, SUBJECT, FIRST, SECOND = (UUID(int=number) for number in range(1, 6))
MOMENT = datetime(2026, 4, 1, tzinfo=UTC)
CLAIMS = Claims(
    "request-1", TENANT, PRINCIPAL, SUBJECT, "user", {"b", "a"}, {SECOND, FIRST}, {FIRST}, MOMENT, MOMENT,
    {Purpose.WRITING: "chunks"},
)  # fmt: skip


def contents(context: str) -> dict[str, object]:
    version, code, document = context.split(".", 2)
    assert (version, len(code)) == ("v1", 64)
    told: dict[str, object] = json.loads(document)
    return told


def test_a_context_says_what_is_claimed_in_one_order_and_for_60_seconds() -> None:
    before = int(time.time())
    told = contents(ContextSigner(KEY).sign(CLAIMS, backend=4711))
    expires = told.pop("expires")
    assert isinstance(expires, int)
    assert before + 60 <= expires <= time.time() + 60
    assert LIFETIME_SECONDS == 60
    assert told == {
        "tenant": str(TENANT), "principal": str(PRINCIPAL), "subject": str(SUBJECT), "kind": "user",
        "permissions": ["a", "b"], "readable": [str(FIRST), str(SECOND)], "writable": [str(FIRST)],
        "request": "request-1", "moment": "2026-04-01T00:00:00+00:00", "known_at": "2026-04-01T00:00:00+00:00",
        "presented": {"writing": "chunks"}, "backend": 4711,
    }  # fmt: skip


def test_what_is_not_claimed_is_not_in_it() -> None:
    told = contents(ContextSigner(KEY).sign(Claims("request-1"), backend=0))
    assert set(told) == {
        "kind", "permissions", "readable", "writable", "request", "presented", "backend", "expires",
    }  # fmt: skip
    assert (told["kind"], told["permissions"], told["presented"]) == ("anonymous", [], {})
    assert contents(ContextSigner(KEY).sign(Claims("r", PLATFORM_TENANT), backend=0))["tenant"] == str(UUID(int=0))


def test_a_purpose_that_nobody_knows_is_not_signed() -> None:
    with pytest.raises(ValueError, match="reding"):
        ContextSigner(KEY).sign(Claims("r", presented={"reding": "lapsed"}), backend=1)  # type: ignore[dict-item]


def test_its_code_is_the_hmac_by_the_blocks_that_the_database_stores() -> None:
    """RFC 2104, put together from both stored blocks as the database does it."""
    identifier, inner, outer = ContextSigner(KEY).padded_key()
    _, code, document = ContextSigner(KEY).sign(CLAIMS, backend=1).split(".", 2)
    signed = b"v1." + document.encode()
    assert hashlib.sha256(outer + hashlib.sha256(inner + signed).digest()).hexdigest() == code
    assert hmac.new(hashlib.sha256(KEY.encode()).digest(), signed, hashlib.sha256).hexdigest() == code
    assert (len(inner), len(outer), len(identifier)) == (64, 64, 16)
    assert identifier != ContextSigner("another").padded_key()[0]
    assert identifier not in hashlib.sha256(hashlib.sha256(KEY.encode()).digest()).hexdigest()
