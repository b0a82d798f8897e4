"""The demo's identity provider: by SCIM it keeps a user and a group in a tenant, and deactivates one who has left."""

from typing import Any

import httpx
from fastapi import FastAPI

from backend.database import Connection
from backend.identity.callers.permissions import Role
from backend.operation import issuers, provisioning

NAME = "demo-provider"
GROUP = "Risk"
_USER, _GROUP = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PEOPLE = {"dana.doe": ("Dana Doe", True), "lee.left": ("Lee Left", False)}  # with whether each still works there


async def create(owner: Connection, slug: str, domain: str) -> str:
    """Has a tenant trust a provider of its own domain, to which nothing is ever sent; returns the bearer for SCIM."""
    await issuers.trust(owner, slug, f"https://id.{domain}", "affidavit", {GROUP: Role.ANALYST})
    return await provisioning.create(owner, slug, NAME)


async def keep(app: FastAPI, tenant: dict[str, Any]) -> None:
    """Makes who is not there yet, as the provider; nobody for tenants that an earlier release began to make."""
    if "scim_bearer" not in tenant:
        return
    headers = {"Authorization": f"Bearer {tenant['scim_bearer']}", "Content-Type": "application/scim+json"}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://demo/scim/v2", headers=headers) as client:
        members = [{"value": await _person(client, name, known_as)} for name, (known_as, _) in PEOPLE.items()]
        if not await _found(client, "/Groups", f'displayName eq "{GROUP}"'):
            await _sent(client, "/Groups", {"schemas": [_GROUP], "displayName": GROUP, "members": members})
        for member, (_, works) in zip(members, PEOPLE.values(), strict=True):
            if not works:
                left = {"op": "replace", "value": {"active": False}}
                body = {"schemas": [_PATCH], "Operations": [left]}
                (await client.patch(f"/Users/{member['value']}", json=body)).raise_for_status()


async def _person(client: httpx.AsyncClient, name: str, display_name: str) -> str:
    known = await _found(client, "/Users", f'userName eq "{name}"')
    if known:
        return str(known[0]["id"])
    given, family = display_name.split()
    wanted = {
        "schemas": [_USER], "userName": name, "externalId": f"ext-{name}", "name": {"givenName": given, "familyName": family},
    }  # fmt: skip
    return str((await _sent(client, "/Users", wanted))["id"])


async def _found(client: httpx.AsyncClient, path: str, wanted: str) -> list[dict[str, Any]]:
    answer = (await client.get(path, params={"filter": wanted})).raise_for_status().json()
    found: list[dict[str, Any]] = answer.get("Resources", [])
    return found


async def _sent(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = (await client.post(path, json=body)).raise_for_status().json()
    return made
