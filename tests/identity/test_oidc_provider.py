"""Signing in at the page of a real provider: oidc-provider from npm, where Node and its registry can be reached."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import pytest

from backend.identity.callers.permissions import Role
from backend.operation import issuers
from tests.conftest import Database, Secrets, Service, Tenant, running, settings_for
from tests.identity.loopback_provider import CLIENT

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
        "CALLBACK": f"{PUBLIC_URL}/auth/oidc/callback",
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
                process.wait(5)
            process.kill()


@pytest.fixture(scope="module")
async def service(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    settings = settings_for(database, run_secrets, model_home, oidc_loopback_http=True, public_url=PUBLIC_URL)
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


async def sign_in_at_provider(service: Service, tenant: Tenant, person: str) -> httpx.Response:
    """Does what a browser does: our login route, the provider's two forms, and our callback."""
    started = await service.client.get(f"/auth/oidc/{tenant.slug}/login")
    cookie = started.headers["Set-Cookie"].partition(";")[0]
    service.client.cookies.clear()
    async with httpx.AsyncClient() as browser:
        answer, address = await browser.get(started.headers["Location"]), started.headers["Location"]
        for _ in range(12):
            if answer.is_redirect:
                address = urljoin(address, answer.headers["Location"])
                if address.startswith(PUBLIC_URL):
                    break
                answer = await browser.get(address)
                continue
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert prompt is not None, answer.text
            form = {"prompt": prompt.group(1), "login": person, "password": "any"}
            answer = await browser.post(address, data=form)
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
