"""Whoever signs in names an institution by its slug, a domain of its e-mail addresses, or such an address, and learns nothing thereby."""

import itertools
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from backend.errors import Conflict
from backend.identity.sign_in import institutions, throttle
from backend.identity.sign_in.institutions import UnacceptableDomain
from backend.operation.tenants import Tenants
from tests.service import PASSWORD, Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

ADDRESSES = (f"203.0.113.{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
async def service(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    """A worker that believes its proxy, and so sees the addresses that tests choose."""
    settings = settings_for(database, run_secrets, model_home, trusted_proxies=["127.0.0.1/32"])
    async with running(settings, database) as started:
        yield started


@pytest.fixture
async def domain(service: Service, tenant: Tenant) -> str:
    """A domain of the tenant."""
    named = f"d{secrets.token_hex(4)}.example"
    async with service.operator() as acting:
        await Tenants(acting.connection).add_domain(tenant.slug, named)
    return named


async def sign_in(
    service: Service, institution: str, username: str = "analyst", password: str = PASSWORD, *, address: str = ""
) -> httpx.Response:
    form = {"username": username, "password": password, "client_id": institution}
    return await service.client.post("/auth/token", data=form, headers={"X-Forwarded-For": address or next(ADDRESSES)})


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("Meridian-Bank.Example", "meridian-bank.example"), (" mail.bank.example ", "mail.bank.example"),
        ("bank.example.", "bank.example"), ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER。example", "xn--bcher-kva.example"), ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("fuß.example", "xn--fu-hia.example"),
    ],
)  # fmt: skip
def test_a_domain_has_one_spelling(text: str, spelt: str) -> None:
    assert institutions.domain(text) == spelt
    assert institutions.presented(f"jane.doe+x@{text.strip()}") == spelt


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "bank", "bank.", "a..example", ".example", "-a.example", "a-.example", "a_b.example", "a b.example", "a/b.example",
        "jane@bank.example", "192.0.2.1", "1.0x7f", "[::1]", "*.example", "xn--a.example", "a\u202eb.example", f"{'a' * 64}.example",
        ".".join(["a" * 60] * 5), "a." * 200 + "example",
    ],
)  # fmt: skip
def test_what_is_no_domain_is_none(text: str) -> None:
    with pytest.raises(UnacceptableDomain):
        institutions.domain(text)
    assert "." not in institutions.presented(text) or institutions.presented(text) == text.strip() or "@" in text


async def test_people_name_their_institution_by_slug_domain_or_address(
    service: Service, tenant: Tenant, domain: str
) -> None:
    for named in (tenant.slug, tenant.slug.upper(), domain, domain.upper(), f"jane@{domain}", f" Jane.Doe@{domain} "):
        answer = await sign_in(service, named)
        assert answer.status_code == 200, (named, answer.text)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        me = (await service.client.get("/auth/me", headers=headers)).json()
        assert (me["tenant"]["slug"], me["name"]) == (tenant.slug, "analyst")


async def test_a_refusal_does_not_tell_whether_there_is_such_a_domain_user_or_institution(
    service: Service, tenant: Tenant, domain: str
) -> None:
    suspended = await service.create_tenant()
    async with service.operator() as acting:
        await Tenants(acting.connection).add_domain(suspended.slug, f"x{domain}")
        await Tenants(acting.connection).suspend(suspended.slug)
    tried = [
        (domain, "analyst", "wrong " * 3), (domain, "nobody", PASSWORD), (f"jane@{domain}", "nobody", PASSWORD),
        (f"no-{domain}", "analyst", PASSWORD), (f"jane@no-{domain}", "analyst", PASSWORD), ("no-such-tenant", "analyst", PASSWORD),
        (f"x{domain}", "analyst", PASSWORD), (f"analyst@{tenant.slug}", "analyst", PASSWORD), ("jane@", "analyst", PASSWORD),
        (f"{tenant.slug}.", "analyst", PASSWORD), ("jane@192.0.2.1", "analyst", PASSWORD), ("@" * 254, "analyst", PASSWORD),
    ]  # fmt: skip
    told = set()
    for attempt in tried:
        answer = await sign_in(service, *attempt)
        body = answer.json()
        told.add((answer.status_code, body["error"], body["detail"], answer.headers.get("www-authenticate")))
    assert len(told) == 1, told
    assert told.pop()[0] == 401


async def test_a_domain_is_one_tenants_alone(service: Service, tenant: Tenant, domain: str) -> None:
    other = await service.create_tenant()
    async with service.operator() as acting:
        assert domain in (await Tenants(acting.connection).add_domain(tenant.slug, domain.upper())).domains
    with pytest.raises(Conflict, match=tenant.slug):
        async with service.operator() as acting:
            await Tenants(acting.connection).add_domain(other.slug, domain.upper())
    async with service.operator() as acting:
        await Tenants(acting.connection).remove_domain(tenant.slug, domain)
        await Tenants(acting.connection).add_domain(other.slug, domain)
    answer = await sign_in(service, domain)
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await service.client.get("/auth/me", headers=headers)).json()["tenant"]["slug"] == other.slug


