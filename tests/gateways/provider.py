"""A tenant's provider as a SCIM client: its bearer, and what it sends."""

from dataclasses import dataclass
from typing import Any

import httpx

from backend.identity.callers.permissions import Role
from backend.operation import issuers, provisioning
from tests.service import Service, Tenant

USER, GROUP = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
GROUPS = {"Risk": Role.ANALYST, "Legal": Role.COMPLIANCE, "00g-editors": Role.EDITOR}


@dataclass(frozen=True)
class Provider:
    """Speaks for the provider of one tenant."""

    service: Service
    tenant: Tenant
    bearer: str

    async def ask(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.bearer}", "Content-Type": "application/scim+json"}
        return await self.service.client.request(method, f"/scim/v2{path}", json=body, params=params, headers=headers)

    async def user(self, name: str, /, **more: Any) -> dict[str, Any]:
        """A new user."""
        made = await self.ask("POST", "/Users", {"schemas": [USER], "userName": name, **more})
        assert made.status_code == 201, made.text
        user: dict[str, Any] = made.json()
        return user

    async def group(self, name: str, /, *members: str, **more: Any) -> dict[str, Any]:
        """A new group of users."""
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": member} for member in members], **more}
        made = await self.ask("POST", "/Groups", body)
        assert made.status_code == 201, made.text
        group: dict[str, Any] = made.json()
        return group

    async def patch(self, path: str, *operations: dict[str, Any]) -> httpx.Response:
        return await self.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    async def roles(self, user_id: str) -> list[str]:
        """The roles of a user as its administrator sees them."""
        answer = await self.service.get(f"/users/{user_id}", self.tenant, "admin")
        assert answer.status_code == 200, answer.text
        roles: list[str] = answer.json()["roles"]
        return roles


async def provider_of(
    service: Service, tenant: Tenant, issuer: str | None = None, client: str = "affidavit"
) -> Provider:
    """Has a tenant trust a provider, and gives that a bearer."""
    async with service.operator() as acting:
        issuer = issuer or f"https://{tenant.slug}.id.example"
        await issuers.trust(acting.connection, tenant.slug, issuer, client, GROUPS, creates_users=True)
        bearer = await provisioning.create(acting.connection, tenant.slug, f"bearer of {tenant.slug}")
    return Provider(service, tenant, bearer)
