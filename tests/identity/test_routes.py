"""Signing in, refreshing, keys and tokens over HTTP: what holds, and on which request it stops holding."""

import asyncio
import base64
import json
import time
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from jose import jws

from backend.identity.callers.permissions import ROLE_PERMISSIONS, Role
from backend.identity.sign_in import passwords
from backend.identity.sign_in.passwords import DUMMY_HASH
from backend.identity.sign_in.tokens import SigningKeys, generate_private_key_pem, public_key_pem
from tests.factories import create_key
from tests.service import PASSWORD, Secrets, Service, Tenant

pytestmark = pytest.mark.anyio


async def sign_in(service: Service, tenant: Tenant, username: str = "analyst", **changed: str) -> httpx.Response:
    form = {"username": username, "password": PASSWORD, "client_id": tenant.slug, **changed}
    return await service.client.post("/auth/token", data=form)


async def refresh(service: Service, token: str) -> httpx.Response:
    return await service.client.post("/auth/token", data={"grant_type": "refresh_token", "refresh_token": token})


async def me(service: Service, credential: str) -> httpx.Response:
    return await service.client.get("/auth/me", headers={"Authorization": f"Bearer {credential}"})


async def as_operator(service: Service, statement: str, *values: object) -> None:
    async with service.operator() as acting:
        await acting.connection.execute(statement, *values)


def without_id(answer: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


async def test_a_password_opens_a_session(service: Service, tenant: Tenant) -> None:
    answer = await sign_in(service, tenant)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 900)
    assert (await me(service, body["access_token"])).status_code == 200


async def test_a_token_says_what_the_contract_promises_and_its_key_is_published(
    service: Service, tenant: Tenant
) -> None:
    token = (await sign_in(service, tenant)).json()["access_token"]
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    assert header.keys() == {"alg", "kid", "typ"}
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    assert claims.keys() >= {"iss", "aud", "sub", "tenant", "scope", "iat", "nbf", "exp", "jti"}
    assert (claims["sub"], claims["tenant"]) == (str(tenant.users["analyst"]), str(tenant.id))
    assert claims["exp"] - claims["iat"] == 900

    published = (await service.client.get("/.well-known/jwks.json")).json()["keys"]
    key = next(key for key in published if key["kid"] == header["kid"])
    assert "d" not in key
    jws.verify(token, key, algorithms=["ES256"])


@pytest.mark.parametrize("role", ["admin", "editor", "approver", "analyst", "compliance"])
async def test_every_role_has_its_permissions_and_collections(service: Service, tenant: Tenant, role: str) -> None:
    answer = await service.get("/auth/me", tenant, role)
    body = answer.json()
    assert body["id"] == str(tenant.users[role])
    assert (body["kind"], body["name"], body["roles"]) == ("user", role, [role])
    assert body["tenant"] == {"id": str(tenant.id), "slug": tenant.slug}
    assert body["permissions"] == sorted(ROLE_PERMISSIONS[Role(role)])
    restricted = ["restricted"] if role in {"editor", "approver", "compliance"} else []
    assert body["readable_collections"] == ["default", *restricted]
    assert body["writable_collections"] == (["default", "restricted"] if role == "editor" else [])


async def test_the_partner_key_may_only_retrieve(service: Service, tenant: Tenant) -> None:
    body = (await service.get("/auth/me", tenant, "partner")).json()
    assert (body["kind"], body["roles"], body["permissions"]) == ("key", [], ["retrieval:query"])
    assert body["readable_collections"] == ["default"]
    refused = await service.post("/answer", tenant, "partner", {"question": "q"})
    assert refused.status_code == 403


@pytest.fixture(scope="module", autouse=True)
def cheap_passwords() -> None:
    """Passwords have their real cost here."""


@pytest.fixture
async def doomed(service: Service) -> Tenant:
    """A tenant whose users are disabled, and which is suspended."""
    return await service.create_tenant()


