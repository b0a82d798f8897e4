"""Whom a tenant's provider keeps here signs in as that user, with the roles of its groups, and is out when the provider says so."""

import asyncpg
import pytest

from backend.database import open_pool
from backend.operation import issuers
from backend.tenancy import Claims, ContextSigner, Tenancy
from tests.gateways.provider import Provider, provider_of
from tests.identity.federation.federated import exchange, me, reasons
from tests.identity.federation.loopback_provider import CLIENT, LoopbackProvider
from tests.service import Secrets, Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def provider(service: Service, loopback: LoopbackProvider) -> Provider:
    return await provider_of(service, await service.create_tenant(), loopback.issuer, CLIENT)


async def test_who_was_provisioned_signs_in_as_that_user_with_the_roles_of_its_groups_here(
    service: Service, loopback: LoopbackProvider, provider: Provider
) -> None:
    user = await provider.user("dana", externalId="subject-1")
    await provider.group("Legal", user["id"])
    described = await me(service, await exchange(service, provider.tenant, loopback.token(groups=["Risk"])))
    assert (described["id"], described["name"], described["roles"]) == (user["id"], "dana", ["compliance"])
    entra = await provider.user("erin", externalId="object-7")
    await provider.group("Risk", entra["id"])
    described = await me(
        service, await exchange(service, provider.tenant, loopback.token(sub="pairwise", oid="object-7"))
    )
    assert (described["id"], described["roles"]) == (entra["id"], ["analyst"])
    moved = await provider.patch(f"/Users/{user['id']}", {"op": "replace", "path": "externalId", "value": "attacker"})
    assert moved.status_code == 200
    stranger = await me(service, await exchange(service, provider.tenant, loopback.token(sub="attacker")))
    assert stranger["id"] != user["id"], "who has signed in stays the subject that it was"


async def test_without_a_group_that_stands_for_a_role_nobody_is_let_in(
    service: Service, loopback: LoopbackProvider, provider: Provider
) -> None:
    await provider.user("dana", externalId="subject-1")
    assert (await exchange(service, provider.tenant, loopback.token(groups=["Risk"]))).status_code == 401
    assert "user:no_role" in await reasons(service.database, provider.tenant)


async def test_who_signed_in_before_is_taken_over_and_not_doubled(
    service: Service, loopback: LoopbackProvider, provider: Provider
) -> None:
    described = await me(service, await exchange(service, provider.tenant, loopback.token()))
    user = await provider.user("Jane.Doe@bank.example", externalId="subject-1")
    assert user["id"] == described["id"]
    assert await provider.roles(user["id"]) == [], "the provider has said nothing of its groups here yet"


