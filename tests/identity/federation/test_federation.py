"""A tenant's own identity provider opens that tenant, for whom and as what the provider says, and nothing else does."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
import pytest

from backend.identity.callers.limits import DAY
from backend.identity.callers.permissions import Role
from backend.identity.sign_in import throttle
from backend.identity.sign_in.compact_jws import to_base64url
from backend.identity.sign_in.oidc_routes import COOKIE
from backend.identity.sign_in.seal import client_secret_seal
from backend.operation import issuers
from backend.operation.service import OperatorError
from tests.identity.federation.federated import (
    PUBLIC_URL,
    begin,
    come_back,
    create_tenant,
    exchange,
    me,
    reasons,
    trust,
)
from tests.identity.federation.loopback_provider import CLIENT, DISCOVERY, JWKS, LoopbackProvider, new_key
from tests.service import Secrets, Service, Tenant

pytestmark = pytest.mark.anyio


async def test_a_first_sign_in_creates_a_user_with_the_roles_of_its_groups(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    described = await me(service, await exchange(service, tenant, provider.token()))
    assert (described["name"], described["roles"]) == ("jane.doe", ["analyst"])
    again = await me(service, await exchange(service, tenant, provider.token(preferred_username="renamed")))
    assert again["id"] == described["id"]


@pytest.mark.parametrize(
    ("header", "claims"),
    [({"x5t": "AAAA", "typ": "JWT"}, {}), (None, {"aud": [CLIENT]}), (None, {"azp": CLIENT, "amr": ["pwd"]})],
)
async def test_what_providers_add_to_a_token_is_no_reason_to_refuse_it(
    service: Service, provider: LoopbackProvider, tenant: Tenant, header: dict[str, Any] | None, claims: dict[str, Any]
) -> None:
    assert (await exchange(service, tenant, provider.token(header=header, **claims))).status_code == 200


async def test_roles_follow_the_groups_at_the_next_sign_in_and_none_of_them_means_no_entry(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    first = await exchange(service, tenant, provider.token())
    described = await me(service, await exchange(service, tenant, provider.token(groups=["Legal", "Others"])))
    assert described["roles"] == ["compliance"]
    assert (await exchange(service, tenant, provider.token(groups=["Others"]))).status_code == 401
    assert (await me(service, first))["roles"] == []


async def test_a_name_that_is_taken_is_never_taken_over(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    first = await me(service, await exchange(service, tenant, provider.token()))
    second = await me(service, await exchange(service, tenant, provider.token(sub="subject-2")))
    assert second["id"] != first["id"]
    assert second["name"].startswith("oidc-")


async def test_unknown_users_are_refused_unless_the_tenant_wants_them_made(
    service: Service, provider: LoopbackProvider
) -> None:
    strict = await create_tenant(service)
    await trust(service, strict, provider, creates_users=False)
    assert (await exchange(service, strict, provider.token())).status_code == 401
    await service.add_user(strict, "jane", Role.ANALYST)
    async with service.operator() as acting:
        await issuers.link(acting.connection, strict.slug, "jane", "subject-1")
    assert (await me(service, await exchange(service, strict, provider.token())))["name"] == "jane"


async def test_a_token_of_one_tenants_issuer_never_opens_another_tenant(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    with LoopbackProvider().serving() as other_provider:
        other = await create_tenant(service)
        await trust(service, other, other_provider)
        assert (await exchange(service, other, other_provider.token())).status_code == 200
        for foreign in (
            provider.token(),
            provider.token(iss=other_provider.issuer),  # signed by the first provider's key
            other_provider.token(key=provider.keys[0]),
        ):
            assert (await exchange(service, other, foreign)).status_code == 401
        assert (await exchange(service, tenant, other_provider.token())).status_code == 401


async def test_the_same_client_of_an_issuer_never_serves_two_tenants(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    other = await create_tenant(service)
    with pytest.raises(OperatorError, match="another tenant"):
        await trust(service, other, provider)
    await trust(service, other, provider, client_id="another-client")
    assert (await exchange(service, other, provider.token())).status_code == 401
    assert (await exchange(service, other, provider.token(aud="another-client"))).status_code == 200
    assert (await exchange(service, tenant, provider.token())).status_code == 200


async def test_no_tenant_can_ask_the_database_who_trusts_which_issuer(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    connection = await asyncpg.connect(service.database.runtime_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("explain analyze select from identity.issuer where issuer = $$x$$")
    assert await connection.fetch("select * from identity.presented_issuer()") == []
    await connection.close()
    assert (tenant.slug, provider.issuer) != ("", "")


async def test_distrust_ends_the_sessions_of_all_who_came_through_the_issuer(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    signed_in = await exchange(service, tenant, provider.token())
    async with service.operator() as acting:
        await issuers.distrust(acting.connection, tenant.slug)
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    assert (await service.client.get("/auth/me", headers=headers)).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": signed_in.json()["refresh_token"]}
    assert (await service.client.post("/auth/token", data=form)).status_code == 401
    assert (await exchange(service, tenant, provider.token())).status_code == 401


def hmac_signed(provider: LoopbackProvider) -> str:
    """A token for verifiers that take a public key for a shared secret."""
    header = b'{"alg":"HS256","kid":"first"}'
    signed = f"{to_base64url(header)}.{provider.token().split('.')[1]}"
    code = hmac.digest(provider.keys[0].as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{to_base64url(code)}"


def with_header(token: str, header: bytes) -> str:
    return ".".join([to_base64url(header), *token.split(".")[1:]])


HOSTILE: dict[str, Callable[[LoopbackProvider], str]] = {
    "no token": lambda _: "x",
    "another issuer": lambda p: p.token(iss="https://elsewhere.example"),
    "issuer with a slash": lambda p: p.token(iss=p.issuer + "/"),
    "another audience": lambda p: p.token(aud="somebody-else"),
    "no audience": lambda p: p.token(aud=None),
    "audience as an object": lambda p: p.token(aud={CLIENT: True}),
    "several audiences without azp": lambda p: p.token(aud=[CLIENT, "other"]),
    "issued to another party": lambda p: p.token(azp="other"),
    "several audiences, issued to another party": lambda p: p.token(aud=[CLIENT, "other"], azp="other"),
    "expired": lambda p: p.token(iat=int(time.time()) - 900, exp=int(time.time()) - 600),
    "no expiry": lambda p: p.token(exp=None),
    "expiry as text": lambda p: p.token(exp=str(int(time.time()) + 300)),
    "good for a year": lambda p: p.token(exp=int(time.time()) + 365 * 86_400),
    "from the future": lambda p: p.token(iat=int(time.time()) + 600, exp=int(time.time()) + 900),
    "not valid yet": lambda p: p.token(nbf=int(time.time()) + 600),
    "no subject": lambda p: p.token(sub=None),
    "subject as a number": lambda p: p.token(sub=7),
    "endless subject": lambda p: p.token(sub="s" * 256),
    "logout token": lambda p: p.token(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    "access token": lambda p: p.token(header={"typ": "at+jwt"}),
    "unknown key": lambda p: p.token(header={"kid": "other"}),
    "no key id": lambda p: p.token(header={"kid": None}),
    "key of a stranger under a known id": lambda p: p.token(key=new_key("first")),
    "key in the header": lambda p: p.token(header={"jwk": new_key("x").as_dict(private=False)}),
    "address of keys in the header": lambda p: p.token(header={"jku": p.issuer + "/evil"}),
    "certificate in the header": lambda p: p.token(header={"x5u": p.issuer + "/evil"}),
    "critical header": lambda p: p.token(header={"crit": ["exp"], "exp": 1}),
    "unencoded payload": lambda p: p.token(header={"b64": False}),
    "HMAC with the public key": hmac_signed,
    "signature cut off": lambda p: p.token().rpartition(".")[0] + ".",
    "signature changed": lambda p: p.token()[:-8] + "AAAAAAAA",
    "padding": lambda p: p.token() + "==",
    "space": lambda p: p.token() + " ",
    "another alg, same key": lambda p: with_header(p.token(), b'{"alg":"RS256","kid":"first"}'),
    "no alg": lambda p: with_header(p.token(), b'{"alg":"none","kid":"first"}'),
    "a member named twice": lambda p: with_header(p.token(), b'{"alg":"ES256","kid":"x","kid":"first"}'),
}


async def test_a_hostile_token_is_refused_in_one_shape_and_fetches_nothing_that_it_names(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    assert (await exchange(service, tenant, provider.token())).status_code == 200
    opened, bodies = [], set()
    for name, make in HOSTILE.items():
        answer = await exchange(service, tenant, make(provider))
        opened += [name] if answer.status_code != 401 else []
        bodies.add((answer.json()["error"], answer.json()["detail"]))
    assert opened == []
    assert len(bodies) == 1
    assert set(provider.asked) == {DISCOVERY, JWKS}
    assert provider.count(JWKS) == 1
    assert all(str(reason).startswith("oidc:token:") for reason in await reasons(service.database, tenant))


async def test_a_token_that_names_no_issuer_of_the_tenant_makes_us_call_nobody(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    for foreign in (
        provider.token(iss="https://x.example"),
        provider.token(aud="x"),
        provider.token(exp=int(time.time()) - 600),
    ):
        assert (await exchange(service, tenant, foreign)).status_code == 401
    assert provider.asked == []


async def test_a_login_at_the_providers_page_is_bound_to_browser_attempt_and_verifier(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    asked, cookie = await begin(service, tenant)
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == f"{PUBLIC_URL}/auth/oidc/callback"
    provider.id_token = provider.token(nonce=asked["nonce"])
    described = await me(service, await come_back(service, cookie, code="c-1", state=asked["state"]))
    assert described["roles"] == ["analyst"]
    redeemed = provider.forms[-1]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(redeemed["code_verifier"].encode()).digest()).decode()
    assert challenge.rstrip("=") == asked["code_challenge"]
    assert (redeemed["code"], redeemed["client_id"], redeemed["authorization"]) == ("c-1", CLIENT, "")


async def test_a_login_that_was_tampered_with_is_refused(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    asked, cookie = await begin(service, tenant)
    other_attempt, other_cookie = await begin(service, tenant)
    state = asked["state"]
    provider.id_token = provider.token(nonce=asked["nonce"])
    attempts = {
        "another attempt's state": (cookie, {"code": "c", "state": other_attempt["state"]}),
        "another browser's cookie": (other_cookie, {"code": "c", "state": state}),
        "no cookie": ("", {"code": "c", "state": state}),
        "a changed cookie": (cookie[:-4] + "AAAA", {"code": "c", "state": state}),
        "another provider's answer": (cookie, {"code": "c", "state": state, "iss": "https://x.example"}),
        "a denial": (cookie, {"error": "access_denied", "state": state}),
    }
    for kept, query in attempts.values():
        assert (await come_back(service, kept, **query)).status_code == 401
    for nonce in (other_attempt["nonce"], None):
        provider.id_token = provider.token(nonce=nonce)
        assert (await come_back(service, cookie, code="c", state=state)).status_code == 401
    provider.answers["/token"] = lambda: (400, b'{"error": "invalid_grant"}')
    assert (await come_back(service, cookie, code="c", state=state)).status_code == 401


async def test_a_confidential_client_proves_itself_with_a_secret_that_is_stored_encrypted(
    service: Service, provider: LoopbackProvider, run_secrets: Secrets
) -> None:
    tenant = await create_tenant(service)
    sealed = client_secret_seal(run_secrets.payload_key).close(b"s3cret")
    assert "s3cret" not in sealed
    await trust(service, tenant, provider, sealed_secret=sealed)
    asked, cookie = await begin(service, tenant)
    provider.id_token = provider.token(nonce=asked["nonce"])
    assert (await come_back(service, cookie, code="c", state=asked["state"])).status_code == 200
    assert base64.b64decode(provider.forms[-1]["authorization"].removeprefix("Basic ")) == f"{CLIENT}:s3cret".encode()


async def test_an_address_that_fails_too_often_is_told_to_wait_before_the_provider_is_asked(
    service: Service, provider: LoopbackProvider, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "PER_ADDRESS", (2, DAY))  # a window that hardly ends in the middle of this test
    cookie = {"Cookie": f"{COOKIE}=made-up"}

    async def succeed() -> httpx.Response:
        return await exchange(service, tenant, provider.token())

    async def begin() -> httpx.Response:
        return await service.client.get(f"/auth/oidc/{tenant.slug}/login")

    async def come_back() -> httpx.Response:
        return await service.client.get("/auth/oidc/callback", params={"state": "x"}, headers=cookie)

    assert [(await succeed()).status_code for _ in range(3)] == [200] * 3
    assert [(await begin()).status_code for _ in range(3)] == [302, 302, 429]
    assert [(await come_back()).status_code for _ in range(3)] == [401, 401, 429]
    asked = len(provider.asked)
    for attempt in (succeed, begin, come_back):
        refused = await attempt()
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= DAY
    assert len(provider.asked) == asked
    service.client.cookies.clear()


async def test_names_that_lead_to_no_provider_are_guessed_as_slowly_as_passwords(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "FROM_ONE_ADDRESS", (2, DAY))
    without = await create_tenant(service)

    async def begin(name: str) -> int:
        return (await service.client.get(f"/auth/oidc/{name}/login")).status_code

    assert [await begin(tenant.slug) for _ in range(4)] == [302] * 4
    assert [await begin(name) for name in ("no-such-tenant", without.slug)] == [404, 404]
    assert [await begin(name) for name in ("no-such-tenant", without.slug, tenant.slug)] == [429] * 3
    service.client.cookies.clear()


async def test_tenants_without_a_provider_and_tenants_that_do_not_exist_are_not_found_alike(service: Service) -> None:
    without = await create_tenant(service)
    answers = [await service.client.get(f"/auth/oidc/{slug}/login") for slug in (without.slug, "no-such-tenant")]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
        (404, "There is nothing here that you may see.")
    }
