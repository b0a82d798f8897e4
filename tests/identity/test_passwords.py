"""Passwords: what is accepted, how it is kept, and what the time of a refusal gives away."""

import anyio
import pytest
from passlib.context import CryptContext

from backend.identity.sign_in import passwords
from backend.identity.sign_in.passwords import (
    DUMMY_HASH,
    MAX_BYTES,
    UnacceptablePassword,
    hash_password,
    hash_password_async,
    verify_against_nothing,
    verify_against_nothing_async,
    verify_password,
    verify_password_async,
)

PASSWORD = "correct horse battery staple"
UNACCEPTABLE = {
    "too short": "eleven char",
    "too many characters": "x" * (MAX_BYTES + 1),
    "too many bytes": "€" * (MAX_BYTES // 3 + 1),
    "NUL": "correct horse\0battery",
    "lone surrogate": "correct horse \ud800 battery",
}


@pytest.fixture(scope="module", autouse=True)
def cheap_passwords() -> None:
    """Passwords have their real cost here."""


@pytest.fixture(scope="module")
def stored() -> str:
    return hash_password(PASSWORD)


def test_the_right_password_is_accepted(stored: str) -> None:
    assert verify_password(PASSWORD, stored)


@pytest.mark.parametrize(
    "wrong", ["", "Correct horse battery staple", PASSWORD + " ", PASSWORD[:-1], "another password"]
)
def test_a_wrong_password_is_refused(wrong: str, stored: str) -> None:
    assert not verify_password(wrong, stored)


def test_equal_passwords_have_different_hashes(stored: str) -> None:
    assert hash_password(PASSWORD) != stored


def test_a_hash_is_argon2id_with_the_stated_cost(stored: str) -> None:
    assert stored.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert PASSWORD not in stored


def test_the_longest_acceptable_password_counts_to_its_last_byte() -> None:
    longest = "x" * MAX_BYTES
    stored = hash_password(longest)
    assert verify_password(longest, stored)
    assert not verify_password(longest[:-1] + "y", stored)


@pytest.mark.parametrize("password", UNACCEPTABLE.values(), ids=UNACCEPTABLE)
def test_an_unacceptable_password_is_not_hashed(password: str) -> None:
    with pytest.raises(UnacceptablePassword) as refusal:
        hash_password(password)
    assert password not in str(refusal.value)


@pytest.mark.parametrize("password", UNACCEPTABLE.values(), ids=UNACCEPTABLE)
def test_an_unacceptable_password_is_a_wrong_one_at_login(password: str, stored: str) -> None:
    assert not verify_password(password, stored)
    assert not verify_against_nothing(password)


def test_a_password_is_the_same_from_keyboards_that_compose_letters_differently() -> None:
    stored = hash_password("cr\u00e8me br\u00fbl\u00e9e")
    assert verify_password("cre\u0300me bru\u0302le\u0301e", stored)


def test_a_password_is_hashed_in_its_composed_form() -> None:
    stored = hash_password("cre\u0300me bru\u0302le\u0301e")
    assert CryptContext(["argon2"]).verify("cr\u00e8me br\u00fbl\u00e9e", stored)


def test_letters_that_only_look_alike_are_different_passwords(stored: str) -> None:
    assert not verify_password(PASSWORD.replace("o", "\u043e"), stored)


def test_no_password_matches_the_hash_of_nobody() -> None:
    assert not verify_against_nothing("")
    assert not verify_against_nothing(PASSWORD)


def test_the_hash_of_nobody_costs_what_a_real_hash_costs(stored: str) -> None:
    assert DUMMY_HASH.rsplit("$", 2)[0] == stored.rsplit("$", 2)[0]
    assert list(map(len, DUMMY_HASH.split("$"))) == list(map(len, stored.split("$")))


def test_every_refusal_takes_one_hash_of_the_full_cost(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    verify = passwords._ARGON2ID.verify
    monkeypatch.setattr(passwords._ARGON2ID, "verify", lambda secret, of: checked.append(of) or verify(secret, of))  # type: ignore[func-returns-value]
    refusals = [
        lambda: verify_password("a wrong password", stored),
        lambda: verify_password(UNACCEPTABLE["NUL"], stored),
        lambda: verify_against_nothing(PASSWORD),
        lambda: verify_against_nothing(UNACCEPTABLE["too many bytes"]),
    ]
    for refuse in refusals:
        assert not refuse()
    assert checked == [stored, DUMMY_HASH, DUMMY_HASH, DUMMY_HASH]  # alike in cost, as the test before this one says


def test_a_hash_of_a_lower_cost_still_verifies() -> None:
    weak = CryptContext(["argon2"], argon2__memory_cost=8192).hash(PASSWORD)
    assert verify_password(PASSWORD, weak)


@pytest.mark.parametrize("damaged", ["", "!", PASSWORD, "$argon2id$v=19$m=47104,t=1,p=1$"])
def test_a_damaged_hash_is_a_fault_and_not_a_wrong_password(damaged: str) -> None:
    with pytest.raises(ValueError, match="hash"):
        verify_password(PASSWORD, damaged)


@pytest.mark.anyio
async def test_hashing_leaves_the_event_loop_free() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0.001)
            turns += 1

    during_a_hash = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count_turns)
        for _ in range(10):
            before = turns
            await verify_against_nothing_async(PASSWORD)
            during_a_hash.append(turns - before)
        tasks.cancel_scope.cancel()
    assert max(during_a_hash) > 2  # a blocked loop turns about once per hash


@pytest.mark.anyio
async def test_a_burst_of_logins_hashes_only_a_few_at_a_time() -> None:
    limiter = passwords._CONCURRENT_HASHES
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, limiter.statistics().borrowed_tokens)
            await anyio.sleep(0.001)

    async with anyio.create_task_group() as watcher:
        watcher.start_soon(watch)
        async with anyio.create_task_group() as logins:
            for _ in range(12):
                logins.start_soon(verify_against_nothing_async, PASSWORD)
        watcher.cancel_scope.cancel()
    assert 1 <= most <= limiter.total_tokens <= 4
    assert limiter.borrowed_tokens == 0


@pytest.mark.anyio
async def test_the_asynchronous_functions_agree_with_the_others() -> None:
    stored = await hash_password_async(PASSWORD)
    assert await verify_password_async(PASSWORD, stored)
    assert not await verify_password_async("a wrong password", stored)
    assert not await verify_against_nothing_async(PASSWORD)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
