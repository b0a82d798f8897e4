"""What a provider says opens a tenant once, while it is true, and to whoever it is about."""

import asyncio
import base64
import secrets
import time
from collections import Counter
from typing import Any
from urllib.parse import unquote_plus

import httpx
import pytest

from backend.identity.callers.permissions import Role
from backend.identity.sign_in.id_tokens import LEEWAY_SECONDS, MAX_AGE_SECONDS
from backend.identity.sign_in.seal import client_secret_seal
from backend.operation import issuers
from tests.identity.federation.federated import (
    begin,
    come_back,
    create_tenant,
    exchange,
    me,
    reasons,
    trust,
)
from tests.identity.federation.loopback_provider import CLIENT, LoopbackProvider
from tests.service import Secrets, Service, Tenant

pytestmark = pytest.mark.anyio

HOUR = 3600
SECRET = "p+a/s=s w%rd:&é"


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def at_once(service: Service, tenant: Tenant, *tokens: str) -> list[httpx.Response]:
    return list(await asyncio.gather(*(exchange(service, tenant, token) for token in tokens)))


async def test_strangers_with_one_preferred_name_sign_in_at_once_and_are_different_users(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    answers = await at_once(service, tenant, *(provider.token(sub=f"subject-{n}") for n in range(6)))
    assert statuses(answers) == {200: 6}
    described = [await me(service, answer) for answer in answers]
    assert len({user["id"] for user in described}) == 6
    assert sorted(user["name"].partition("-")[0] for user in described) == ["jane.doe"] + ["oidc"] * 5


async def test_the_first_sign_ins_of_one_person_at_once_are_one_user(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    answers = await at_once(service, tenant, *(provider.token() for _ in range(6)))
    assert statuses(answers) == {200: 6}
    assert len({(await me(service, answer))["id"] for answer in answers}) == 1


async def test_an_id_token_opens_one_session_however_often_and_fast_it_comes(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    token = provider.token()
    assert statuses(await at_once(service, tenant, *[token] * 5)) == {200: 1, 401: 4}
    assert (await exchange(service, tenant, token)).status_code == 401
    assert set(await reasons(service.database, tenant)) == {"oidc:used"}


async def test_the_answer_of_a_provider_is_taken_once_also_when_the_provider_gives_two_tokens_for_its_code(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    asked, cookie = await begin(service, tenant)
    provider.id_token = provider.token(nonce=asked["nonce"])
    answers = await asyncio.gather(*(come_back(service, cookie, code="c", state=asked["state"]) for _ in range(4)))
    assert statuses(list(answers)) == {200: 1, 401: 3}
    provider.id_token = provider.token(nonce=asked["nonce"])
    assert (await come_back(service, cookie, code="c-2", state=asked["state"])).status_code == 401
    assert len(provider.forms) == 1


async def test_an_older_token_gives_no_role_back_that_was_taken_away(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    now = int(time.time())
    assert (await exchange(service, tenant, provider.token(groups=["Staff"], iat=now - 20))).status_code == 200
    kept_back = provider.token(groups=["Staff"], iat=now - 10)
    analyst = await exchange(service, tenant, provider.token(iat=now - 5))
    assert (await exchange(service, tenant, kept_back)).status_code == 401
    assert (await me(service, analyst))["roles"] == ["analyst"]
    assert await reasons(service.database, tenant) == ["oidc:token:superseded"]


async def test_of_an_old_and_a_new_token_at_once_the_new_one_decides(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    now = int(time.time())
    signed_in = await exchange(service, tenant, provider.token(iat=now - 30))
    for second in range(5):
        old = provider.token(groups=["Staff"], iat=now - 29 + 2 * second)
        await at_once(service, tenant, old, provider.token(iat=now - 28 + 2 * second))
        assert (await me(service, signed_in))["roles"] == ["analyst"]


@pytest.mark.parametrize(
    ("issued", "expires", "status"),
    [
        (-MAX_AGE_SECONDS + 10, HOUR, 200),
        (-MAX_AGE_SECONDS - LEEWAY_SECONDS - 10, HOUR, 401),
        (-12 * HOUR, 12 * HOUR - 1, 401),
        (LEEWAY_SECONDS - 10, HOUR, 200),
        (LEEWAY_SECONDS + 10, HOUR, 401),
        (-300, -LEEWAY_SECONDS + 10, 200),
        (-300, -LEEWAY_SECONDS - 10, 401),
    ],
)
async def test_a_token_is_good_for_minutes_and_clocks_may_differ_by_one(
    service: Service, provider: LoopbackProvider, tenant: Tenant, issued: int, expires: int, status: int
) -> None:
    now = int(time.time())
    answer = await exchange(service, tenant, provider.token(iat=now + issued, exp=now + expires))
    assert answer.status_code == status


@pytest.mark.parametrize(
    "overage",
    [
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example/me"}}},
        {"hasgroups": True},
    ],
)
async def test_groups_that_do_not_fit_into_the_token_are_no_reason_to_take_roles_away(
    service: Service, provider: LoopbackProvider, tenant: Tenant, overage: dict[str, Any]
) -> None:
    signed_in = await exchange(service, tenant, provider.token())
    refused = await exchange(service, tenant, provider.token(groups=None, **overage))
    assert refused.status_code == 401
    assert "overage" in refused.json()["detail"]
    assert await reasons(service.database, tenant) == ["oidc:groups_overage"]
    assert (await me(service, signed_in))["roles"] == ["analyst"]


@pytest.mark.parametrize("methods", [None, ["client_secret_basic", "client_secret_post"], ["client_secret_post"]])
async def test_a_secret_of_any_characters_reaches_the_provider_as_it_announces(
    service: Service, provider: LoopbackProvider, run_secrets: Secrets, methods: list[str] | None
) -> None:
    provider.announced["token_endpoint_auth_methods_supported"] = methods
    tenant = await create_tenant(service)
    sealed = client_secret_seal(run_secrets.payload_key).close(SECRET.encode())
    await trust(service, tenant, provider, sealed_secret=sealed)
    asked, cookie = await begin(service, tenant)
    provider.id_token = provider.token(nonce=asked["nonce"])
    assert (await come_back(service, cookie, code="c", state=asked["state"])).status_code == 200
    form = provider.forms[-1]
    if methods == ["client_secret_post"]:
        assert (form["client_id"], form["client_secret"], form["authorization"]) == (CLIENT, SECRET, "")
    else:
        sent = base64.b64decode(form["authorization"].removeprefix("Basic ")).decode()
        assert [unquote_plus(part) for part in sent.split(":")] == [CLIENT, SECRET]
        assert "client_secret" not in form


async def test_distrust_ends_the_keys_of_all_who_came_through_the_issuer(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    signed_in = await exchange(service, tenant, provider.token(groups=["Staff"]))
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    wanted = {"name": "portal", "permissions": ["retrieval:query"]}
    key = (await service.client.post("/auth/keys", json=wanted, headers=headers)).json()
    with_key = {"Authorization": f"Bearer {key['key']}"}
    assert (await service.client.get("/auth/me", headers=with_key)).status_code == 200
    async with service.operator() as acting:
        await issuers.distrust(acting.connection, tenant.slug)
    await service.add_user(tenant, "own", Role.ADMIN)
    assert (await service.client.get("/auth/me", headers=with_key)).status_code == 401
    own = await service.as_user(tenant, "own")
    listed = (await service.client.get("/auth/keys", headers=own)).json()["keys"]
    assert [item["suspended_at"] is not None for item in listed if item["id"] == key["id"]] == [True]


async def test_nobody_slips_in_while_the_issuer_is_distrusted(service: Service, provider: LoopbackProvider) -> None:
    for attempt in range(6):
        tenant = await create_tenant(service)
        await trust(service, tenant, provider, client_id=f"client-{secrets.token_hex(4)}-{attempt}")

        async def distrust(slug: str = tenant.slug, pause: float = 0.004 * attempt) -> None:
            await asyncio.sleep(pause)
            async with service.operator() as acting:
                await issuers.distrust(acting.connection, slug)

        client = await _client_of(service, tenant)
        tokens = [provider.token(aud=client, sub=f"s-{n % 3}", preferred_username=f"p{n % 3}") for n in range(6)]
        *answers, _ = await asyncio.gather(*(exchange(service, tenant, token) for token in tokens), distrust())
        assert statuses(answers).keys() <= {200, 401}
        for answer in answers:
            if answer.status_code == 200:
                headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
                assert (await service.client.get("/auth/me", headers=headers)).status_code == 401


async def _client_of(service: Service, tenant: Tenant) -> str:
    async with service.operator() as acting:
        client: str = await acting.connection.fetchval(
            "select client_id from identity.issuer where tenant_id = $1", tenant.id
        )
    return client
