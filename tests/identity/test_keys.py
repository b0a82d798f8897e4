"""API keys as principals of their own: what they may be given, from where and how often they work, and for whom."""

import asyncio
import json
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jose import jws

from backend.app import create_app
from backend.identity.callers.permissions import Role
from backend.identity.keys import api_keys
from tests.factories import create_key
from tests.service import Database, Secrets, Service, Tenant, settings_for

pytestmark = pytest.mark.anyio

QUESTION = {"query": "What is the rule?"}


async def _create(service: Service, tenant: Tenant, **asked: Any) -> httpx.Response:
    body = {"name": f"key-{uuid4().hex[:6]}", "permissions": ["retrieval:query"], **asked}
    return await service.post("/auth/keys", tenant, "admin", body)


async def _key(service: Service, tenant: Tenant, **asked: Any) -> tuple[str, str]:
    made = await create_key(service, tenant, **asked)
    return made["id"], made["key"]


async def _ask(service: Service, key: str, **headers: str) -> httpx.Response:
    return await service.client.post("/retrieve", json=QUESTION, headers={"Authorization": f"Bearer {key}", **headers})


async def _summary(service: Service, tenant: Tenant, key_id: str) -> dict[str, Any]:
    listed = (await service.get("/auth/keys", tenant, "admin")).json()["keys"]
    found: dict[str, Any] = next(key for key in listed if key["id"] == key_id)
    return found


async def test_a_key_gets_no_permission_that_its_creator_has_not(service: Service, tenant: Tenant) -> None:
    for permission in ("audit:read", "documents:write", "erasure:execute"):
        refused = await _create(service, tenant, permissions=[permission])
        assert refused.status_code == 403
        assert permission in refused.json()["detail"]
    assert (await _create(service, tenant, permissions=["documents:read", "retrieval:query"])).status_code == 201


async def test_a_key_gets_no_collection_that_its_creator_may_not_read(service: Service, tenant: Tenant) -> None:
    assert (await _create(service, tenant, collections=["restricted"])).status_code == 404
    assert (await _create(service, tenant, collections=["no-such-collection"])).status_code == 404


async def test_a_key_works_from_its_networks_only_and_the_tenant_sees_the_attempt(
    service: Service, tenant: Tenant
) -> None:
    _, here = await _key(service, tenant, allowed_networks=["127.0.0.0/8", "2001:db8::/32"])
    key_id, elsewhere = await _key(service, tenant, allowed_networks=["203.0.113.0/24"])
    assert (await _ask(service, here)).status_code == 200
    refused = await _ask(service, elsewhere)
    assert refused.status_code == 401
    unknown = await _ask(service, api_keys.mint(uuid4()).plaintext)
    assert refused.json().keys() == unknown.json().keys()
    assert refused.json()["detail"] == unknown.json()["detail"]
    event = (await service.events(tenant, actor=key_id, limit=1))[0]
    assert (event["action"], event["reason"]) == ("auth:failed", "key:network")


async def test_a_bad_network_is_named_in_the_refusal(service: Service, tenant: Tenant) -> None:
    refused = await _create(service, tenant, allowed_networks=["10.0.0.1/8"])
    assert refused.status_code == 422
    assert "allowed_networks" in refused.json()["detail"]


async def test_a_keys_rate_limit_and_daily_budget_refuse_with_the_time_to_wait(
    service: Service, tenant: Tenant
) -> None:
    for limit, longest in ({"requests_per_minute": 3}, 60), ({"requests_per_day": 3}, 86_400):
        _, key = await _key(service, tenant, **limit)
        while time.time() % 60 > 50:
            await asyncio.sleep(1)  # a window may end between two requests
        answers = [await _ask(service, key) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= longest


async def test_a_limit_holds_over_several_workers(
    service: Service, tenant: Tenant, database: Database, run_secrets: Secrets, model_home: Any
) -> None:
    _, key = await _key(service, tenant, requests_per_day=4)
    app = create_app(settings_for(database, run_secrets, model_home))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://second.test") as second:
            statuses = []
            for _ in range(3):
                for client in (service.client, second):
                    headers = {"Authorization": f"Bearer {key}"}
                    statuses.append((await client.post("/retrieve", json=QUESTION, headers=headers)).status_code)
    assert statuses == [200, 200, 200, 200, 429, 429]


async def test_a_rotated_key_has_two_live_secrets_until_the_overlap_ends(service: Service, tenant: Tenant) -> None:
    key_id, first = await _key(service, tenant)

    async def rotate(seconds: int) -> str:
        answer = await service.post(f"/auth/keys/{key_id}/rotate", tenant, "admin", {"overlap_seconds": seconds})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["key"])

    second = await rotate(3600)
    assert [(await _ask(service, key)).status_code for key in (first, second)] == [200, 200]
    assert len((await _summary(service, tenant, key_id))["lookup_ids"]) == 2
    third = await rotate(3600)
    assert [(await _ask(service, key)).status_code for key in (first, second, third)] == [401, 200, 200]
    fourth = await rotate(0)
    assert [(await _ask(service, key)).status_code for key in (second, third, fourth)] == [401, 401, 200]
    assert (await service.events(tenant, action="key:rotated", limit=1))[0]["event"]["key"]["id"] == key_id


