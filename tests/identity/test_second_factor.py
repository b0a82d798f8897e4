"""A second factor is asked for, each of its codes works once, and nobody alone does without one that the tenant asks for."""

import asyncio
import secrets
import time
from base64 import b32decode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import httpx
import pytest

from backend.identity.callers.limits import HOUR
from backend.identity.callers.permissions import Role
from backend.identity.second_factor import codes
from backend.identity.sign_in import throttle
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

LATE = 3 * codes.STEP_SECONDS


@dataclass
class CodeClock:
    """The time by which the service looks at codes, which a test moves on."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def next_code(self, secret: bytes) -> str:
        """A code of the app, of a step that nobody has shown yet."""
        self.now += codes.STEP_SECONDS
        return self.code(secret)

    def code(self, secret: bytes, seconds: float = 0) -> str:
        return codes._totp(secret).generate(int(self.now + seconds)).decode()


@pytest.fixture
def clock(service: Service) -> Iterator[CodeClock]:
    clock, factors, sign_in = CodeClock(), service.services.second_factors, service.services.sign_in
    moved = replace(factors, clock=clock)
    service.exchange(second_factors=moved, sign_in=replace(sign_in, second_factors=moved))
    yield clock
    service.exchange(second_factors=factors, sign_in=sign_in)


@pytest.fixture(scope="module")
async def bank(service: Service) -> Tenant:
    """A tenant with two administrators."""
    tenant = await service.create_tenant()
    await service.add_user(tenant, "admin2", Role.ADMIN)
    return tenant


@pytest.fixture
async def strict(service: Service, dana: str) -> Tenant:
    """Another such tenant, also with an analyst of that name, which a test may change."""
    service.forget_tokens()
    tenant = await service.create_tenant()
    await service.add_user(tenant, "admin2", Role.ADMIN)
    await service.add_user(tenant, dana, Role.ANALYST)
    return tenant


@pytest.fixture
async def dana(service: Service, bank: Tenant) -> str:
    """The name of an analyst of its own for each test."""
    username = f"dana-{secrets.token_hex(4)}"
    await service.add_user(bank, username, Role.ANALYST)
    return username


async def sign_in(service: Service, tenant: Tenant, username: str, **more: str) -> httpx.Response:
    form = {"username": username, "password": PASSWORD, "client_id": tenant.slug, **more}
    return await service.client.post("/auth/token", data=form)


def headers_of(signed_in: httpx.Response) -> dict[str, str]:
    assert signed_in.status_code == 200, signed_in.text
    return {"Authorization": f"Bearer {signed_in.json()['access_token']}"}


async def enrol(service: Service, clock: CodeClock, headers: dict[str, str]) -> tuple[bytes, list[str]]:
    """Sets a second factor up; returns the app's secret, and the recovery codes."""
    begun = await service.client.post("/auth/second-factor", headers=headers)
    assert begun.status_code == 201, begun.text
    secret = b32decode(begun.json()["secret"])
    shown = {"code": clock.next_code(secret)}
    confirmed = await service.client.post("/auth/second-factor/confirm", json=shown, headers=headers)
    assert confirmed.status_code == 200, confirmed.text
    return secret, confirmed.json()["recovery_codes"]


async def enrolled(service: Service, clock: CodeClock, tenant: Tenant, username: str) -> tuple[bytes, list[str]]:
    return await enrol(service, clock, headers_of(await sign_in(service, tenant, username)))


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


NEEDED = (401, "second_factor_required")


async def test_an_app_can_read_the_address_that_it_is_given(service: Service, bank: Tenant, dana: str) -> None:
    begun = await service.post("/auth/second-factor", bank, dana, None)
    address = urlsplit(begun.json()["address"])
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path) == f"/Affidavit:{bank.slug}/{dana}"
    assert parse_qs(address.query)["secret"] == [begun.json()["secret"]]


def test_codes_are_those_of_the_standard() -> None:
    secret = b"12345678901234567890"  # RFC 6238, appendix B: the last six of its eight digits
    for moment, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert codes.step_of(secret, code, moment) == moment // 30
        assert codes.step_of(secret, code, moment + 2 * codes.STEP_SECONDS) is None


async def test_signing_in_asks_for_the_factor_only_when_it_is_confirmed(
    service: Service, clock: CodeClock, bank: Tenant, dana: str
) -> None:
    begun = await service.post("/auth/second-factor", bank, dana, None)
    secret = b32decode(begun.json()["secret"])
    headers = headers_of(await sign_in(service, bank, dana))
    wrong = await service.client.post("/auth/second-factor/confirm", json={"code": "000000"}, headers=headers)
    assert wrong.status_code == 403
    shown = {"code": clock.code(secret)}
    assert (await service.client.post("/auth/second-factor/confirm", json=shown, headers=headers)).status_code == 200
    assert error_of(await sign_in(service, bank, dana)) == NEEDED
    signed_in = await sign_in(service, bank, dana, otp=clock.next_code(secret))
    (current,) = [
        session
        for session in (await service.client.get("/auth/sessions", headers=headers_of(signed_in))).json()["sessions"]
        if session["current"]
    ]
    assert current["second_factor"] is True
    described = (await service.client.get("/auth/second-factor", headers=headers_of(signed_in))).json()
    assert described["confirmed_at"] is not None