async def test_deprovisioning_holds_at_the_next_request_and_ends_keys(
    service: Service, loopback: LoopbackProvider, provider: Provider
) -> None:
    user = await provider.user("dana", externalId="subject-1")
    group = await provider.group("Risk", user["id"])
    signed_in = await exchange(service, provider.tenant, loopback.token())
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    question = {"query": "Which rule?"}
    assert (await service.client.post("/retrieve", json=question, headers=headers)).status_code == 200
    owner = await asyncpg.connect(service.database.superuser_url)
    await owner.execute(
        "update identity.api_key set owner_id = $1 where tenant_id = $2", user["id"], provider.tenant.id
    )
    assert (await service.post("/retrieve", provider.tenant, "partner", question)).status_code == 200
    await provider.patch(f"/Groups/{group['id']}", {"op": "remove", "path": f'members[value eq "{user["id"]}"]'})
    assert (await service.client.post("/retrieve", json=question, headers=headers)).status_code == 403
    await provider.patch(f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": [{"value": user["id"]}]})
    assert (await service.client.post("/retrieve", json=question, headers=headers)).status_code == 200
    await provider.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": False}})
    assert (await service.client.post("/retrieve", json=question, headers=headers)).status_code == 401
    assert (await service.post("/retrieve", provider.tenant, "partner", question)).status_code == 401
    renewed = {"grant_type": "refresh_token", "refresh_token": signed_in.json()["refresh_token"]}
    assert (await service.client.post("/auth/token", data=renewed)).status_code == 401
    assert (await exchange(service, provider.tenant, loopback.token(jti="2"))).status_code == 401
    await provider.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": True}})
    assert (await service.client.post("/retrieve", json=question, headers=headers)).status_code == 401, "ended for good"
    assert (await exchange(service, provider.tenant, loopback.token(jti="3"))).status_code == 200
    await provider.ask("DELETE", f"/Users/{user['id']}")
    revoked = await owner.fetchval("select revoked_at from identity.api_key where tenant_id = $1", provider.tenant.id)
    await owner.close()
    assert revoked is not None
    assert (await provider.roles(user["id"])) == []


async def test_an_administrator_makes_no_reviewer_through_what_the_provider_keeps(
    service: Service, provider: Provider, run_secrets: Secrets
) -> None:
    """Not by the API, nor by SQL in its own name: only who speaks as the provider puts somebody into a group."""
    user = await provider.user("dana")
    group = await provider.group("Legal")
    admin = Claims(
        "request", provider.tenant.id, provider.tenant.users["admin"], kind="user",
        permissions=("users:manage", "keys:manage", "scim:provision"),
    )  # fmt: skip
    pool = await open_pool(service.database.runtime_url, size=1, timeout=5)
    tenancy = Tenancy(pool, ContextSigner(run_secrets.context_key), timeout=5)
    for statement in (
        "insert into identity.provisioned_member (tenant_id, group_id, user_id) values ($1, $2, $3)",
        "insert into identity.user_role (tenant_id, user_id, role) select $1, $3, 'compliance' where $2::uuid is not null",
        "insert into identity.scim_bearer (tenant_id, id, issuer_id) values ($1, $2, $3)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tenancy.transaction(admin) as connection:
                await connection.execute(statement, provider.tenant.id, group["id"], user["id"])
    async with tenancy.transaction(admin) as connection:
        for statement in (
            "update identity.provisioned_group set display_name = 'Legal' where tenant_id = $1 and id <> $2 returning 1",
            "select 1 from identity.rename_provisioned_user($2, 'other') as renamed where renamed and $1::uuid is not null",
            "select 1 from identity.roles_to_settle(array[$2::uuid]) where $1::uuid is not null",
        ):
            assert await connection.fetch(statement, provider.tenant.id, user["id"]) == [], statement
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("select digest from identity.scim_bearer")
    await pool.close()


@pytest.mark.parametrize("provisioned", [True, False])
async def test_no_administrator_makes_a_link_for_who_signs_in_through_the_provider(
    service: Service, loopback: LoopbackProvider, provider: Provider, *, provisioned: bool
) -> None:
    if provisioned:
        user_id = (await provider.user("dana", externalId="subject-1"))["id"]
        await provider.group("Risk", user_id)
    else:
        user_id = (await me(service, await exchange(service, provider.tenant, loopback.token(groups=["Risk"]))))["id"]
    refused = await service.post(f"/users/{user_id}/reset", provider.tenant, "admin", {})
    assert (refused.status_code, refused.json()["error"]) == (403, "forbidden"), refused.text


async def test_a_link_from_before_the_provider_took_a_user_over_opens_nothing(
    service: Service, loopback: LoopbackProvider, provider: Provider
) -> None:
    made = (await service.post("/users", provider.tenant, "admin", {"username": "dana", "roles": ["analyst"]})).json()
    async with service.operator() as acting:
        await issuers.link(acting.connection, provider.tenant.slug, "dana", "subject-1")
    body = {"token": made["invitation"]["token"], "password": "a password that I chose"}
    assert (await service.client.post("/auth/reset", json=body)).status_code == 401
