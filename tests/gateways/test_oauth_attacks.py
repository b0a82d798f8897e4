"""Programs that would rather stay than go, lead people elsewhere, or pass for others: what the authorization server does about them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from backend.egress import Egress
from tests.gateways.programs import (
    CALLBACK,
    AuthorizationCode,
    asking,
    browser_of,
    granted,
    let_programs_register,
    pkce,
    registered,
)
from tests.service import PASSWORD, Service, Tenant
from tests.test_egress import described, serving

pytestmark = pytest.mark.anyio

MCP = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
ELSEWHERE = "https://phishing.example/sign-in"


@pytest.fixture(autouse=True)
async def registering(service: Service) -> AsyncIterator[None]:
    before = service.services.authorization
    let_programs_register(service)
    yield
    service.exchange(authorization=before)


async def tools_of(service: Service, token: str) -> set[str] | int:
    """The names of the tools that a token is offered, or the status of the refusal."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    answer = await service.client.post("/mcp", json=message, headers={**MCP, "Authorization": f"Bearer {token}"})
    return {tool["name"] for tool in answer.json()["result"]["tools"]} if answer.is_success else answer.status_code


async def refreshed(grant: AuthorizationCode, tokens: dict[str, Any]) -> httpx.Response:
    form = {
        "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": grant.client_id,
    }  # fmt: skip
    return await grant.service.client.post("/oauth/token", data=form)


async def reasons(service: Service, tenant: Tenant) -> list[str | None]:
    return [event["reason"] for event in await service.events(tenant, action="auth:failed", limit=5)]


@dataclass
class Publisher:
    """The host of a program, which the tenant allows and takes away."""

    service: Service
    tenant: Tenant
    address: str

    @property
    def host(self) -> str:
        return self.address.removeprefix("https://")

    async def allow(self) -> None:
        answer = await self.service.post("/auth/client-hosts", self.tenant, "admin", {"host": self.host})
        assert answer.status_code in {201, 409}, answer.text

    async def take_away(self) -> None:
        headers = await self.service.as_user(self.tenant, "admin")
        answer = await self.service.client.delete(f"/auth/client-hosts/{self.host}", headers=headers)
        assert answer.status_code == 204, answer.text

    async def granted(self, path: str = "/client.json") -> AuthorizationCode:
        browser, client_id, (verifier, challenge) = (
            await browser_of(self.service, self.tenant, "analyst"),
            f"{self.address}{path}",
            pkce(),
        )
        shown = await browser.open(asking(client_id, challenge))
        assert shown.status_code == 200, shown.text
        return AuthorizationCode(self.service, client_id, (await browser.decide(shown))["code"], verifier)


@asynccontextmanager
async def publishing(service: Service, tenant: Tenant, folder: Path) -> AsyncIterator[Publisher]:
    """A host that publishes programs over TLS, some of them under ids that are spelled oddly."""
    answers: dict[str, bytes] = {}
    async with serving(folder, answers) as (address, client):
        server = service.services.authorization
        own = replace(server.clients, egress=Egress(client, own_machine=True))
        service.exchange(authorization=replace(server, clients=own))
        answers["/client.json"] = described(f"{address}/client.json", redirect_uris=[CALLBACK, ELSEWHERE])
        for number, odd in enumerate(oddly_spelled(address)):
            answers[f"/odd-{number}.json"] = described(f"{odd}/odd-{number}.json", redirect_uris=[CALLBACK])
        yield Publisher(service, tenant, address)


def oddly_spelled(address: str) -> list[str]:
    """The address of a host in other spellings that lead to the same host."""
    host = address.removeprefix("https://")
    return [f"HTTPS://{host}", f"hTTps://{host}", f" https://{host}", f"https://{host.upper()}", f"https:///{host}"]


