"""The authorization server, as programs, people and attackers meet it."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from backend.gateways.mcp import tools
from backend.identity.oauth import scopes
from backend.identity.sign_in.tokens import Refusal
from tests.gateways.programs import (
    CALLBACK,
    RESOURCE,
    AuthorizationCode,
    asking,
    browser_of,
    granted,
    let_programs_register,
    pkce,
    registered,
)
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

TOOLS_LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
MCP = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@pytest.fixture(scope="module", autouse=True)
async def registering(service: Service) -> None:
    let_programs_register(service)


async def at_mcp(
    service: Service, token: str, headers: dict[str, str] | None = None, body: Any = TOOLS_LIST
) -> httpx.Response:
    given = {**MCP, "Authorization": f"Bearer {token}", **(headers or {})}
    return await service.client.post("/mcp", json=body, headers=given)


async def failures(service: Service, tenant: Tenant) -> set[str | None]:
    return {event["reason"] for event in await service.events(tenant, action="auth:failed", limit=200)}


async def test_a_person_sees_who_asks_for_what_and_the_program_gets_no_more(service: Service, tenant: Tenant) -> None:
    browser, client_id, (verifier, challenge) = (
        await browser_of(service, tenant, "analyst"),
        await registered(service),
        pkce(),
    )
    shown = await browser.open(asking(client_id, challenge, scope="retrieval:query audit:read"))
    assert "Agent &lt;b&gt;Smith&lt;/b&gt;" in shown.text
    assert "Search the documents" in shown.text
    assert "audit log" not in shown.text, "an analyst reads no audit log, so it cannot give that away"
    assert "form-action 'self' http://127.0.0.1:41999;" in shown.headers["content-security-policy"]
    answer = await browser.decide(shown)
    assert (answer["state"], answer["iss"]) == ("af0ifjsldkj", "http://127.0.0.1:8000")
    tokens = (await AuthorizationCode(service, client_id, answer["code"], verifier).exchange()).json()
    assert (tokens["scope"], tokens["token_type"]) == ("retrieval:query", "Bearer")
    listed = await at_mcp(service, tokens["access_token"])
    assert {tool["name"] for tool in listed.json()["result"]["tools"]} == {
        tool.name for tool in tools.BY_NAME.values() if tool.permission == "retrieval:query"
    }
    (allowed,) = await service.events(tenant, action="client:allowed", limit=1)
    assert allowed["event"]["client"]["scope"] == ["retrieval:query"]
    sessions = (await service.get("/auth/sessions", tenant, "analyst")).json()["sessions"]
    assert "Agent <b>Smith</b>" in {session["client"] for session in sessions}


async def test_no_tool_needs_what_programs_are_not_given() -> None:
    assert {tool.permission for tool in tools.BY_NAME.values()} <= scopes.OFFERED


async def test_a_token_for_agents_opens_no_other_door(service: Service, tenant: Tenant) -> None:
    tokens = (await (await granted(service, tenant)).exchange()).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    for method, path in (("GET", "/auth/me"), ("POST", "/retrieve"), ("GET", "/v1/models"), ("GET", "/documents")):
        refused = await service.client.request(method, path, headers=headers, json={"query": "x"})
        assert refused.status_code == 401, path
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await service.client.post("/auth/token", data=form)).status_code == 401
    assert {str(Refusal.WRONG_AUDIENCE), "refresh:other_client"} <= await failures(service, tenant)
    assert (await at_mcp(service, tokens["access_token"])).status_code == 200


async def test_refresh_tokens_rotate_within_scope_and_end_with_the_family(service: Service, tenant: Tenant) -> None:
    grant = await granted(service, tenant)
    first = (await grant.exchange()).json()

    async def refresh(token: str, **changed: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": grant.client_id} | changed
        return await service.client.post("/oauth/token", data=form)

    assert (await refresh(first["refresh_token"], client_id=await registered(service))).status_code == 400
    assert (await refresh(first["refresh_token"], resource="https://elsewhere.example")).json()[
        "error"
    ] == "invalid_target"
    second = (await refresh(first["refresh_token"])).json()
    listed = (await at_mcp(service, second["access_token"])).json()["result"]["tools"]
    assert "get_document" not in {tool["name"] for tool in listed}, "documents:read was not asked for"
    third = (await refresh(second["refresh_token"])).json()
    assert (await refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert {"oauth:refresh:other_client", "oauth:resource", "refresh:reused"} <= await failures(service, tenant)
    assert (await at_mcp(service, third["access_token"])).status_code == 401, "a stolen refresh token ends the family"


@pytest.mark.parametrize("inserted", ["", "!", "\n"])
async def test_a_code_works_once_in_any_spelling_and_its_second_use_ends_what_came_of_it(
    service: Service, tenant: Tenant, inserted: str
) -> None:
    grant = await granted(service, tenant)
    tokens = (await grant.exchange()).json()
    assert (await at_mcp(service, tokens["access_token"])).status_code == 200
    again = await grant.exchange(code=grant.code[:9] + inserted + grant.code[9:])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (await at_mcp(service, tokens["access_token"])).status_code == 401
    assert "oauth:code_reused" in await failures(service, tenant)


async def test_a_program_on_ones_own_machine_may_use_any_port(service: Service, tenant: Tenant) -> None:
    browser = await browser_of(service, tenant, "analyst")
    asked = asking(await registered(service), pkce()[1], redirect_uri="http://127.0.0.1:52000/callback")
    assert (await browser.open(asked)).status_code == 200


async def test_who_does_not_agree_gives_nothing_and_that_is_on_record(service: Service, tenant: Tenant) -> None:
    browser = await browser_of(service, tenant, "analyst")
    shown = await browser.open(asking(await registered(service), pkce()[1]))
    answer = await browser.decide(shown, "deny")
    assert (answer["error"], "code" in answer) == ("access_denied", False)
    (denied,) = await service.events(tenant, action="client:allowed", limit=1)
    assert denied["outcome"] == "denied"


async def test_a_program_ends_with_its_person(service: Service, tenant: Tenant) -> None:
    await service.add_user(tenant, "leaver", *())
    await service.client.put(
        f"/users/{tenant.users['leaver']}/roles",
        json={"roles": ["analyst"]},
        headers=await service.as_user(tenant, "admin"),
    )
    grant = await granted(service, tenant, "leaver")
    late, later = await granted(service, tenant, "leaver"), await granted(service, tenant, "leaver")
    tokens = (await grant.exchange()).json()

    async def become(status: str) -> None:
        headers = await service.as_user(tenant, "admin")
        await service.client.patch(f"/users/{tenant.users['leaver']}", json={"status": status}, headers=headers)

    await become("disabled")
    assert (await at_mcp(service, tokens["access_token"])).status_code == 401
    assert (await late.exchange()).status_code == 400
    await become("active")
    assert (await later.exchange()).status_code == 400, "a code ends with the sign-in in which it was given"
    assert (await at_mcp(service, tokens["access_token"])).status_code == 401


async def test_a_token_that_is_given_back_ends_and_only_for_its_own_program(service: Service, tenant: Tenant) -> None:
    grant = await granted(service, tenant)
    tokens = (await grant.exchange()).json()
    before = len(await service.events(tenant, action="session:ended", limit=200))
    other = {"token": tokens["refresh_token"], "client_id": await registered(service)}
    assert (await service.client.post("/oauth/revoke", data=other)).status_code == 200
    assert (await at_mcp(service, tokens["access_token"])).status_code == 200
    own = {"token": tokens["refresh_token"], "client_id": grant.client_id}
    for form in (own, own, {"token": "made-up", "client_id": grant.client_id}):
        assert (await service.client.post("/oauth/revoke", data=form)).status_code == 200
    assert (await at_mcp(service, tokens["access_token"])).status_code == 401
    ended = await service.events(tenant, action="session:ended", limit=200)
    assert (len(ended), ended[0]["principal_id"]) == (before + 1, str(tenant.users["analyst"]))


async def test_an_agent_learns_where_to_get_a_token_and_which(service: Service, tenant: Tenant) -> None:
    nobody = await service.client.post("/mcp", json=TOOLS_LIST, headers=MCP)
    told = nobody.headers["www-authenticate"]
    assert nobody.status_code == 401
    address = re.search(r'resource_metadata="([^"]+)"', told)
    assert address
    resource = (await service.client.get(urlsplit(address[1]).path)).json()
    assert resource["resource"] == RESOURCE
    server = (await service.client.get("/.well-known/oauth-authorization-server")).json()
    assert resource["authorization_servers"] == [server["issuer"]]
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert all(
        server[name] is True
        for name in ("client_id_metadata_document_supported", "authorization_response_iss_parameter_supported")
    )
    tokens = (await (await granted(service, tenant, scope="retrieval:query")).exchange()).json()
    call = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "ask", "arguments": {"question": "x"}},
    }
    lacking = await at_mcp(service, tokens["access_token"], {"Mcp-Method": "tools/call", "Mcp-Name": "ask"}, call)
    assert lacking.status_code == 403
    assert 'error="insufficient_scope"' in lacking.headers["www-authenticate"]
    assert 'scope="answers:create"' in lacking.headers["www-authenticate"]


async def test_programs_register_only_where_the_operator_lets_them(service: Service, tenant: Tenant) -> None:
    known = await registered(service)
    server = service.services.authorization
    service.exchange(authorization=replace(server, clients=replace(server.clients, registration=False)))
    try:
        refused = await service.client.post("/oauth/register", json={"redirect_uris": [CALLBACK]})
        assert refused.status_code == 400
        browser = await browser_of(service, tenant, "analyst")
        assert (await browser.open(asking(known, pkce()[1]))).status_code == 404
    finally:
        service.exchange(authorization=server)


async def test_hosts_of_programs_are_allowed_and_taken_away_by_who_manages_keys(
    service: Service, tenant: Tenant
) -> None:
    added = await service.post("/auth/client-hosts", tenant, "admin", {"host": "agent.example"})
    assert added.status_code == 201, added.text
    assert (await service.post("/auth/client-hosts", tenant, "admin", {"host": "agent.example"})).status_code == 409
    assert (await service.post("/auth/client-hosts", tenant, "analyst", {"host": "evil.example"})).status_code == 403
    listed = (await service.get("/auth/client-hosts", tenant, "admin")).json()["hosts"]
    assert [host["host"] for host in listed] == ["agent.example"]
    headers = await service.as_user(tenant, "admin")
    assert (await service.client.delete("/auth/client-hosts/agent.example", headers=headers)).status_code == 204
    assert (await service.client.delete("/auth/client-hosts/agent.example", headers=headers)).status_code == 404
    changes = [e["event"]["client_host"]["change"] for e in await service.events(tenant, action="client_host:changed")]
    assert changes == ["removed", "allowed"]
