"""A tenant's own identity provider opens that tenant, for whom and as what the provider says, and nothing else does."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest

from backend.errors import Unavailable
from backend.identity.callers.limits import DAY
from backend.identity.callers.permissions import Role
from backend.identity.sign_in import throttle
from backend.identity.sign_in.compact_jws import to_base64url
from backend.identity.sign_in.oidc_routes import COOKIE
from backend.identity.sign_in.providers import MAX_AGE_SECONDS, MAX_BYTES, MIN_INTERVAL_SECONDS, Providers
from backend.identity.sign_in.seal import client_secret_seal
from backend.operation import issuers
from backend.operation.service import OperatorError
from tests.conftest import Database, Secrets, Service, Tenant, running, settings_for
from tests.identity.loopback_provider import CLIENT, DISCOVERY, JWKS, LoopbackProvider, new_key

pytestmark = pytest.mark.anyio

GROUPS = {"Risk": Role.ANALYST, "Legal": Role.COMPLIANCE}
PUBLIC_URL = "https://affidavit.example"


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with LoopbackProvider().serving() as serving:
        yield serving


@pytest.fixture(scope="module")
async def service(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    settings = settings_for(database, run_secrets, model_home, oidc_loopback_http=True, public_url=PUBLIC_URL)
    async with running(settings, database) as started:
        yield started


async def create_tenant(service: Service) -> Tenant:
    """A tenant without users of its own but a compliance officer, who reads its log."""
    slug = f"tenant-{secrets.token_hex(4)}"
    async with service.operator() as acting:
        tenant_id = await acting.create_tenant(slug, slug)
    return Tenant(tenant_id, slug, "", {})


@pytest.fixture
async def tenant(service: Service, provider: LoopbackProvider) -> Tenant:
    """A tenant that trusts the provider."""
    created = await create_tenant(service)
    await trust(service, created, provider)
    return created


async def trust(service: Service, tenant: Tenant, provider: LoopbackProvider, **changed: Any) -> None:
    wanted = {"client_id": CLIENT, "role_of_group": GROUPS, "creates_users": True, **changed}
    async with service.operator() as acting:
        await issuers.trust(acting.connection, tenant.slug, provider.issuer, **wanted)


async def exchange(service: Service, tenant: Tenant, token: str) -> httpx.Response:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": token,
        "client_id": tenant.slug,
    }
    return await service.client.post("/auth/token", data=form)


async def me(service: Service, signed_in: httpx.Response) -> dict[str, Any]:
    assert signed_in.status_code == 200, signed_in.text
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    answer = await service.client.get("/auth/me", headers=headers)
    assert answer.status_code == 200
    described: dict[str, Any] = answer.json()
    return described


async def reasons(database: Database, tenant: Tenant) -> list[str | None]:
    """Why the tenant's log says that something was refused, newest first."""
    connection = await asyncpg.connect(database.superuser_url)
    rows = await connection.fetch(
        "select envelope::jsonb ->> 'reason' as reason from audit.event where tenant_id = $1 and outcome <> 'succeeded'"
        " order by id desc",
        tenant.id,
    )
    await connection.close()
    return [row["reason"] for row in rows]