async def test_a_program_ends_with_its_host_and_so_does_a_code_that_it_has_not_exchanged_yet(
    service: Service, tenant: Tenant, tmp_path: Path
) -> None:
    async with publishing(service, tenant, tmp_path) as publisher:
        await publisher.allow()
        grant, kept = await publisher.granted(), await publisher.granted()
        tokens = (await grant.exchange()).json()
        assert "search" in await _tools(service, tokens)
        await publisher.take_away()
        assert await tools_of(service, tokens["access_token"]) == 401
        assert (await refreshed(grant, tokens)).status_code == 400
        late = await kept.exchange()
        assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")
        assert (await reasons(service, tenant))[0] == "oauth:client_not_allowed", "its own tenant reads of it"


@pytest.mark.parametrize("during", ["the exchange of a code", "the removal of the host"])
async def test_a_code_is_exchanged_before_or_after_its_host_is_taken_away_and_never_meanwhile(
    service: Service, tenant: Tenant, tmp_path: Path, during: str
) -> None:
    """Else the session that is opened would be missed by who ends those of the host, and go on without it."""
    lock = f"hashtextextended('client hosts {tenant.id}', 0)"
    held, act = (
        (f"select pg_advisory_xact_lock_shared({lock})", "take_away")
        if during == "the exchange of a code"
        else (f"select pg_advisory_xact_lock({lock})", "exchange")
    )
    async with publishing(service, tenant, tmp_path) as publisher:
        await publisher.allow()
        grant = await publisher.granted()
        other = await asyncpg.connect(service.database.superuser_url)
        holding = other.transaction()
        await holding.start()
        await other.execute(held)  # as the other one does it
        acting = asyncio.ensure_future(grant.exchange() if act == "exchange" else publisher.take_away())
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        async with asyncio.timeout(30):
            while not acting.done() and not await other.fetchval(waiting):
                await asyncio.sleep(0.01)
        assert not acting.done()
        await holding.rollback()
        await other.close()
        await acting


async def _tools(service: Service, tokens: dict[str, Any]) -> set[str]:
    found = await tools_of(service, tokens["access_token"])
    assert isinstance(found, set)
    return found


async def test_no_other_spelling_of_an_id_lets_a_program_outlive_its_host(
    service: Service, tenant: Tenant, tmp_path: Path
) -> None:
    """Sessions are found by how the id begins: another spelling of the same host would be missed."""
    async with publishing(service, tenant, tmp_path) as publisher:
        await publisher.allow()
        browser = await browser_of(service, tenant, "analyst")
        for number, odd in enumerate(oddly_spelled(publisher.address)):
            shown = await browser.open(asking(f"{odd}/odd-{number}.json", pkce()[1]))
            assert shown.status_code == 404, odd


async def test_a_program_that_registered_ends_when_the_operator_ends_that(service: Service, tenant: Tenant) -> None:
    grant, kept = await granted(service, tenant), await granted(service, tenant)
    tokens = (await grant.exchange()).json()
    server = service.services.authorization
    service.exchange(authorization=replace(server, clients=replace(server.clients, registration=False)))
    for refused in (await refreshed(grant, tokens), await kept.exchange()):
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await reasons(service, tenant))[:2] == ["oauth:client_not_allowed"] * 2
    service.exchange(authorization=server)
    assert (await refreshed(grant, tokens)).status_code == 200, "a refusal spends nothing"


BAD = {"response_type": "token", "code_challenge": "", "scope": "audit:reveal", "resource": "https://elsewhere.example"}


@pytest.mark.parametrize("wrong", BAD)
@pytest.mark.parametrize("led_to", [ELSEWHERE, "cursor://agent/callback"])
async def test_a_person_who_clicks_nothing_is_led_nowhere_by_a_program_that_registered_itself(
    service: Service, tenant: Tenant, wrong: str, led_to: str
) -> None:
    """Else a link to the institution's own service would open any page: anybody can register one (RFC 9700, 4.11.2)."""
    client_id = await registered(service, redirect_uris=[led_to])
    browser = await browser_of(service, tenant, "analyst")
    asked = asking(client_id, pkce()[1], redirect_uri=led_to) | {wrong: BAD[wrong]}
    shown = await browser.open(asked)
    assert (shown.status_code, "location" in shown.headers) == (422, False), shown.headers
    assert led_to not in shown.text
    (denied,) = await service.events(tenant, action="client:allowed", limit=1)
    assert denied["outcome"] == "denied"


