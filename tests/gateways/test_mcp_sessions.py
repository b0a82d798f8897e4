"""Ids of sessions, for clients that want one: whoever began a session uses it, nobody else, and nothing is kept of it."""

import base64
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from backend.audit.key_encryption import derived
from tests.gateways.test_mcp_hostile import HEADERS, recorded
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

CLIENT = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "client", "version": "1"}}


async def asked(
    service: Service, tenant: Tenant, user: str, session_id: str | bytes | None, method: str, **params: Any
) -> httpx.Response:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers: dict[str, Any] = HEADERS | await service.as_user(tenant, user)
    named = {} if session_id is None else {"Mcp-Session-Id": session_id}
    return await service.client.post("/mcp", json=message, headers=headers | named)


async def begun(service: Service, tenant: Tenant, user: str) -> str:
    return (await asked(service, tenant, user, None, "initialize", **CLIENT)).headers["mcp-session-id"]


async def test_whoever_began_a_session_uses_it_for_several_requests(service: Service, tenant: Tenant) -> None:
    session_id = await begun(service, tenant, "analyst")
    for method, params in (("tools/list", {}), ("logging/setLevel", {"level": "info"}), ("tools/list", {})):
        answer = await asked(service, tenant, "analyst", session_id, method, **params)
        assert (answer.status_code, "result" in answer.json()) == (200, True), answer.text
        assert "mcp-session-id" not in answer.headers


async def test_an_id_of_somebody_else_of_yesterday_or_of_nobody_is_no_session(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    session_id = await begun(service, tenant, "analyst")
    key = service.services.settings.payload_key
    assert key is not None
    sealing = Fernet(base64.urlsafe_b64encode(derived(key.get_secret_value(), "affidavit session of agents")))
    name = f"{tenant.id} {tenant.users['analyst']}".encode()
    good = sealing.encrypt(name).decode()
    assert (await asked(service, tenant, "analyst", good, "tools/list")).status_code == 200
    old = sealing.encrypt_at_time(name, sealing.extract_timestamp(good.encode()) - 86_401).decode()
    for whose, user, presented in (
        (tenant, "editor", session_id), (other_tenant, "analyst", session_id), (tenant, "analyst", old),
        (tenant, "analyst", session_id[:-6] + "AAAA=="), (tenant, "analyst", "1"), (tenant, "analyst", b"\xff"),
    ):  # fmt: skip
        answer = await asked(service, whose, user, presented, "tools/list")
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found"), presented
        assert ("access:denied", "mcp:session") in await recorded(service, whose, answer)