async def test_only_its_owner_rotates_a_key(service: Service, tenant: Tenant) -> None:
    """Another manager could come to more than it has by rotating it."""
    await service.add_user(tenant, "admin2", Role.ADMIN)
    listed = (await service.get("/auth/keys", tenant, "admin")).json()["keys"]
    partner = next(key for key in listed if key["name"] == "partner")
    assert partner["owner"] == str(tenant.users["admin"])
    refused = await service.post(f"/auth/keys/{partner['id']}/rotate", tenant, "admin2", {})
    assert refused.status_code == 403


async def test_revoking_a_key_ends_all_its_secrets(service: Service, tenant: Tenant) -> None:
    key_id, first = await _key(service, tenant)
    second = (await service.post(f"/auth/keys/{key_id}/rotate", tenant, "admin", {})).json()["key"]
    headers = await service.as_user(tenant, "admin")
    assert (await service.client.delete(f"/auth/keys/{key_id}", headers=headers)).status_code == 204
    assert [(await _ask(service, key)).status_code for key in (first, second)] == [401, 401]


async def test_a_keys_last_use_is_known_to_the_minute(service: Service, tenant: Tenant) -> None:
    key_id, key = await _key(service, tenant)
    assert (await _summary(service, tenant, key_id))["last_used_at"] is None
    await _ask(service, key)
    assert (await _summary(service, tenant, key_id))["last_used_at"] is not None


async def _recorded(service: Service, tenant: Tenant, answer: httpx.Response) -> Any:
    event = (await service.get(f"/audit/events/{answer.json()['audit_event_id']}", tenant, "compliance")).json()
    return event["event"]["principal"].get("on_behalf_of")


async def test_an_end_user_that_a_key_names_is_recorded_as_asserted(service: Service, tenant: Tenant) -> None:
    _, key = await _key(service, tenant)
    answer = await _ask(service, key, **{"X-On-Behalf-Of": "customer-4711"})
    assert await _recorded(service, tenant, answer) == {"subject": "customer-4711", "assurance": "asserted"}
    assert await _recorded(service, tenant, await _ask(service, key)) is None


def _assertion(private: ec.EllipticCurvePrivateKey, headers: dict[str, str] | None = None, **changed: Any) -> str:
    now = int(time.time())
    claims = {"sub": "customer-4711", "aud": "affidavit", "iat": now, "exp": now + 60, **changed}
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return jws.sign(json.dumps(claims).encode(), pem, headers=headers or {"typ": "on-behalf-of+jwt"}, algorithm="ES256")


async def test_a_key_that_signs_end_users_takes_signed_ones_only(service: Service, tenant: Tenant) -> None:
    private, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    _, key = await _key(service, tenant, assertion_key=public)
    answer = await _ask(service, key, **{"X-On-Behalf-Of": _assertion(private)})
    assert answer.status_code == 200, answer.text
    assert await _recorded(service, tenant, answer) == {"subject": "customer-4711", "assurance": "signed"}
    now = int(time.time())
    for refused in (
        "customer-4711", _assertion(other), _assertion(private, aud="another"), _assertion(private, exp=now - 1, iat=now - 60),
        _assertion(private, exp=now + 3600), _assertion(private, iat=now + 60, exp=now + 120), _assertion(private, sub=""),
        _assertion(private, sub=7), _assertion(private, headers={"typ": "JWT"}), _assertion(private) + "=",
    ):  # fmt: skip
        assert (await _ask(service, key, **{"X-On-Behalf-Of": refused})).status_code == 401, refused


async def test_a_user_acts_for_nobody_else(service: Service, tenant: Tenant) -> None:
    headers = {**await service.as_user(tenant, "analyst"), "X-On-Behalf-Of": "somebody"}
    assert (await service.client.post("/retrieve", json=QUESTION, headers=headers)).status_code == 403


async def test_a_key_that_is_no_public_key_on_p256_is_refused(service: Service, tenant: Tenant) -> None:
    other_curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    for pem in ("no key", other_curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()):
        refused = await _create(service, tenant, assertion_key=pem)
        assert refused.status_code == 422
        assert "assertion_key" in refused.json()["detail"]