async def test_a_program_that_the_institution_allows_hears_of_its_mistake(
    service: Service, tenant: Tenant, tmp_path: Path
) -> None:
    async with publishing(service, tenant, tmp_path) as publisher:
        await publisher.allow()
        browser = await browser_of(service, tenant, "analyst")
        asked = asking(f"{publisher.address}/client.json", pkce()[1], redirect_uri=ELSEWHERE, scope="audit:reveal")
        assert (await browser.open(asked)).headers["location"].startswith(f"{ELSEWHERE}?error=invalid_scope")


@pytest.mark.parametrize(
    "name", ["Bank\u202eknaB", "Bank\u200b", "Bank\nby us", "\u2066Bank", "Bank\u00ad", "\ufeffBank"]
)
async def test_a_programs_name_is_shown_as_it_is(service: Service, name: str) -> None:
    answer = await service.client.post("/oauth/register", json={"client_name": name, "redirect_uris": [CALLBACK]})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_an_id_that_no_request_could_carry_is_not_given(service: Service) -> None:
    uris = [f"https://agent.example/{number}/{'x' * 400}" for number in range(20)]
    answer = await service.client.post("/oauth/register", json={"redirect_uris": uris})
    assert (answer.status_code, "redirect_uris" in answer.text) == (400, True)


