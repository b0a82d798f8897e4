"""Signing in at the page of a real provider: oidc-provider from npm, where Node and its registry can be reached."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import pytest

from backend.identity.callers.permissions import Role
from backend.operation import issuers
from tests.gateways.programs import AuthorizationCode, Browser, asking, hidden, pkce, registered
from tests.gateways.test_oauth import at_mcp
from tests.identity.federation.loopback_provider import CLIENT
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

SOURCES = Path(__file__).with_name("oidc_provider")
PUBLIC_URL = "http://127.0.0.1:8999"  # where nobody listens: the test takes the answer there itself
PEOPLE = {
    "s-1": {"preferred_username": "ada", "name": "Ada Lovelace", "groups": ["Risk"]},
    "s-2": {"preferred_username": "bob", "groups": ["Canteen"]},
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the provider and all that it needs, as locked."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node is not installed")
    folder = tmp_path_factory.mktemp("oidc_provider")
    for path in SOURCES.iterdir():
        shutil.copy(path, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=20000"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("the registry of npm is too slow")
    if done.returncode != 0:
        pytest.skip(f"npm cannot install oidc-provider: {done.stderr.strip()[:200]}")
    return folder


@pytest.fixture(scope="module")
def issuer(installed: Path) -> Iterator[str]:
    environment = {
        **os.environ,
        "CLIENT": CLIENT,
        "CALLBACKS": f"{PUBLIC_URL}/auth/oidc/callback {PUBLIC_URL}/console/sign-in/callback",
        "PEOPLE": json.dumps(PEOPLE),
    }
    process = subprocess.Popen(
        ["node", "server.mjs"], cwd=installed, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = next((line.strip() for line in process.stdout if line.startswith("http")), None)
            assert address is not None, "the provider did not start"
            yield address
        finally:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()


@pytest.fixture(scope="module")
async def service(database: Database, run_secrets: Secrets, model_home: Path, issuer: str) -> AsyncIterator[Service]:
    """Starts after the provider: while npm installs that, the service's connections would time out."""
    assert issuer
    settings = settings_for(
        database, run_secrets, model_home, oidc_loopback_http=True, oauth_registration=True, public_url=PUBLIC_URL
    )
    async with running(settings, database) as started:
        yield started


@pytest.fixture(scope="module")
async def tenant(service: Service, issuer: str) -> Tenant:
    created = await service.create_tenant()
    async with service.operator() as acting:
        await issuers.trust(
            acting.connection, created.slug, issuer, CLIENT, {"Risk": Role.ANALYST}, creates_users=True
        )  # fmt: skip
    return created


async def at_provider(address: str, person: str) -> str:
    """Fills in the provider's two forms, and returns the address at which it sends the browser back."""
    async with httpx.AsyncClient(timeout=60) as browser:
        answer = await browser.get(address)
        for _ in range(12):
            if answer.is_redirect:
                address = urljoin(address, answer.headers["Location"])
                if address.startswith(PUBLIC_URL):
                    return address
                answer = await browser.get(address)
                continue
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert prompt is not None, answer.text
            form = {"prompt": prompt.group(1), "login": person, "password": "any"}
            answer = await browser.post(address, data=form)
    raise AssertionError(address)


async def sign_in_at_provider(service: Service, tenant: Tenant, person: str) -> httpx.Response:
    """Does what a browser does: our login route, the provider's two forms, and our callback."""
    started = await service.client.get(f"/auth/oidc/{tenant.slug}/login")
    cookie = started.headers["Set-Cookie"].partition(";")[0]
    service.client.cookies.clear()
    address = await at_provider(started.headers["Location"], person)
    query = dict(parse_qsl(urlsplit(address).query))
    return await service.client.get("/auth/oidc/callback", params=query, headers={"Cookie": cookie})


async def test_a_person_of_the_provider_signs_in_with_the_roles_of_its_groups(service: Service, tenant: Tenant) -> None:
    signed_in = await sign_in_at_provider(service, tenant, "s-1")
    assert signed_in.status_code == 200, signed_in.text
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    me = (await service.client.get("/auth/me", headers=headers)).json()
    assert (me["name"], me["roles"], me["tenant"]["slug"]) == ("ada", ["analyst"], tenant.slug)
    refreshed = await service.client.post(
        "/auth/token", data={"grant_type": "refresh_token", "refresh_token": signed_in.json()["refresh_token"]}
    )
    assert refreshed.status_code == 200


async def test_a_person_of_the_provider_without_a_role_in_the_tenant_is_refused(
    service: Service, tenant: Tenant
) -> None:
    refused = await sign_in_at_provider(service, tenant, "s-2")
    assert refused.status_code == 401
    assert refused.json()["error"] == "unauthenticated"
    assert [event["reason"] for event in await service.events(tenant, action="auth:failed")][:1] == ["user:no_role"]


