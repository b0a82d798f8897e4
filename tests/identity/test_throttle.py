"""Guessing passwords runs into limits that hold over processes and restarts and tell nothing about who exists."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from backend.identity.callers.limits import Limit, enforce
from backend.identity.sign_in import throttle
from backend.tenancy import PLATFORM_TENANT, Claims
from tests.cells.elsewhere import served_elsewhere
from tests.service import PASSWORD, Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

MOST, WINDOW = throttle.FROM_ONE_ADDRESS
MINUTE = 60
LOCK = "select from identity.request_count where subject = $1 for update"
ADDRESSES = (f"198.51.{number // 250}.{number % 250 + 1}" for number in range(10_000))


@pytest.fixture(scope="module")
async def proxied(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    """A worker that believes its proxy, and so sees the addresses that tests choose."""
    settings = settings_for(database, run_secrets, model_home, trusted_proxies=["127.0.0.1/32"])
    async with running(settings, database) as started:
        yield started


@pytest.fixture
def address() -> str:
    return next(ADDRESSES)


async def sign_in(
    service: Service, tenant: str, username: str, password: str, address: str, **headers: str
) -> httpx.Response:
    form = {"username": username, "password": password, "client_id": tenant}
    return await service.client.post("/auth/token", data=form, headers={"X-Forwarded-For": address, **headers})


async def within_one_window(seconds: int) -> None:
    """Windows start at multiples of their length: waits for the next one when this one is about to end."""
    left = seconds - time.time() % seconds
    if left < 10:
        await asyncio.sleep(left + 0.1)


async def exhaust(service: Service, tenant: str, username: str, address: str) -> None:
    """Fails once, and makes the database count it as the last attempt that is allowed."""
    await within_one_window(WINDOW)
    assert (await sign_in(service, tenant, username, "wrong " * 3, address)).status_code == 401
    await set_count(service.database, throttle._typed(throttle.Account(tenant, username), address)[0], MOST)


async def set_count(database: Database, subject: str, requests: int) -> None:
    """Stands for many attempts that were made in the running window."""
    connection = await asyncpg.connect(database.superuser_url)
    changed = await connection.execute(
        "update identity.request_count set requests = $2, slots[1] = $2 where subject = $1", subject, requests
    )
    await connection.close()
    assert changed == "UPDATE 1"


async def test_the_right_password_does_not_help_after_too_many_wrong_ones(
    proxied: Service, tenant: Tenant, address: str
) -> None:
    await exhaust(proxied, tenant.slug, "editor", address)
    refused = await sign_in(proxied, tenant.slug, "editor", PASSWORD, address)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 300
    assert refused.json()["error"] == "too_many_requests"


async def test_another_address_and_another_account_still_sign_in(
    proxied: Service, tenant: Tenant, address: str
) -> None:
    await exhaust(proxied, tenant.slug, "approver", address)
    assert (await sign_in(proxied, tenant.slug, "approver", PASSWORD, next(ADDRESSES))).status_code == 200
    assert (await sign_in(proxied, tenant.slug, "analyst", PASSWORD, address)).status_code == 200


async def test_accounts_and_tenants_that_do_not_exist_are_refused_alike(
    proxied: Service, tenant: Tenant, address: str
) -> None:
    answers = []
    for slug, username in ((tenant.slug, "admin"), (tenant.slug, "nobody"), ("no-such-tenant", "admin")):
        await exhaust(proxied, slug, username, address)
        refused = await sign_in(proxied, slug, username, "wrong " * 3, address)
        answers.append((refused.status_code, refused.json()["detail"]))
    assert set(answers) == {(429, "Too many requests; try again later.")}


async def test_the_limit_outlives_the_worker_that_counted(
    database: Database, run_secrets: Secrets, model_home: Path, tenant: Tenant, proxied: Service, address: str
) -> None:
    settings = settings_for(database, run_secrets, model_home, trusted_proxies=["127.0.0.1/32"])
    async with running(settings, database) as short_lived:
        await exhaust(short_lived, tenant.slug, "compliance", address)
    assert (await sign_in(proxied, tenant.slug, "compliance", PASSWORD, address)).status_code == 429


async def test_attempts_at_the_same_time_do_not_slip_through_together(
    proxied: Service, tenant: Tenant, address: str
) -> None:
    await within_one_window(WINDOW)
    attempts = [sign_in(proxied, tenant.slug, "ghost", "wrong " * 3, address) for _ in range(2 * MOST)]
    statuses = [answer.status_code for answer in await asyncio.gather(*attempts)]
    assert sorted(statuses) == [401] * MOST + [429] * MOST


async def test_signing_in_well_is_not_counted(proxied: Service, tenant: Tenant, address: str) -> None:
    for _ in range(MOST + 2):
        assert (await sign_in(proxied, tenant.slug, "analyst", PASSWORD, address)).status_code == 200


@pytest.mark.parametrize("shared", ["account", "address"])
async def test_guesses_spread_over_many_addresses_or_accounts_are_counted_together(
    proxied: Service, tenant: Tenant, address: str, shared: str
) -> None:
    username = f"victim-{shared}"
    await within_one_window(MINUTE)
    assert (await sign_in(proxied, tenant.slug, username, "wrong " * 3, address)).status_code == 401
    _, account, network = throttle._typed(throttle.Account(tenant.slug, username), address)
    most, _ = throttle.PER_ACCOUNT if shared == "account" else throttle.PER_ADDRESS
    await set_count(proxied.database, account if shared == "account" else network, most)
    username, address = (username, next(ADDRESSES)) if shared == "account" else ("another", address)
    assert (await sign_in(proxied, tenant.slug, username, "wrong " * 3, address)).status_code == 429


def test_the_addresses_of_one_ipv6_customer_count_as_one() -> None:
    first, second, other = (
        throttle._typed(throttle.Account("t", "u"), address)
        for address in ("2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1")
    )
    assert first == second
    assert first[0] != other[0]
    assert throttle._typed(throttle.Account("t", "u"), "::ffff:192.0.2.1") == throttle._typed(
        throttle.Account("t", "u"), "192.0.2.1"
    )


async def test_a_tenant_finds_attacks_on_its_accounts_in_its_log(
    proxied: Service, tenant: Tenant, address: str
) -> None:
    await exhaust(proxied, tenant.slug, "phantom", address)
    refused = await sign_in(proxied, tenant.slug, "phantom", PASSWORD, address)
    recorded = [e for e in await proxied.events(tenant) if e["request_id"] == refused.json()["request_id"]]
    assert [(e["action"], e["reason"]) for e in recorded] == [("access:denied", "limit:sign_in:300s")]


async def test_whoever_lists_the_institutions_of_other_cells_runs_into_the_limit_of_an_address(
    database: Database, run_secrets: Secrets, model_home: Path, service: Service, tmp_path: Path, address: str
) -> None:
    moved = await service.create_tenant()
    settings = {"trusted_proxies": ["127.0.0.1/32"]}
    async with served_elsewhere(database, run_secrets, model_home, tmp_path, moved, **settings) as cell:
        await within_one_window(MINUTE)
        told = await sign_in(cell, moved.slug, "analyst", PASSWORD, address)
        assert (told.status_code, told.json()["error"]) == (421, "misdirected")
        assert told.headers["Location"] == "https://us.example/auth/token"
        most, _ = throttle.PER_ADDRESS
        await set_count(database, throttle._anyone(address), most)
        assert (await sign_in(cell, moved.slug, "analyst", PASSWORD, address)).status_code == 429
        assert (await sign_in(cell, moved.slug, "analyst", PASSWORD, next(ADDRESSES))).status_code == 421


async def set_limits(
    service: Service, tenant: Tenant, *, tenant_limit: int | None, principal_limit: int | None
) -> None:
    connection = await asyncpg.connect(service.database.superuser_url)
    await connection.execute(
        "update tenancy.tenant set requests_per_minute = $2, principal_requests_per_minute = $3 where id = $1",
        tenant.id, tenant_limit, principal_limit,
    )  # fmt: skip
    await connection.close()


async def statuses(service: Service, tenant: Tenant, username: str, count: int) -> list[int]:
    headers = await service.as_user(tenant, username)
    await within_one_window(MINUTE)
    return [(await service.client.get("/auth/me", headers=headers)).status_code for _ in range(count)]


async def test_each_principal_has_a_limit_of_its_own(service: Service) -> None:
    limited = await service.create_tenant()
    await set_limits(service, limited, tenant_limit=None, principal_limit=3)
    for username in ("analyst", "editor", "partner"):
        assert await statuses(service, limited, username, 5) == [200] * 3 + [429] * 2


async def test_a_tenant_has_a_limit_over_all_its_principals_and_others_have_not(
    service: Service, tenant: Tenant
) -> None:
    limited = await service.create_tenant()
    await set_limits(service, limited, tenant_limit=4, principal_limit=None)
    assert await statuses(service, limited, "analyst", 3) == [200] * 3
    assert await statuses(service, limited, "partner", 3) == [200, 429, 429]
    assert await statuses(service, tenant, "analyst", 6) == [200] * 6


async def test_sign_ins_at_the_same_time_leave_no_count(proxied: Service, tenant: Tenant, address: str) -> None:
    attempts = (sign_in(proxied, tenant.slug, "editor", PASSWORD, address) for _ in range(MOST - 1))
    assert {answer.status_code for answer in await asyncio.gather(*attempts)} == {200}
    connection = await asyncpg.connect(proxied.database.superuser_url)
    counted = await connection.fetchrow(
        "select requests, slots from identity.request_count where subject = $1",
        throttle._typed(throttle.Account(tenant.slug, "editor"), address)[0],
    )
    await connection.close()
    assert counted["requests"] == 0
    assert set(counted["slots"]) == {0}


async def test_counts_are_given_back_in_the_order_in_which_they_are_made(
    proxied: Service, tenant: Tenant, address: str
) -> None:
    """Otherwise two sign-ins wait for each other: where one holds the first of its counts, the other holds no later one."""
    account = throttle.Account(tenant.slug, "editor")
    subjects = [*throttle._typed(account, address), *throttle._resolved(account, address)]
    platform = Claims("throttle", PLATFORM_TENANT)
    for subject in reversed(subjects):  # so that they also lie in the table the other way around
        async with proxied.services.tenancy.transaction(platform) as connection:
            await enforce(connection, [Limit(subject, WINDOW, MOST)])
    holder = await asyncpg.connect(proxied.database.superuser_url)
    async with asyncio.TaskGroup() as tasks, holder.transaction():
        await holder.execute(LOCK, subjects[0])
        tasks.create_task(give_back(proxied, platform, tenant, address))
        await until_waited_for(holder)
        for later in subjects[1:]:
            await holder.execute(f"{LOCK} nowait", later)
    await holder.close()


async def give_back(service: Service, platform: Claims, tenant: Tenant, address: str) -> None:
    async with service.services.tenancy.transaction(platform) as connection:
        await throttle.forgive_attempt(connection, throttle.Account(tenant.slug, "editor"), address)


async def until_waited_for(holder: asyncpg.Connection) -> None:
    waiting = "select exists (select from pg_stat_activity where pg_backend_pid() = any (pg_blocking_pids(pid)))"
    async with asyncio.timeout(60):
        while not await holder.fetchval(waiting):
            await asyncio.sleep(0.02)