async def test_a_program_may_never_do_more_than_its_person_may_now(service: Service, tenant: Tenant) -> None:
    await service.add_user(tenant, "mover", *())
    await _give(service, tenant, "mover", "analyst")
    grant = await granted(service, tenant, "mover", scope="retrieval:query documents:read")
    tokens = (await grant.exchange()).json()
    assert {"search", "fetch"} <= await _tools(service, tokens)
    await _give(service, tenant, "mover", "admin")
    assert "search" not in await _tools(service, tokens), "an administrator does not search"
    call = {"name": "search", "arguments": {"query": "fees"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {**MCP, "Authorization": f"Bearer {tokens['access_token']}"}
    refused = (await service.client.post("/mcp", json=message, headers=headers)).json()["result"]
    assert (refused["isError"], refused["structuredContent"]["error"]) == (True, "forbidden")
    newer = (await refreshed(grant, tokens)).json()
    assert "search" not in await _tools(service, newer), "nor by the next token"
    await _give(service, tenant, "mover", "analyst", "editor", "approver", "admin")
    gained = await _tools(service, (await refreshed(grant, newer)).json())
    assert ("search" in gained, "ask" in gained) == (True, False), "answers were never allowed to it"


async def _give(service: Service, tenant: Tenant, username: str, *roles: str) -> None:
    headers = await service.as_user(tenant, "admin")
    path = f"/users/{tenant.users[username]}/roles"
    answer = await service.client.put(path, json={"roles": list(roles)}, headers=headers)
    assert answer.status_code == 200, answer.text
    service.forget_token(tenant, username)


async def test_a_new_password_ends_programs_and_codes_that_the_old_one_allowed(
    service: Service, tenant: Tenant
) -> None:
    await service.add_user(tenant, "robbed", *())
    await _give(service, tenant, "robbed", "analyst")
    grant, kept = await granted(service, tenant, "robbed"), await granted(service, tenant, "robbed")
    tokens = (await grant.exchange()).json()
    headers = await service.as_user(tenant, "robbed")
    changed = {"old_password": PASSWORD, "new_password": "quite another long passphrase"}
    answer = await service.client.post("/auth/password", json=changed, headers=headers)
    assert answer.is_success, answer.text
    assert await tools_of(service, tokens["access_token"]) == 401
    for refused in (await refreshed(grant, tokens), await kept.exchange()):
        assert refused.status_code == 400, refused.text


async def test_a_suspended_tenants_programs_wait_with_it(service: Service) -> None:
    tenant = await service.create_tenant()
    grant, kept = await granted(service, tenant), await granted(service, tenant)
    tokens = (await grant.exchange()).json()
    async with service.operator() as acting:
        await acting.connection.execute("update tenancy.tenant set status = 'suspended' where id = $1", tenant.id)
    assert await tools_of(service, tokens["access_token"]) == 401
    for refused in (await refreshed(grant, tokens), await kept.exchange()):
        assert refused.status_code == 400, refused.text


async def test_nothing_of_another_tenant_comes_of_a_code_that_is_dressed_as_its_own(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    """What is sealed says whose a code is; the tag before it only says where its tenant is at home."""
    grant, theirs = await granted(service, tenant), await granted(service, other_tenant)
    dressed = f"{theirs.code.rpartition('.')[0]}.{grant.code.rpartition('.')[2]}"
    tokens = (await grant.exchange(code=dressed)).json()
    assert await _tools(service, tokens)
    mine = (await service.get("/auth/sessions", tenant, "analyst")).json()["sessions"]
    others = (await service.get("/auth/sessions", other_tenant, "analyst")).json()["sessions"]
    programs = [[session["client"] for session in sessions if session["client"]] for sessions in (mine, others)]
    assert (len(programs[0]) > 0, programs[1]) == (True, [])


async def test_a_program_ends_no_session_but_its_own(service: Service, tenant: Tenant) -> None:
    mine, others = await granted(service, tenant), await granted(service, tenant)
    tokens = (await others.exchange()).json()
    persons = (await service.as_user(tenant, "analyst"))["Authorization"].removeprefix("Bearer ")
    for token in (tokens["access_token"], tokens["refresh_token"], persons):
        form = {"token": token, "client_id": mine.client_id}
        assert (await service.client.post("/oauth/revoke", data=form)).status_code == 200
    assert await _tools(service, tokens)
    assert (await service.get("/auth/me", tenant, "analyst")).status_code == 200


async def test_a_program_cannot_agree_in_its_persons_name(service: Service, tenant: Tenant) -> None:
    """Neither its tokens as a cookie, nor its person's page with another's form token, nor in a frame of its own."""
    grant = await granted(service, tenant)
    tokens = (await grant.exchange()).json()
    asked = asking(grant.client_id, pkce()[1])
    for secret in (tokens["access_token"], tokens["refresh_token"]):
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(service.app), base_url="http://127.0.0.1:8000",
            cookies={"affidavit": secret, "__Host-affidavit": secret}, headers={"Authorization": f"Bearer {secret}"},
        )  # fmt: skip
        shown = await client.get("/console/authorize", params=asked)
        assert shown.status_code in {302, 303, 401}, shown.status_code
    victim, attacker = await browser_of(service, tenant, "analyst"), await browser_of(service, tenant, "editor")
    page = await attacker.open(asked)
    form = {"asked": str(httpx.QueryParams(asked)), "decision": "allow"}
    token = page.text.partition('name="form_token" value="')[2].partition('"')[0]
    assert token
    refused = await victim.client.post("/console/authorize", data=form | {"form_token": token})
    assert refused.status_code == 403
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


async def test_a_key_neither_allows_a_program_nor_a_host_of_programs(service: Service, tenant: Tenant) -> None:
    wanted = {"name": "manager", "permissions": ["keys:manage"]}
    made = await service.post("/auth/keys", tenant, "admin", wanted)
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    answer = await service.client.post("/auth/client-hosts", json={"host": "agent.example"}, headers=headers)
    assert answer.status_code == 403
    (denied,) = await service.events(tenant, action="access:denied", limit=1)
    assert denied["reason"] == "client_host:not_a_user"
