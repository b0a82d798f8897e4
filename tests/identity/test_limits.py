"""A limit holds over any span of its length, not from minute to minute, also for requests at once."""

import asyncio
from collections import Counter

import asyncpg
import pytest

from backend.identity.callers.limits import MINUTE
from tests.factories import bearer, create_key
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

MOST = 10


async def limited_key(service: Service, tenant: Tenant) -> tuple[str, dict[str, str]]:
    made = await create_key(service, tenant, requests_per_minute=MOST)
    return made["id"], bearer(made)


async def pass_by(service: Service, key_id: str, seconds: int) -> None:
    """Lets so many seconds go by for what was counted of a key: its slots are seconds of a minute in sixtieths."""
    connection = await asyncpg.connect(service.database.superuser_url)
    changed = await connection.execute(
        "update identity.request_count set slot = slot - $2 where subject = 'key:' || $1 and seconds = $3",
        key_id, seconds, MINUTE,
    )  # fmt: skip
    assert changed == "UPDATE 1"
    await connection.close()


async def at_once(service: Service, headers: dict[str, str], requests: int) -> Counter[int]:
    answers = await asyncio.gather(*(service.client.get("/auth/me", headers=headers) for _ in range(requests)))
    return Counter(answer.status_code for answer in answers)


@pytest.mark.parametrize("apart", [1, 30, 45])
async def test_no_more_pass_over_the_edge_of_a_minute_than_in_one(service: Service, tenant: Tenant, apart: int) -> None:
    key_id, headers = await limited_key(service, tenant)
    assert await at_once(service, headers, MOST) == {200: MOST}
    await pass_by(service, key_id, apart)
    assert await at_once(service, headers, MOST) == {429: MOST}
    await pass_by(service, key_id, MINUTE + 2)
    assert await at_once(service, headers, MOST) == {200: MOST}


async def test_what_was_asked_a_while_ago_makes_room_as_it_leaves_the_window(service: Service, tenant: Tenant) -> None:
    key_id, headers = await limited_key(service, tenant)
    assert await at_once(service, headers, 4) == {200: 4}
    await pass_by(service, key_id, 30)
    assert await at_once(service, headers, MOST) == {200: MOST - 4, 429: 4}
    await pass_by(service, key_id, 35)
    assert await at_once(service, headers, MOST) == {200: 4, 429: MOST - 4}


async def test_requests_at_once_pass_as_often_as_the_limit_says(service: Service, tenant: Tenant) -> None:
    key_id, headers = await limited_key(service, tenant)
    assert await at_once(service, headers, 2 * MOST) == {200: MOST, 429: MOST}
    refused = await service.client.get("/auth/me", headers=headers)
    assert 1 <= int(refused.headers["Retry-After"]) <= MINUTE
    await pass_by(service, key_id, MINUTE // 2)
    later = await service.client.get("/auth/me", headers=headers)
    assert 1 <= int(later.headers["Retry-After"]) <= MINUTE // 2 + 2