async def test_whatever_is_wrong_has_the_same_answer_after_one_hash(
    service: Service, tenant: Tenant, other_tenant: Tenant, doomed: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hash is most of the work, so that the times are the same."""
    hashed: list[str] = []
    verify = passwords._ARGON2ID.verify
    monkeypatch.setattr(passwords._ARGON2ID, "verify", lambda secret, of: hashed.append(of) or verify(secret, of))  # type: ignore[func-returns-value]
    suspended = await service.create_tenant()
    await as_operator(service, "update tenancy.tenant set status = 'suspended' where id = $1", suspended.id)
    await as_operator(service, "update identity.\"user\" set status = 'disabled' where tenant_id = $1", doomed.id)
    attempts = {
        "wrong password": (tenant, {"password": "wrong horse battery staple"}),
        "unknown user": (tenant, {"username": "nobody"}),
        "unknown tenant": (tenant, {"client_id": "no-such-tenant"}),
        "user of another tenant": (other_tenant, {"username": "nobody-here"}),
        "disabled user, right password": (doomed, {}),
        "suspended tenant, right password": (suspended, {}),
        "malformed tenant": (tenant, {"client_id": "NO TENANT!"}),
    }
    bodies = set()
    for name, (of, changed) in attempts.items():
        hashed.clear()
        answer = await sign_in(service, of, **changed)
        assert answer.status_code == 401, name
        assert answer.headers["www-authenticate"] == "Bearer"
        assert [each.rsplit("$", 2)[0] for each in hashed] == [DUMMY_HASH.rsplit("$", 2)[0]], name
        bodies.add(json.dumps(without_id(answer)))
    assert len(bodies) == 1


async def test_a_failed_sign_in_is_on_record_for_its_tenant(service: Service, tenant: Tenant) -> None:
    answer = await sign_in(service, tenant, "approver", password="not the password")
    (event,) = await service.events(tenant, request_id=answer.json()["request_id"])
    assert (event["action"], event["outcome"], event["reason"]) == ("auth:failed", "failed", "password:wrong")
    revealed = await service.get(f"/audit/events/{event['id']}", tenant, "compliance", reveal=True, reason="case 7")
    assert revealed.json()["payloads"] == {"username": "approver"}


async def test_refreshing_rotates_the_token(service: Service, tenant: Tenant) -> None:
    first = (await sign_in(service, tenant)).json()
    second = (await refresh(service, first["refresh_token"])).json()
    third = (await refresh(service, second["refresh_token"])).json()
    assert len({pair["refresh_token"] for pair in (first, second, third)}) == 3
    for pair in (first, second, third):
        assert (await me(service, pair["access_token"])).status_code == 200


async def test_a_refresh_token_that_comes_twice_ends_its_family_and_no_other(service: Service, tenant: Tenant) -> None:
    other_session = (await sign_in(service, tenant)).json()
    first = (await sign_in(service, tenant)).json()
    second = (await refresh(service, first["refresh_token"])).json()
    third = (await refresh(service, second["refresh_token"])).json()
    reused = await refresh(service, first["refresh_token"])
    assert reused.status_code == 401
    # The thief's or the owner's: nobody can tell, so both end, with the access tokens they have.
    assert (await refresh(service, third["refresh_token"])).status_code == 401
    assert (await me(service, third["access_token"])).status_code == 401
    assert (await me(service, other_session["access_token"])).status_code == 200
    assert (await refresh(service, other_session["refresh_token"])).status_code == 200
    (event,) = await service.events(tenant, request_id=reused.json()["request_id"])
    assert (event["action"], event["reason"]) == ("auth:failed", "refresh:reused")


async def test_two_tabs_that_refresh_at_once_both_stay_signed_in(service: Service, tenant: Tenant) -> None:
    token = (await sign_in(service, tenant)).json()["refresh_token"]
    pairs = [answer.json() for answer in await asyncio.gather(*(refresh(service, token) for _ in range(2)))]
    for pair in pairs:
        assert (await me(service, pair["access_token"])).status_code == 200
    assert (await refresh(service, pairs[0]["refresh_token"])).status_code == 200


async def test_a_refresh_token_that_comes_after_the_interval_ends_its_family(service: Service, tenant: Tenant) -> None:
    first = (await sign_in(service, tenant)).json()
    second = (await refresh(service, first["refresh_token"])).json()
    back = "update identity.refresh_token set used_at = used_at - interval '11 seconds' where used_at is not null"
    superuser = await asyncpg.connect(service.database.superuser_url)
    await superuser.execute(back)
    await superuser.close()
    assert (await refresh(service, first["refresh_token"])).status_code == 401
    assert (await refresh(service, second["refresh_token"])).status_code == 401


async def test_a_refresh_token_is_refused_like_a_password(service: Service, tenant: Tenant) -> None:
    wrong = await sign_in(service, tenant, password="not the password")
    token = (await sign_in(service, tenant)).json()["refresh_token"]
    for presented in (
        "afr_nonsense",
        token[:-1],
        token[:-7] + "A" * 7,
        tenant.partner_key,
        token.replace("afr", "afd"),
    ):
        assert without_id(await refresh(service, presented)) == without_id(wrong), presented


async def test_a_refresh_token_is_no_access_token(service: Service, tenant: Tenant) -> None:
    assert (await me(service, (await sign_in(service, tenant)).json()["refresh_token"])).status_code == 401


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("update identity.\"user\" set status = 'disabled' where tenant_id = $1", "user:disabled"),
        ("update tenancy.tenant set status = 'suspended' where id = $1", "tenant:suspended"),
    ],
)
async def test_who_is_disabled_is_refused_on_the_next_request(
    service: Service, doomed: Tenant, statement: str, reason: str
) -> None:
    pair = (await sign_in(service, doomed)).json()
    assert (await me(service, pair["access_token"])).status_code == 200
    await as_operator(service, statement, doomed.id)
    refused = await me(service, pair["access_token"])
    assert refused.status_code == 401
    assert (await refresh(service, pair["refresh_token"])).status_code == 401
    if reason == "tenant:suspended":
        assert (await me(service, doomed.partner_key)).status_code == 401
    await as_operator(service, "update tenancy.tenant set status = 'active' where id = $1", doomed.id)
    await as_operator(service, "update identity.\"user\" set status = 'active' where tenant_id = $1", doomed.id)
    service.forget_tokens()
    reader = await service.as_user(doomed, "compliance")
    answer = await service.client.get(f"/audit/events?request_id={refused.json()['request_id']}", headers=reader)
    (event,) = answer.json()["events"]
    assert (event["action"], event["reason"]) == ("auth:failed", reason)
    assert event["principal_id"] == str(doomed.users["analyst"])


async def test_a_role_that_is_taken_away_is_missing_on_the_next_request(service: Service, doomed: Tenant) -> None:
    token = (await sign_in(service, doomed)).json()["access_token"]
    await as_operator(service, "delete from identity.user_role where user_id = $1", doomed.users["analyst"])
    body = (await me(service, token)).json()
    assert (body["roles"], body["permissions"], body["readable_collections"]) == ([], [], [])


async def test_a_key_is_shown_once_listed_and_refused_once_revoked(service: Service, tenant: Tenant) -> None:
    created = await service.post("/auth/keys", tenant, "admin", {"name": "portal", "permissions": ["retrieval:query"]})
    assert created.status_code == 201
    key = created.json()
    assert (key["name"], key["permissions"], key["collections"]) == ("portal", ["retrieval:query"], ["default"])
    assert (await me(service, key["key"])).json()["id"] == key["id"]

    listed = await service.get("/auth/keys", tenant, "admin")
    (summary,) = [item for item in listed.json()["keys"] if item["id"] == key["id"]]
    assert (summary["name"], summary["created_by"], summary["revoked_at"]) == (
        "portal",
        str(tenant.users["admin"]),
        None,
    )
    assert key["key"] not in listed.text

    headers = await service.as_user(tenant, "admin")
    revoked = await service.client.delete(f"/auth/keys/{key['id']}", headers=headers)
    assert revoked.status_code == 204
    refused = await me(service, key["key"])
    assert refused.status_code == 401
    assert (await service.client.delete(f"/auth/keys/{key['id']}", headers=headers)).status_code == 404

    for answer, action in ((created, "key:created"), (revoked, "key:revoked")):
        (event,) = await service.events(tenant, request_id=answer.headers["x-request-id"])
        assert (event["action"], event["event"]["key"]["id"]) == (action, key["id"])
    (event,) = await service.events(tenant, request_id=refused.headers["x-request-id"])
    assert (event["action"], event["reason"], event["principal_id"]) == ("auth:failed", "key:ended", key["id"])


async def test_a_key_is_stored_only_as_a_digest(service: Service, tenant: Tenant) -> None:
    secret = (await create_key(service, tenant))["key"].split("_")[2]
    async with service.operator() as acting:
        for table in ("identity.api_key", "identity.api_key_secret", "audit.event"):
            rows = await acting.connection.fetch(f"select t::text as row from {table} t")
            assert not [row for row in rows if secret in row["row"]], table


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"permissions": ["audit:read"]}, 403),  # an administrator does not read the log, nor do its keys
        ({"permissions": ["documents:write"]}, 403),
        ({"permissions": ["users:manage", "keys:manage"]}, 201),
        ({"permissions": ["retrieval:query"], "collections": ["restricted"]}, 404),
        ({"permissions": ["retrieval:query"], "collections": ["nonesuch"]}, 404),
        ({"permissions": ["retrieval:query"], "collections": []}, 201),
        ({"permissions": ["retrieval:query"], "expires_at": "2999-01-01T00:00:00Z"}, 201),
    ],
)
async def test_a_key_can_do_no_more_than_its_creator(
    service: Service, tenant: Tenant, body: dict[str, Any], status: int
) -> None:
    answer = await service.post("/auth/keys", tenant, "admin", {"name": "n", **body})
    assert answer.status_code == status, answer.text


async def test_an_expired_key_is_refused(service: Service, doomed: Tenant) -> None:
    expires_at = "2999-01-01T00:00:00Z"
    key = (await create_key(service, doomed, expires_at=expires_at))["key"]
    assert (await me(service, key)).status_code == 200
    await as_operator(service, "update identity.api_key set expires_at = now() where tenant_id = $1", doomed.id)
    assert (await me(service, key)).status_code == 401


async def test_another_tenants_key_does_not_exist(service: Service, tenant: Tenant, other_tenant: Tenant) -> None:
    created = await create_key(service, other_tenant)
    headers = await service.as_user(tenant, "admin")
    foreign = await service.client.delete(f"/auth/keys/{created['id']}", headers=headers)
    random = await service.client.delete(f"/auth/keys/{uuid4()}", headers=headers)
    assert (foreign.status_code, without_id(foreign)) == (404, without_id(random))
    assert (await me(service, created["key"])).status_code == 200


def forged(claims: dict[str, Any], header: dict[str, Any], signature: bytes = b"\0" * 64) -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_no_other_token_is_accepted(service: Service, tenant: Tenant, run_secrets: Secrets) -> None:
    keys = SigningKeys(run_secrets.jwt_private_key)
    token = (await sign_in(service, tenant, "admin")).json()["access_token"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (await me(service, keys.sign(claims))).status_code == 200  # so that the others fail for their own reason

    header = {"alg": "ES256", "kid": keys.kid, "typ": "at+jwt"}
    public_pem = public_key_pem(run_secrets.jwt_private_key)
    signed_part = forged(claims, {**header, "alg": "HS256"}).rpartition(".")[0]
    code = hmac.HMAC(public_pem.encode(), hashes.SHA256())
    code.update(signed_part.encode())
    now = int(time.time())
    head, body, signature = token.split(".")
    tampered = forged({**claims, "tenant": str(uuid4())}, header).split(".")[1]
    hostile = {
        "alg none": forged(claims, {**header, "alg": "none"}, b""),
        "alg none, signed": forged(claims, {**header, "alg": "none"}),
        "public key as HMAC secret": f"{signed_part}.{base64.urlsafe_b64encode(code.finalize()).rstrip(b'=').decode()}",
        "no signature": f"{head}.{body}.",
        "tampered claims": f"{head}.{tampered}.{signature}",
        "tampered signature": f"{head}.{body}.{signature[:-2]}{'A' if signature[-2] != 'A' else 'B'}{signature[-1]}",
        "another key": SigningKeys(generate_private_key_pem()).sign(claims),
        "expired": keys.sign({**claims, "iat": now - 901, "nbf": now - 901, "exp": now - 1}),
        "not yet valid": keys.sign({**claims, "nbf": now + 60, "iat": now + 60, "exp": now + 900}),
        "for ever": keys.sign({**claims, "exp": now + 10**9}),
        "wrong audience": keys.sign({**claims, "aud": "another"}),
        "several audiences": keys.sign({**claims, "aud": ["affidavit", "another"]}),
        "wrong issuer": keys.sign({**claims, "iss": "another"}),
        "unknown session": keys.sign({**claims, "sid": str(uuid4())}),
        "unknown user": keys.sign({**claims, "sub": str(uuid4())}),
        "another tenant": keys.sign({**claims, "tenant": str(uuid4())}),
        "whitespace": f"{token} ",
        "two tokens": f"{token} {token}",
    }
    refused = {name: await me(service, credential) for name, credential in hostile.items()}
    assert {name: answer.status_code for name, answer in refused.items()} == dict.fromkeys(hostile, 401)
    assert len({json.dumps(without_id(answer)) for answer in refused.values()}) == 1


async def test_a_token_cannot_widen_its_scope(service: Service, tenant: Tenant, run_secrets: Secrets) -> None:
    token = await service.token(tenant, "analyst")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    wider = SigningKeys(run_secrets.jwt_private_key).sign(
        {**claims, "scope": "retrieval:query audit:read users:manage"}
    )
    assert (await me(service, wider)).json()["permissions"] == ["retrieval:query"]


async def test_a_token_of_one_tenant_with_the_users_of_another_is_refused(
    service: Service, tenant: Tenant, other_tenant: Tenant, run_secrets: Secrets
) -> None:
    claims = json.loads(base64.urlsafe_b64decode((await service.token(tenant, "admin")).split(".")[1] + "=="))
    keys = SigningKeys(run_secrets.jwt_private_key)
    for changed in ({"tenant": str(other_tenant.id)}, {"sub": str(other_tenant.users["admin"])}):
        assert (await me(service, keys.sign({**claims, **changed}))).status_code == 401


async def test_the_request_id_is_new_each_time(service: Service, tenant: Tenant) -> None:
    headers = {**await service.as_user(tenant, "analyst"), "X-Request-Id": "chosen"}
    answers = [await service.client.get("/auth/me", headers=headers) for _ in range(2)]
    assert len({UUID(answer.headers["x-request-id"]) for answer in answers}) == 2