async def test_the_database_gives_a_domain_to_one_tenant_and_takes_no_slug_for_one(
    service: Service, tenant: Tenant, domain: str
) -> None:
    other = await service.create_tenant()
    connection = await asyncpg.connect(service.database.owner_url)
    insert = "insert into tenancy.domain (tenant_id, domain) values ($1, $2)"
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(insert, other.id, domain)
    for wrong in (tenant.slug, domain.upper(), "bücher.example", f"{domain}.", f"a.{'b' * 260}"):
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(insert, other.id, wrong)
    await connection.close()


async def test_who_only_requests_may_neither_read_nor_claim_domains(service: Service, tenant: Tenant) -> None:
    connection = await asyncpg.connect(service.database.runtime_url)
    for statement in (
        "select domain from tenancy.domain", "insert into tenancy.domain (tenant_id, domain) values (gen_random_uuid(), 'a.example')",
        "update tenancy.domain set domain = 'a.example'", "delete from tenancy.domain", "select count(*) from tenancy.domain",
    ):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def set_count(service: Service, subject: str, requests: int) -> None:
    """Stands for many attempts that were made in the running window."""
    connection = await asyncpg.connect(service.database.superuser_url)
    changed = await connection.execute(
        "update identity.request_count set requests = $2, slots[1] = $2 where subject = $1", subject, requests
    )
    await connection.close()
    assert changed == "UPDATE 1"


async def test_more_names_of_an_institution_do_not_give_more_guesses(
    service: Service, tenant: Tenant, domain: str
) -> None:
    most, window = throttle.PER_ACCOUNT
    assert (await sign_in(service, domain, "editor", "wrong " * 3)).status_code == 401
    await set_count(service, throttle._resolved(throttle.Account(tenant.slug, "editor", domain), None)[1], most)
    for named in (tenant.slug, domain, f"jane@{domain}"):
        refused = await sign_in(service, named, "editor")
        assert refused.status_code == 401
        recorded = [e for e in await service.events(tenant) if e["request_id"] == refused.json()["request_id"]]
        assert [(e["action"], e["reason"]) for e in recorded] == [("auth:failed", f"limit:sign_in:{window}s")]


async def test_more_domains_of_an_institution_do_not_give_an_address_more_guesses(
    service: Service, tenant: Tenant, domain: str
) -> None:
    async with service.operator() as acting:
        await Tenants(acting.connection).add_domain(tenant.slug, f"second-{domain}")
    most, _ = throttle.FROM_ONE_ADDRESS
    address, username = next(ADDRESSES), "compliance"
    for _ in range(most):
        assert (await sign_in(service, domain, username, "wrong " * 3, address=address)).status_code == 401
    for named in (f"second-{domain}", tenant.slug):
        assert (await sign_in(service, named, username, address=address)).status_code == 401, "the password is right"
        assert (await sign_in(service, named, username)).status_code == 200, "from another address"


async def test_the_failures_that_lock_a_domain_do_not_tell_whose_it_is(
    service: Service, tenant: Tenant, domain: str
) -> None:
    most, _ = throttle.PER_ACCOUNT
    assert (await sign_in(service, domain, "approver", "wrong " * 3)).status_code == 401
    account = throttle.Account(tenant.slug, "approver", domain)
    for subject in (throttle._typed(account, None)[1], throttle._resolved(account, None)[1]):
        await set_count(service, subject, most)
    other = await service.create_tenant()
    assert (await sign_in(service, domain, "approver", "wrong " * 3)).status_code == 429
    address, told = next(ADDRESSES), dict[str, list[int]]()
    for _ in range(throttle.FROM_ONE_ADDRESS[0] + 1):
        for slug in (tenant.slug, other.slug, "no-such-tenant"):
            answer = await sign_in(service, slug, "approver", "wrong " * 3, address=address)
            told.setdefault(slug, []).append(int(answer.status_code))
    assert told[tenant.slug] == told[other.slug] == told["no-such-tenant"]
    assert set(told[tenant.slug]) == {401, 429}


async def test_a_few_attempts_do_not_tell_whose_a_domain_is(service: Service, tenant: Tenant, domain: str) -> None:
    most, _ = throttle.FROM_ONE_ADDRESS
    address = next(ADDRESSES)
    for _ in range(most):
        assert (await sign_in(service, domain, "approver", "wrong " * 3, address=address)).status_code == 401
    assert (await sign_in(service, domain, "approver", "wrong " * 3, address=address)).status_code == 429
    assert (await sign_in(service, tenant.slug, "approver", "wrong " * 3, address=address)).status_code == 401