async def test_who_does_not_know_the_password_learns_nothing_of_a_factor(
    service: Service, clock: CodeClock, bank: Tenant, dana: str
) -> None:
    secret, recovery = await enrolled(service, clock, bank, dana)
    for otp in ({}, {"otp": clock.next_code(secret)}, {"otp": recovery[0]}):
        assert error_of(await sign_in(service, bank, dana, password="wrong " + PASSWORD, **otp)) == (
            401,
            "unauthenticated",
        )
    assert (await sign_in(service, bank, dana, otp=recovery[0])).status_code == 200  # and nothing was used up


async def test_confirming_ends_sessions_that_were_opened_with_the_password_alone(
    service: Service, clock: CodeClock, bank: Tenant, dana: str
) -> None:
    elsewhere = headers_of(await sign_in(service, bank, dana))
    here = headers_of(await sign_in(service, bank, dana))
    await enrol(service, clock, here)
    assert (await service.client.get("/auth/me", headers=elsewhere)).status_code == 401
    assert (await service.client.get("/auth/me", headers=here)).status_code == 200


async def test_a_code_is_taken_once_in_its_step_also_by_many_at_once(
    service: Service, clock: CodeClock, bank: Tenant, dana: str
) -> None:
    secret, _ = await enrolled(service, clock, bank, dana)
    assert error_of(await sign_in(service, bank, dana, otp=clock.code(secret))) == NEEDED  # the one that confirmed it
    code = clock.next_code(secret)
    answers = await asyncio.gather(*(sign_in(service, bank, dana, otp=code) for _ in range(5)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 4}
    earlier = clock.code(secret, -codes.STEP_SECONDS)
    assert error_of(await sign_in(service, bank, dana, otp=earlier)) == NEEDED
    reasons = {event["reason"] for event in await service.events(bank, action="auth:failed", limit=5)}
    assert reasons == {"second_factor:wrong"}


@pytest.mark.parametrize(("seconds", "status"), [(-LATE, 401), (-30, 200), (0, 200), (30, 200), (LATE, 401)])
async def test_a_clock_may_be_one_step_off(
    service: Service, clock: CodeClock, bank: Tenant, dana: str, seconds: int, status: int
) -> None:
    secret, _ = await enrolled(service, clock, bank, dana)
    clock.now += 10 * codes.STEP_SECONDS
    assert (await sign_in(service, bank, dana, otp=clock.code(secret, seconds))).status_code == status


@pytest.mark.parametrize("otp", ["12345", "1234567", "abcdef", "１２３４５６", "-" * 40, "' or 1=1 --", "\ud83d"])
async def test_what_is_no_code_is_refused(
    service: Service, clock: CodeClock, bank: Tenant, dana: str, otp: str
) -> None:
    await enrolled(service, clock, bank, dana)
    body = b"username=" + dana.encode() + b"&password=correct+horse+battery+staple&client_id=" + bank.slug.encode()
    form = body + b"&otp=" + otp.encode(errors="surrogatepass")
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await service.client.post("/auth/token", content=form, headers=kind)
    assert answer.status_code in {401, 422}


async def test_recovery_codes_are_shown_once_and_each_works_once(
    service: Service, clock: CodeClock, bank: Tenant, dana: str
) -> None:
    _, recovery = await enrolled(service, clock, bank, dana)
    assert len(set(recovery)) == codes.RECOVERY_CODES
    answers = await asyncio.gather(*(sign_in(service, bank, dana, otp=recovery[0]) for _ in range(4)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 3}
    as_typed = recovery[1].upper().replace("-", " ")
    assert (await sign_in(service, bank, dana, otp=as_typed)).status_code == 200
    connection = await asyncpg.connect(service.database.superuser_url)
    stored = await connection.fetch("select * from identity.recovery_code where user_id = $1", bank.users[dana])
    assert len(stored) == codes.RECOVERY_CODES
    assert not any(code.replace("-", "").encode() in bytes(row["digest"]) for row in stored for code in recovery)
    secret = await connection.fetchval(
        "select sealed_secret from identity.second_factor where user_id = $1", bank.users[dana]
    )
    assert secret.startswith("gAAAA")  # sealed
    await connection.close()


async def test_codes_cannot_be_guessed_faster_than_the_limit_from_however_many_addresses(
    service: Service, clock: CodeClock, bank: Tenant, dana: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, _ = await enrolled(service, clock, bank, dana)
    monkeypatch.setattr(throttle, "CODES_PER_ACCOUNT", (3, HOUR))
    for name in ("FROM_ONE_ADDRESS", "PER_ADDRESS", "PER_ACCOUNT"):
        monkeypatch.setattr(throttle, name, (1_000, HOUR))
    for _ in range(5):  # what is right does not count
        assert (await sign_in(service, bank, dana, otp=clock.next_code(secret))).status_code == 200
        assert error_of(await sign_in(service, bank, dana)) == NEEDED
    statuses = Counter([(await sign_in(service, bank, dana, otp="000000")).status_code for _ in range(5)])
    assert statuses == {401: 3, 429: 2}
    assert (await sign_in(service, bank, dana, otp=clock.next_code(secret))).status_code == 429


async def test_who_has_the_token_alone_does_not_take_the_factor_away(
    service: Service, clock: CodeClock, bank: Tenant, dana: str
) -> None:
    headers = headers_of(await sign_in(service, bank, dana))
    secret, recovery = await enrol(service, clock, headers)

    async def remove(code: str) -> int:
        answer = await service.client.post("/auth/second-factor/remove", json={"code": code}, headers=headers)
        return answer.status_code

    assert await remove("000000") == 403
    assert (await service.client.post("/auth/second-factor", headers=headers)).status_code == 409
    assert await remove(recovery[0]) == 204
    assert await remove(recovery[1]) == 404
    assert (await sign_in(service, bank, dana)).status_code == 200
    known = await service.events(bank, action="second_factor:changed", actor=str(bank.users[dana]))
    changes = [event["event"]["second_factor"]["change"] for event in known]
    assert changes == ["removed", "confirmed", "begun"]
    assert secret not in str(await service.events(bank)).encode()


async def test_the_factor_of_who_lost_it_is_taken_away_by_two_others(
    service: Service, clock: CodeClock, bank: Tenant, dana: str
) -> None:
    await enrolled(service, clock, bank, dana)
    path = f"/users/{bank.users[dana]}/second-factor"
    answers = [await service.client.delete(path, headers=await service.as_user(bank, by)) for by in ("admin", "admin")]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert error_of(await sign_in(service, bank, dana)) == NEEDED
    assert (await service.client.delete(path, headers=await service.as_user(bank, "admin2"))).status_code == 204
    assert (await sign_in(service, bank, dana)).status_code == 200


async def set_rule(service: Service, headers: dict[str, str], *, required: bool) -> httpx.Response:
    return await service.client.put("/auth/sign-in-rule", json={"second_factor_required": required}, headers=headers)


async def test_where_the_tenant_asks_for_a_factor_who_has_none_does_nothing_but_set_one_up(
    service: Service, clock: CodeClock, strict: Tenant, dana: str
) -> None:
    before = headers_of(await sign_in(service, strict, dana))
    assert (await set_rule(service, await service.as_user(strict, "admin"), required=True)).status_code == 200
    lacking = headers_of(await sign_in(service, strict, dana))
    for headers in (before, lacking):
        refused = await service.client.post("/retrieve", json={"query": "What is the rule?"}, headers=headers)
        assert error_of(refused) == (403, "second_factor_missing")
        me: dict[str, Any] = (await service.client.get("/auth/me", headers=headers)).json()
        assert (me["lacks_second_factor"], me["permissions"], me["readable_collections"]) == (True, [], [])
    secret, _ = await enrol(service, clock, lacking)
    asked = {"query": "What is the rule?"}
    assert (await service.client.post("/retrieve", json=asked, headers=lacking)).status_code == 200
    again = headers_of(await sign_in(service, strict, dana, otp=clock.next_code(secret)))
    assert (await service.client.post("/retrieve", json=asked, headers=again)).status_code == 200


async def test_to_stop_asking_for_a_factor_takes_two_people(
    service: Service, clock: CodeClock, strict: Tenant, dana: str
) -> None:
    assert (await set_rule(service, await service.as_user(strict, "admin"), required=True)).status_code == 200
    assert (
        await set_rule(service, await service.as_user(strict, "admin"), required=False)
    ).status_code == 403  # has none
    people = {name: headers_of(await sign_in(service, strict, name)) for name in ("admin", "admin2")}
    for headers in people.values():
        await enrol(service, clock, headers)
    assert [(await set_rule(service, people["admin"], required=False)).status_code for _ in range(2)] == [202, 202]
    lacking = headers_of(await sign_in(service, strict, dana))
    assert (await service.client.get("/auth/me", headers=lacking)).json()["lacks_second_factor"] is True
    assert (await set_rule(service, people["admin2"], required=False)).status_code == 200
    assert (await service.client.get("/auth/me", headers=lacking)).json()["lacks_second_factor"] is False
    acts = {event["action"] for event in await service.events(strict)}
    assert {"act:asked", "act:joined", "sign_in_rule:changed"} <= acts


async def test_a_key_has_no_second_factor(service: Service, bank: Tenant) -> None:
    for path, body in (("", None), ("/confirm", {"code": "123456"}), ("/remove", {"code": "123456"})):
        answer = await service.post(f"/auth/second-factor{path}", bank, "partner", body)
        assert answer.status_code == 403


async def test_the_time_by_which_codes_are_looked_at_is_the_real_one(service: Service, bank: Tenant, dana: str) -> None:
    begun = await service.post("/auth/second-factor", bank, dana, None)
    code = codes._totp(b32decode(begun.json()["secret"])).generate(int(time.time())).decode()
    confirmed = await service.post("/auth/second-factor/confirm", bank, dana, {"code": code})
    assert confirmed.status_code == 200
