"""Forged, malformed and merely unusual tokens: each is refused, for the reason that is written beside it."""

import socket
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.identity.sign_in.tokens import (
    InvalidToken,
    Refusal,
    SigningKeys,
)
from tests.identity.hostile_tokens import ATTACKS
from tests.identity.token_forging import (
    CLAIMS,
    HEADER,
    NOW,
    ORDER,
    PREVIOUS_PEM,
    R_INT,
    S_INT,
    VALID,
    VERIFIER,
    claims,
    header,
    raw,
    signed,
    with_signature,
)


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
