"""Signing in to the service through a provider, as tests of it do that."""

import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx

from backend.identity.callers.permissions import Role
from backend.operation import issuers
from tests.identity.federation.loopback_provider import CLIENT, LoopbackProvider
from tests.service import Database, Service, Tenant

GROUPS = {"Risk": Role.ANALYST, "Legal": Role.COMPLIANCE, "Staff": Role.ADMIN}
PUBLIC_URL = "https://affidavit.example"


async def create_tenant(service: Service) -> Tenant:
    """A tenant without users of its own but a compliance officer, who reads its log."""
    slug = f"tenant-{secrets.token_hex(4)}"
    async with service.operator() as acting:
        tenant_id = await acting.create_tenant(slug, slug)
    return Tenant(tenant_id, slug, "", {})


async def trust(service: Service, tenant: Tenant, provider: LoopbackProvider, **changed: Any) -> None:
    wanted = {"client_id": CLIENT, "role_of_group": GROUPS, "creates_users": True, **changed}
    async with service.operator() as acting:
        await issuers.trust(acting.connection, tenant.slug, provider.issuer, **wanted)


async def exchange(service: Service, tenant: Tenant, token: str) -> httpx.Response:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": token,
        "client_id": tenant.slug,
    }
    return await service.client.post("/auth/token", data=form)


async def me(service: Service, signed_in: httpx.Response) -> dict[str, Any]:
    assert signed_in.status_code == 200, signed_in.text
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    answer = await service.client.get("/auth/me", headers=headers)
    assert answer.status_code == 200
    described: dict[str, Any] = answer.json()
    return described


async def reasons(database: Database, tenant: Tenant) -> list[str | None]:
    """Why the tenant's log says that something was refused, newest first."""
    connection = await asyncpg.connect(database.superuser_url)
    rows = await connection.fetch(
        "select envelope::jsonb ->> 'reason' as reason from audit.event where tenant_id = $1 and outcome <> 'succeeded'"
        " order by id desc",
        tenant.id,
    )
    await connection.close()
    return [row["reason"] for row in rows]


async def begin(service: Service, tenant: Tenant) -> tuple[dict[str, str], str]:
    """Starts at our login route; returns what we ask the provider for, and the cookie."""
    answer = await service.client.get(f"/auth/oidc/{tenant.slug}/login")
    assert answer.status_code == 302
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    kept = answer.headers["Set-Cookie"]
    assert all(part in kept for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/auth/oidc"))
    service.client.cookies.clear()
    return asked, kept.partition(";")[0]


async def come_back(service: Service, cookie: str, **query: str) -> httpx.Response:
    answer = await service.client.get("/auth/oidc/callback", params=query, headers={"Cookie": cookie})
    service.client.cookies.clear()
    return answer
