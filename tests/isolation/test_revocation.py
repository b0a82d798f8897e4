"""What is taken away is gone on the very next request; measured, and printed."""

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from tests.factories import create_key, ingest
from tests.isolation.findings import Findings
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

ROUNDS = 40  # of each of the five ways: 200 in all
QUESTION = {"query": "What is the rule?", "collection": "restricted"}


async def _sql(service: Service, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(service.database.owner_url)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


async def _ask(service: Service, credential: str) -> httpx.Response:
    return await service.client.post("/retrieve", json=QUESTION, headers={"Authorization": f"Bearer {credential}"})


@pytest.fixture(scope="module")
async def reader(service: Service, tenant: Tenant) -> str:
    """An access token of a user who may read `restricted` through the role editor."""
    await ingest(service, tenant, "rule", "The rule is the rule.", collection="restricted")
    return await service.token(tenant, "editor")


async def _requests_until_refused(service: Service, credential: str) -> tuple[int, float]:
    started = time.perf_counter()
    for requests in range(1, 100):
        if (await _ask(service, credential)).status_code in {401, 403, 404}:
            return requests, (time.perf_counter() - started) * 1000
    raise AssertionError("never refused")


Step = Callable[[], Awaitable[Any]]


async def test_each_way_to_take_something_away_works_on_the_next_request(
    service: Service, tenant: Tenant, reader: str, findings: Findings
) -> None:
    admin = await service.as_user(tenant, "admin")
    user: UUID = tenant.users["editor"]
    grants = (await service.get("/collections/restricted/grants", tenant, "admin")).json()["grants"]
    read_grant = next(grant["id"] for grant in grants if grant["role"] == "editor" and grant["access"] == "read")

    async def change_user(status: str) -> None:
        answer = await service.client.patch(f"/users/{user}", json={"status": status}, headers=admin)
        assert answer.status_code == 200, answer.text

    async def set_roles(*roles: str) -> None:
        answer = await service.client.put(f"/users/{user}/roles", json={"roles": list(roles)}, headers=admin)
        assert answer.status_code == 200, answer.text

    async def withdraw() -> None:
        nonlocal read_grant
        answer = await service.client.delete(f"/collections/restricted/grants/{read_grant}", headers=admin)
        assert answer.status_code == 204, answer.text

    async def grant() -> None:
        nonlocal read_grant
        body = {"role": "editor", "access": "read"}
        answer = await service.client.post("/collections/restricted/grants", json=body, headers=admin)
        read_grant = answer.json()["id"]

    def status_of_tenant(status: str) -> Step:
        return lambda: _sql(service, "update tenancy.tenant set status = $2 where id = $1", tenant.id, status)

    async def nothing() -> None:
        pass

    ways: dict[str, tuple[Step, Step]] = {
        "disabling a user": (lambda: change_user("disabled"), lambda: change_user("active")),
        "removing a role": (lambda: set_roles("admin"), lambda: set_roles("editor")),
        "withdrawing a grant": (withdraw, grant),
        "suspending a tenant": (status_of_tenant("suspended"), status_of_tenant("active")),
        "revoking a key": (nothing, nothing),
    }
    latencies = []
    for way, (take_away, give_back) in ways.items():
        if way == "removing a role":
            service.forget_tokens()
            reader = await service.token(tenant, "editor")
        for _ in range(ROUNDS):
            credential, revoke = reader, take_away
            if way == "revoking a key":
                credential, revoke = await _new_key(service, tenant, admin)
            elif way == "disabling a user":  # which ends its tokens for good
                service.forget_tokens()
                credential = await service.token(tenant, "editor")
            assert (await _ask(service, credential)).status_code == (404 if way == "revoking a key" else 200), way
            await revoke()
            requests, milliseconds = await _requests_until_refused(service, credential)
            assert requests == 1, way
            latencies.append(milliseconds)
            await give_back()
    median, longest = statistics.median(latencies), max(latencies)
    print(f"\nrevocation: refused on request 1 of 1 in {len(latencies)} of {len(latencies)} rounds;"
          f" that request took {median:.1f} ms in the median, {longest:.1f} ms at most")  # fmt: skip
    findings["revocation"] = {
        "ways": list(ways), "rounds": len(latencies), "requests_until_refused": {"median": 1, "maximum": 1},
        "milliseconds": {"median": round(median, 1), "maximum": round(longest, 1)},
    }  # fmt: skip


async def _new_key(service: Service, tenant: Tenant, admin: dict[str, str]) -> tuple[str, Step]:
    created = await create_key(service, tenant)

    async def revoke() -> None:
        assert (await service.client.delete(f"/auth/keys/{created['id']}", headers=admin)).status_code == 204

    return created["key"], revoke
