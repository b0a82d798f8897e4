"""Pages of other origins: none may call unless a tenant's setting names it, and then for that tenant alone."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.settings import Settings
from tests.gateways.programs import browser_of
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

PORTAL, OTHER = "https://portal.example", "https://other.example"
ALLOWED = "access-control-allow-origin"


@pytest.fixture(scope="module")
async def open_service(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    origins = {"bank-of-the-portal": [PORTAL], "bank-of-another": [OTHER]}
    async with running(settings_for(database, run_secrets, model_home, cors_origins=origins), database) as started:
        yield started


@pytest.fixture(scope="module")
async def bank(open_service: Service) -> Tenant:
    return await open_service.create_tenant("bank-of-the-portal")


async def preflight(service: Service, origin: str, path: str = "/answer") -> httpx.Response:
    headers = {
        "Origin": origin, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, x-stainless-lang",
    }  # fmt: skip
    return await service.client.options(path, headers=headers)


async def asked(service: Service, bank: Tenant, origin: str) -> httpx.Response:
    headers = {**await service.as_user(bank, "analyst"), "Origin": origin}
    return await service.client.get("/auth/me", headers=headers)


async def test_no_origin_is_allowed_unless_one_is_named(service: Service, tenant: Tenant) -> None:
    refused = await preflight(service, PORTAL)
    assert (refused.status_code, ALLOWED in refused.headers) == (405, False)
    assert ALLOWED not in (await asked(service, tenant, PORTAL)).headers


async def test_a_page_of_the_tenant_may_call_and_read(open_service: Service, bank: Tenant) -> None:
    allowed = await preflight(open_service, PORTAL)
    assert (allowed.status_code, allowed.headers[ALLOWED]) == (204, PORTAL)
    assert "x-stainless-lang" in allowed.headers["access-control-allow-headers"]
    answer = await asked(open_service, bank, PORTAL)
    assert (answer.status_code, answer.headers[ALLOWED], answer.headers["vary"]) == (200, PORTAL, "Origin")
    assert "x-audit-event-id" in answer.headers["access-control-expose-headers"]
    unknown = await open_service.client.get("/auth/me", headers={"Origin": PORTAL})
    assert (unknown.status_code, unknown.headers[ALLOWED]) == (401, PORTAL)


async def test_a_page_of_another_tenant_reads_nothing(open_service: Service, bank: Tenant) -> None:
    answer = await asked(open_service, bank, OTHER)
    assert (answer.status_code, ALLOWED in answer.headers) == (200, False)


@pytest.mark.parametrize("origin", ["https://portal.example.evil.example", "http://portal.example", "null"])
async def test_an_origin_that_only_resembles_one_is_not_allowed(
    open_service: Service, bank: Tenant, origin: str
) -> None:
    assert ALLOWED not in (await preflight(open_service, origin)).headers
    assert ALLOWED not in (await asked(open_service, bank, origin)).headers


@pytest.mark.parametrize("path", ["/console", "/console/ask", "/mcp"])
async def test_pages_and_agents_are_not_for_other_origins(open_service: Service, path: str) -> None:
    assert ALLOWED not in (await preflight(open_service, PORTAL, path)).headers


async def test_cookies_never_count(open_service: Service, bank: Tenant) -> None:
    for answer in (await preflight(open_service, PORTAL), await asked(open_service, bank, PORTAL)):
        assert "access-control-allow-credentials" not in answer.headers


async def test_the_cookie_of_the_console_opens_no_other_door(service: Service, tenant: Tenant) -> None:
    browser = (await browser_of(service, tenant, "analyst")).client
    assert (await browser.get("/console/ask")).status_code == 200
    for method, path in (
        ("GET", "/auth/me"),
        ("POST", "/answer"),
        ("GET", "/v1/models"),
        ("POST", "/mcp"),
        ("GET", "/scim/v2/Users"),
    ):
        refused = await browser.request(method, path, json={"question": "What does a wire cost?"})
        assert (refused.status_code, "set-cookie" in refused.headers) == (401, False), path


@pytest.mark.parametrize("origin", ["*", "https://portal.example/", "portal.example", "https://*.example"])
def test_what_is_no_single_origin_cannot_be_set(origin: str) -> None:
    wrong: Any = {"bank": [origin]}
    with pytest.raises(ValueError, match="cors_origins"):
        Settings(cors_origins=wrong)