async def test_a_first_sign_in_creates_a_user_with_the_roles_of_its_groups(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    described = await me(service, await exchange(service, tenant, provider.token()))
    assert (described["name"], described["roles"]) == ("jane.doe", ["analyst"])
    again = await me(service, await exchange(service, tenant, provider.token(preferred_username="renamed")))
    assert again["id"] == described["id"]


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
    async with service.operator() as acting:
        await acting.create_user(strict.id, "jane", "correct horse battery staple", [Role.ANALYST])
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


NOW = int(time.time())
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
    "expired": lambda p: p.token(iat=NOW - 900, exp=NOW - 600),
    "no expiry": lambda p: p.token(exp=None),
    "expiry as text": lambda p: p.token(exp=str(NOW + 300)),
    "good for a year": lambda p: p.token(exp=NOW + 365 * 86_400),
    "from the future": lambda p: p.token(iat=NOW + 600, exp=NOW + 900),
    "not valid yet": lambda p: p.token(nbf=NOW + 600),
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
    for foreign in (provider.token(iss="https://x.example"), provider.token(aud="x"), provider.token(exp=NOW - 600)):
        assert (await exchange(service, tenant, foreign)).status_code == 401
    assert provider.asked == []


class Clock:
    """A clock that tests move on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def providers(clock: Clock) -> AsyncIterator[Providers]:
    async with httpx.AsyncClient() as client:
        yield Providers(client, loopback_http=True, clock=clock)


async def test_a_new_key_is_fetched_when_a_token_names_it_and_not_more_often_than_allowed(
    provider: LoopbackProvider, providers: Providers, clock: Clock
) -> None:
    assert await providers.key(provider.issuer, "first") is not None
    provider.keys = [new_key("second", "RS256")]
    assert await providers.key(provider.issuer, "second") is None
    clock.now += MIN_INTERVAL_SECONDS + 1
    assert await providers.key(provider.issuer, "second") is not None
    assert await providers.key(provider.issuer, "first") is None
    for _ in range(20):
        assert await providers.key(provider.issuer, "invented") is None
    assert provider.count(JWKS) == 2


async def test_keys_are_not_believed_beyond_their_age_when_the_provider_is_away(
    provider: LoopbackProvider, providers: Providers, clock: Clock
) -> None:
    assert await providers.key(provider.issuer, "first") is not None
    provider.answers[DISCOVERY] = lambda: (503, b"{}")
    clock.now += MAX_AGE_SECONDS - 1
    assert await providers.key(provider.issuer, "first") is not None
    clock.now += 2
    for _ in range(5):
        with pytest.raises(Unavailable):
            await providers.key(provider.issuer, "first")
    assert provider.count(DISCOVERY) == 2
    del provider.answers[DISCOVERY]
    clock.now += MIN_INTERVAL_SECONDS + 1
    assert await providers.key(provider.issuer, "first") is not None


def published_keys(*keys: dict[str, Any]) -> Callable[[], tuple[int, bytes]]:
    return lambda: (200, json.dumps({"keys": list(keys)}).encode())


BROKEN: dict[str, Callable[[LoopbackProvider], tuple[str, Callable[[], tuple[int, bytes]]]]] = {
    "not JSON": lambda _: (DISCOVERY, lambda: (200, b"<html>")),
    "a list": lambda _: (DISCOVERY, lambda: (200, b"[]")),
    "a redirect": lambda p: (DISCOVERY, lambda: (302, json.dumps(p.metadata()).encode())),
    "another issuer": lambda p: (
        DISCOVERY,
        lambda: (200, json.dumps({**p.metadata(), "issuer": "https://x.example"}).encode()),
    ),
    "keys over http elsewhere": lambda p: (
        DISCOVERY,
        lambda: (200, json.dumps({**p.metadata(), "jwks_uri": "http://192.0.2.1/jwks"}).encode()),
    ),
    "keys in a file": lambda p: (
        DISCOVERY,
        lambda: (200, json.dumps({**p.metadata(), "jwks_uri": "file:///etc/passwd"}).encode()),
    ),
    "too large": lambda _: (JWKS, lambda: (200, b'{"keys": [' + b" " * MAX_BYTES + b"]}")),
    "too many keys": lambda p: (JWKS, published_keys(*[p.keys[0].as_dict(private=False)] * 51)),
    "two keys of one id": lambda p: (
        JWKS,
        published_keys(p.keys[0].as_dict(private=False), new_key("first").as_dict(private=False)),
    ),
    "a private key": lambda p: (JWKS, published_keys(p.keys[0].as_dict(private=True))),
    "a symmetric key": lambda _: (JWKS, published_keys({"kty": "oct", "k": "c2VjcmV0", "kid": "first"})),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_provider_that_publishes_what_it_must_not_opens_nothing(
    service: Service, provider: LoopbackProvider, tenant: Tenant, name: str
) -> None:
    path, answer = BROKEN[name](provider)
    provider.answers[path] = answer
    refused = await exchange(service, tenant, provider.token())
    assert refused.status_code == 503
    assert refused.json()["error"] == "unavailable"
    assert "/elsewhere" not in provider.asked


async def test_http_is_for_this_machine_only_and_only_where_it_is_asked_for(provider: LoopbackProvider) -> None:
    async with httpx.AsyncClient() as client:
        strict = Providers(client, loopback_http=False)
        with pytest.raises(Unavailable):
            await strict.published(provider.issuer)
    assert provider.asked == []


@pytest.mark.parametrize(
    "changed",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"alg": "ES384"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"crv": "secp256k1"},
        {"kty": "OKP"},
        {"x": "AA"},
    ],
)
async def test_a_key_that_is_not_for_signatures_verifies_none(
    provider: LoopbackProvider, providers: Providers, changed: dict[str, Any]
) -> None:
    provider.answers[JWKS] = published_keys({**provider.keys[0].as_dict(private=False), **changed})
    assert await providers.key(provider.issuer, "first") is None


async def begin(service: Service, tenant: Tenant) -> tuple[dict[str, str], str]:
    """Starts at our login route; returns what we ask the provider for, and the cookie."""
    answer = await service.client.get(f"/auth/oidc/{tenant.slug}/login")
    assert answer.status_code == 302
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    kept = answer.headers["Set-Cookie"]
    assert all(part in kept for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/auth/oidc"))
    service.client.cookies.clear()
    return asked, kept.partition(";")[0]


async def come_back(service: Service, cookie: str, **query: str) -> httpx.Response:
    answer = await service.client.get("/auth/oidc/callback", params=query, headers={"Cookie": cookie})
    service.client.cookies.clear()
    return answer


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


async def test_tenants_without_a_provider_and_tenants_that_do_not_exist_are_not_found_alike(service: Service) -> None:
    without = await create_tenant(service)
    answers = [await service.client.get(f"/auth/oidc/{slug}/login") for slug in (without.slug, "no-such-tenant")]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
        (404, "There is nothing here that you may see.")
    }