async def led_back(browser: Browser, tenant: Tenant, person: str, query: dict[str, str]) -> httpx.Response:
    """Brings a program's request, signs in at the tenant's provider on the way, and returns where the browser ends."""
    shown = await browser.open(query)
    assert shown.status_code == 303, "nobody is signed in"
    shown = await browser.client.get(shown.headers["location"])
    form = {"tenant": tenant.slug, "next": hidden(shown.text, "next"), "why": ""}
    shown = await browser.client.get("/console/sign-in/provider", params=form)
    assert shown.status_code == 200, shown.text
    address = await at_provider(shown.headers["Refresh"].removeprefix("0; url="), person)
    back = await browser.client.get(address)
    return await browser.client.get(back.headers["location"]) if back.is_redirect else back


@asynccontextmanager
async def browser_of(service: Service) -> AsyncIterator[Browser]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url=PUBLIC_URL) as client:
        yield Browser(client)


RESOURCE = f"{PUBLIC_URL}/mcp"


@pytest.mark.parametrize("state", ["af0ifjsldkj", "a state that says where its person was: /" * 40])
async def test_a_person_of_the_provider_lets_a_program_act_within_the_roles_of_its_groups(
    service: Service, tenant: Tenant, state: str
) -> None:
    """Nobody has a password here: the provider signs in, the service asks for consent, and the program gets its code."""
    client_id, (verifier, challenge) = await registered(service), pkce()
    scope = "retrieval:query documents:read audit:read offline_access"
    asked = asking(client_id, challenge, resource=RESOURCE, state=state, scope=scope)
    async with browser_of(service) as browser:
        shown = await led_back(browser, tenant, "s-1", asked)
        assert (shown.status_code, "Agent &lt;b&gt;Smith" in shown.text) == (200, True), shown.text
        assert "audit log" not in shown.text, "whoever is in Risk is an analyst"
        answer = await browser.decide(shown)
    assert (answer["state"], answer["iss"]) == (state, PUBLIC_URL)
    grant = AuthorizationCode(service, client_id, answer["code"], verifier)
    tokens = (await grant.exchange(resource=RESOURCE)).json()
    assert set(tokens["scope"].split()) == {"retrieval:query", "documents:read"}
    listed = (await at_mcp(service, tokens["access_token"])).json()["result"]["tools"]
    assert {"search", "fetch"} <= {tool["name"] for tool in listed}
    assert "find_events" not in {tool["name"] for tool in listed}
    (allowed,) = await service.events(tenant, action="client:allowed", limit=1)
    people = (await service.get("/users", tenant, "admin", q="ada")).json()["users"]
    assert (allowed["outcome"], allowed["principal_id"]) == ("succeeded", people[0]["id"])
    assert allowed["event"]["client"]["id"] == client_id[:300]
    await service.client.patch(
        f"/users/{people[0]['id']}", json={"status": "disabled"}, headers=await service.as_user(tenant, "admin")
    )
    assert (await at_mcp(service, tokens["access_token"])).status_code == 401
    await service.client.patch(
        f"/users/{people[0]['id']}", json={"status": "active"}, headers=await service.as_user(tenant, "admin")
    )


async def test_a_person_without_a_role_never_sees_what_a_program_asks_for(service: Service, tenant: Tenant) -> None:
    asked = asking(await registered(service), pkce()[1], resource=RESOURCE)
    async with browser_of(service) as browser:
        shown = await led_back(browser, tenant, "s-2", asked)
        assert (shown.status_code, "Agent" in shown.text) == (401, False)
        assert (await browser.open(asked)).status_code == 303, "it is still nobody"
    assert [event["reason"] for event in await service.events(tenant, action="auth:failed")][:1] == ["user:no_role"]
    denied = await service.events(tenant, action="client:allowed", limit=1)
    assert all(event["event"]["client"]["id"] != asked["client_id"][:300] for event in denied)


async def test_a_person_who_does_not_agree_gives_nothing_and_that_is_on_record(
    service: Service, tenant: Tenant
) -> None:
    client_id = await registered(service)
    async with browser_of(service) as browser:
        shown = await led_back(browser, tenant, "s-1", asking(client_id, pkce()[1], resource=RESOURCE))
        answer = await browser.decide(shown, "deny")
    assert (answer["error"], "code" in answer) == ("access_denied", False)
    (denied,) = await service.events(tenant, action="client:allowed", limit=1)
    assert (denied["outcome"], denied["event"]["client"]["id"]) == ("denied", client_id[:300])
