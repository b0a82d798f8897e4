"""The demo's identity provider keeps people by SCIM: one who works there and has a role, and one who has left."""

import pytest

from backend.demo import provider, seed
from tests.service import Service

pytestmark = pytest.mark.anyio


async def test_a_user_is_provisioned_and_one_who_left_is_disabled(service: Service) -> None:
    credentials = await seed.create_tenants(service.database.owner_url)
    tenant = credentials["tenants"][0]
    for _ in range(2):  # the second time goes on where the first was interrupted: it finds everything done
        await seed.provision(service.app, credentials, print)
    admin = await seed.sign_in(service.client, tenant, "admin")
    users = (await service.client.get("/users", params={"limit": 100}, headers=admin)).json()["users"]
    kept = {one["username"]: (one["roles"], one["status"]) for one in users if one["username"] in provider.PEOPLE}
    assert kept == {"dana.doe": (["analyst"], "active"), "lee.left": (["analyst"], "disabled")}
    overview = (await service.client.get("/provisioning", headers=admin)).json()
    assert (overview["users"], overview["inactive"], [one["name"] for one in overview["groups"]]) == (2, 1, ["Risk"])
    del tenant["scim_bearer"]  # of a home that an earlier release began to make
    await seed.provision(service.app, credentials, print)
