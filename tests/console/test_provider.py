"""Signing in to the console at the page of the institution's own provider."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from backend.operation.tenants import Tenants
from tests.identity.federation.federated import GROUPS, create_tenant, reasons, trust
from tests.identity.federation.loopback_provider import LoopbackProvider
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

BEGIN, CALLBACK = "/console/sign-in/provider", "/console/sign-in/callback"
EVENTS = "/console/review"


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with LoopbackProvider().serving() as started:
        yield started


@pytest.fixture(scope="module")
async def service(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    async with running(settings_for(database, run_secrets, model_home, oidc_loopback_http=True), database) as started:
        yield started


@pytest.fixture
async def tenant(service: Service, provider: LoopbackProvider) -> Tenant:
    """A tenant that trusts the provider."""
    created = await create_tenant(service)
    await trust(service, created, provider)
    return created


@asynccontextmanager
async def browsing(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        yield client


async def sent_on(client: httpx.AsyncClient, tenant: Tenant, *, named: str = "", **query: str) -> dict[str, str]:
    """What the provider is asked for, from the page that leads there."""
    page = await client.get(BEGIN, params={"tenant": named or tenant.slug, **query})
    assert page.status_code == 200, page.text
    address = page.headers["Refresh"].removeprefix("0; url=")
    assert urlsplit(address).hostname in page.text
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


async def signed_in(
    client: httpx.AsyncClient, provider: LoopbackProvider, tenant: Tenant, *, next: str = EVENTS, why: str = "", **claims: Any  # noqa: A002
) -> httpx.Response:  # fmt: skip
    asked = await sent_on(client, tenant, next=next, why=why)
    provider.id_token = provider.token(nonce=asked["nonce"], **{"groups": ["Legal"], **claims})
    return await client.get(CALLBACK, params={"state": asked["state"], "code": "a-code"})


async def test_a_provider_signs_somebody_in_and_the_browser_goes_on_to_where_it_was(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    async with browsing(service) as client:
        done = await signed_in(client, provider, tenant, next=f"{EVENTS}?action=audit:read")
        assert (done.status_code, done.headers["location"]) == (303, f"{EVENTS}?action=audit:read"), done.text
        assert provider.forms[-1]["redirect_uri"].endswith(CALLBACK)
        assert "jane.doe" in (await client.get(EVENTS)).text.lower()
        assert "affidavit-login" not in client.cookies
        assert not any("eyJ" in cookie.value for cookie in client.cookies.jar if cookie.value)  # no token


async def test_an_address_leads_to_the_provider_as_the_name_does_and_an_unknown_one_as_an_unknown_name(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    async with service.operator() as acting:
        await Tenants(acting.connection).add_domain(tenant.slug, f"{tenant.slug}.example")
    without = await create_tenant(service)
    async with browsing(service) as client:
        asked = await sent_on(client, tenant, named=f"jane@{tenant.slug}.example")
        provider.id_token = provider.token(nonce=asked["nonce"], groups=["Legal"])
        done = await client.get(CALLBACK, params={"state": asked["state"], "code": "a-code"})
        assert (done.status_code, done.headers["location"]) == (303, "/console")
        told = set()
        for named in (
            f"jane@no-{tenant.slug}.example",
            f"no-{tenant.slug}.example",
            f"no-{tenant.slug}",
            without.slug,
            "jane@",
        ):
            page = await client.get(BEGIN, params={"tenant": named})
            told.add((page.status_code, page.text.replace(f'value="{named}"', "")))
        assert [status for status, _ in told] == [404]


@pytest.mark.parametrize(
    ("proved", "step"),
    [(None, "sign in"), (3_600, "sign in"), (301, "sign in"), ("now", "sign in"), (0, "go on"), (-30, "go on")],
)
async def test_a_browser_that_the_provider_merely_knew_is_not_fresh(
    service: Service, provider: LoopbackProvider, tenant: Tenant, proved: int | str | None, step: str
) -> None:
    at = int(time.time()) - proved if isinstance(proved, int) else proved
    async with browsing(service) as client:
        await signed_in(client, provider, tenant, auth_time=at)
        page = await client.get("/console/review/exports")
        token = page.text.partition('name="form_token" value="')[2].partition('"')[0]
        answer = await client.post(
            "/console/review/exports",
            data={"form_token": token, "reason": "A yearly audit.", "begin": "2026-01-01", "end": "2026-02-01"},
        )
        leads_to_signing_in = answer.headers.get("location", "").startswith("/console/sign-in")
        assert leads_to_signing_in is (step == "sign in"), answer.text


async def test_who_must_sign_in_anew_is_asked_by_the_provider_anew(service: Service, tenant: Tenant) -> None:
    async with browsing(service) as client:
        assert {"prompt", "max_age"}.isdisjoint(await sent_on(client, tenant))
        asked = await sent_on(client, tenant, why="fresh")
        assert (asked["prompt"], asked["max_age"]) == ("login", "0")


async def test_what_does_not_belong_together_opens_nothing_and_says_what_to_do(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    async with browsing(service) as client:
        first = await sent_on(client, tenant)
        for wrong in ({}, {"state": "other", "code": "a-code"}, {"state": first["state"], "error": "access_denied"}):
            await sent_on(client, tenant)
            refused = await client.get(CALLBACK, params=wrong)
            assert refused.status_code == 401
            assert "did not sign you in here" in refused.text
            assert (await client.get(EVENTS)).status_code == 303
        assert "oidc:state" in await reasons(service.database, tenant)
        # An attempt that began at the API's address ends there, and the other way around.
        await client.get(f"/auth/oidc/{tenant.slug}/login")
        kept = {"Cookie": f"affidavit-login={client.cookies.get('affidavit-login', path='/auth/oidc')}"}
        mixed = await client.get(CALLBACK, params={"state": "x", "code": "a-code"}, headers=kept)
        assert mixed.status_code == 401
        nobodys = await client.get(BEGIN, params={"tenant": "no-such-bank"})
        assert nobodys.status_code == 404
        assert "has no page of its own" in nobodys.text


async def test_a_callback_that_is_used_twice_opens_one_session(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    async with browsing(service) as client:
        asked = await sent_on(client, tenant)
        cookies = dict(client.cookies)
        provider.id_token = provider.token(nonce=asked["nonce"])
        query = {"state": asked["state"], "code": "a-code"}
        assert (await client.get(CALLBACK, params=query)).status_code == 303
    async with browsing(service) as thief:
        thief.cookies.update(cookies)
        assert (await thief.get(CALLBACK, params=query)).status_code == 401


async def test_a_name_from_elsewhere_leads_nowhere_else(
    service: Service, provider: LoopbackProvider, tenant: Tenant
) -> None:
    assert GROUPS["Legal"]
    async with browsing(service) as client:
        done = await signed_in(client, provider, tenant, next="https://evil.example/")
        assert done.headers["location"] == "/console"
