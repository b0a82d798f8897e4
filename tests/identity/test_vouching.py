"""Whoever makes a user, or gives it a link, has no second person thereby: another administrator vouches for it."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from backend.identity.callers.permissions import Role
from tests.factories import GUIDANCE, bearer, create_collection, create_key, decide, submit, vouch
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

RELAXED = {"approval_required": False}
RESTRICTED = {"query": "What is the rule?", "collection": "restricted"}
WAYS = ("first password", "own password", "link")


@pytest.fixture
async def bank(service: Service) -> Tenant:
    """A tenant with two administrators whom the operator made, and a collection that asks for approval."""
    tenant = await service.create_tenant()
    for name in ("admin2", "admin3"):
        await service.add_user(tenant, name, Role.ADMIN)
    await create_collection(service, tenant)
    async with service.operator() as acting:
        await acting.grant(tenant.id, GUIDANCE, "read", role=Role.ADMIN)
    return tenant


async def hire(service: Service, tenant: Tenant, name: str, role: str, way: str = "link", by: str = "admin") -> str:
    """A user whom its maker has signed in as, in one of the ways in which that is possible."""
    body = {"username": name, "roles": [role], **({} if way == "link" else {"password": PASSWORD})}
    made = (await service.post("/users", tenant, by, body)).json()
    if way == "link":
        assert (await follow(service, made["invitation"]["token"])).status_code == 204
    if way == "own password":
        own = {"old_password": PASSWORD, "new_password": PASSWORD}
        assert (await service.post("/auth/password", tenant, name, own)).status_code == 204
    return str(made["id"])


async def follow(service: Service, token: str) -> httpx.Response:
    return await service.client.post("/auth/reset", json={"token": token, "password": PASSWORD})


async def relink(service: Service, tenant: Tenant, name: str, user_id: str, by: str) -> None:
    """Has a link made for somebody, and uses it."""
    made = await service.post(f"/users/{user_id}/reset", tenant, by, {})
    assert made.status_code == 200, made.text
    assert (await follow(service, made.json()["token"])).status_code == 204
    service.forget_token(tenant, name)


async def relax(service: Service, tenant: Tenant, by: str) -> int:
    headers = await service.as_user(tenant, by)
    return (await service.client.patch(f"/collections/{GUIDANCE}", json=RELAXED, headers=headers)).status_code


@pytest.mark.parametrize("way", WAYS)
async def test_whoever_makes_a_user_has_no_second_person_in_it(service: Service, bank: Tenant, way: str) -> None:
    await hire(service, bank, "writer", "editor", way)
    approver = await hire(service, bank, "reviewer", "approver", way)
    other = await hire(service, bank, "second", "admin", way)
    submitted = await submit(service, bank, "alone", "Text of one person.", username="writer")
    assert (await decide(service, bank, submitted, "approve", "reviewer")).status_code == 403
    assert await relax(service, bank, "admin") == 202
    assert await relax(service, bank, "second") == 202
    key = await create_key(service, bank)
    headers = await service.as_user(bank, "second")
    taken = await service.client.patch(f"/auth/keys/{key['id']}", json={"owner": other}, headers=headers)
    assert taken.status_code == 403
    for by in ("admin", "second", "reviewer"):
        assert (await service.post(f"/users/{approver}/vouch", bank, by, None)).status_code == 403
    assert (await service.get(f"/users/{approver}", bank, "admin2")).json()["counts_as"] == str(bank.users["admin"])


async def test_another_administrator_makes_it_a_person_of_its_own(service: Service, bank: Tenant) -> None:
    approver = await hire(service, bank, "reviewer", "approver")
    await vouch(service, bank, approver, "admin2")
    await hire(service, bank, "writer", "editor")
    submitted = await submit(service, bank, "together", "Text of two people.", username="writer")
    assert (await decide(service, bank, submitted, "approve", "reviewer")).status_code == 200
    assert (await service.post(f"/users/{approver}/vouch", bank, "admin2", None)).status_code == 409, "it is one"
    _, event, *_ = await service.events(bank, action="user:changed")
    known = event["event"]
    assert (known["user"]["change"], known["user"]["id"]) == ("vouched", approver)
    assert known["principal"]["id"] == str(bank.users["admin2"])


async def test_nobody_vouches_before_a_password_was_chosen_nor_by_a_key_nor_elsewhere(
    service: Service, bank: Tenant
) -> None:
    path = f"/users/{await hire(service, bank, 'first', 'editor', 'first password')}/vouch"
    assert (await service.post(path, bank, "admin2", None)).status_code == 403
    own = {"old_password": PASSWORD, "new_password": PASSWORD}
    assert (await service.post("/auth/password", bank, "first", own)).status_code == 204
    key = await create_key(service, bank, "users:manage", by="admin2")
    assert (await service.client.post(path, headers=bearer(key))).status_code == 403
    stranger = await service.create_tenant()
    assert (await service.post(path, stranger, "admin", None)).status_code == 404
    assert (await service.post(path, bank, "admin2", None)).status_code == 200
    unsigned = (await service.post("/users", bank, "admin", {"username": "invited", "roles": ["editor"]})).json()
    assert (await service.post(f"/users/{unsigned['id']}/vouch", bank, "admin2", None)).status_code == 403


async def test_what_was_done_before_counts_as_who_could_act_as_the_user_then(service: Service, bank: Tenant) -> None:
    writer, reviewer = [await hire(service, bank, *who) for who in (("writer", "editor"), ("reviewer", "approver"))]
    before = await submit(service, bank, "before", "Text of before.", username="writer")
    await vouch(service, bank, writer, "admin2")
    after = await submit(service, bank, "after", "Text of afterwards.", username="writer")
    assert (await decide(service, bank, before, "approve", "reviewer")).status_code == 403
    assert (await decide(service, bank, after, "approve", "reviewer")).status_code == 200
    await vouch(service, bank, reviewer, "admin2")
    assert (await decide(service, bank, before, "approve", "reviewer")).status_code == 200


async def test_a_request_that_was_under_way_counts_as_before(service: Service, bank: Tenant) -> None:
    second = await hire(service, bank, "second", "admin")
    assert await relax(service, bank, "admin") == 202
    assert (await service.post(f"/users/{second}/vouch", bank, "admin2", None)).status_code == 200
    assert await relax(service, bank, "second") == 202, "not for two minutes"


async def test_a_link_of_another_administrator_launders_nothing(service: Service, bank: Tenant) -> None:
    second = await hire(service, bank, "second", "admin")
    assert await relax(service, bank, "second") == 202, "which the maker asked for"
    await relink(service, bank, "second", second, "admin2")
    assert await relax(service, bank, "admin") == 202, "and does not join"
    assert (await service.get(f"/collections/{GUIDANCE}", bank, "admin")).json()["approval_required"] is True


async def test_a_user_who_becomes_a_reviewer_launders_nothing(service: Service, bank: Tenant) -> None:
    second = await hire(service, bank, "second", "admin")
    assert await relax(service, bank, "second") == 202
    async with service.operator() as acting:
        await acting.connection.execute(
            "insert into identity.user_role (tenant_id, user_id, role) values ($1, $2, 'compliance')", bank.id, second
        )
    assert await relax(service, bank, "admin") == 202


async def test_who_used_a_link_counts_as_who_made_it_also_after_somebody_vouched(
    service: Service, bank: Tenant
) -> None:
    unused = await service.post(f"/users/{bank.users['analyst']}/reset", bank, "admin", {})
    reviewer = await hire(service, bank, "reviewer", "approver")
    await vouch(service, bank, reviewer, "admin2")
    await relink(service, bank, "reviewer", reviewer, "admin")
    await hire(service, bank, "writer", "editor")
    submitted = await submit(service, bank, "again", "Text of one person.", username="writer")
    assert (await decide(service, bank, submitted, "approve", "reviewer")).status_code == 403
    async with service.operator() as acting:
        await acting.grant(bank.id, "restricted", "read", role=Role.ANALYST)
    assert (await service.post("/retrieve", bank, "analyst", RESTRICTED)).status_code == 200
    assert (await follow(service, unused.json()["token"])).status_code == 204
    service.forget_token(bank, "analyst")
    assert (await service.post("/retrieve", bank, "analyst", RESTRICTED)).status_code == 404


async def test_two_who_could_act_as_each_other_are_one_person(service: Service, bank: Tenant) -> None:
    """Each had a link made for the other before either was used."""
    links = {}
    for by, to in (("admin", "admin2"), ("admin2", "admin")):
        made = await service.post(f"/users/{bank.users[to]}/reset", bank, by, {})
        links[to] = made.json()["token"]
    for name, token in links.items():
        assert (await follow(service, token)).status_code == 204
        service.forget_token(bank, name)
    assert [await relax(service, bank, by) for by in ("admin", "admin2")] == [202, 202]
    for name in links:
        assert (await service.post("/retrieve", bank, name, RESTRICTED)).status_code == 403
        vouching = await service.post(f"/users/{bank.users[name]}/vouch", bank, "admin2", None)
        assert vouching.status_code == 403
        await vouch(service, bank, str(bank.users[name]), "admin3")
    assert await relax(service, bank, "admin2") == 202, "one asked for it while both were one"
    for request in (await service.get("/joint-requests", bank, "admin")).json()["requests"]:
        path = f"/joint-requests/{request['id']}"
        await service.client.delete(path, headers=await service.as_user(bank, "admin"))
    assert [await relax(service, bank, by) for by in ("admin2", "admin")] == [202, 200]


async def test_whom_a_user_made_counts_as_who_could_act_as_that_user_then(service: Service, bank: Tenant) -> None:
    """The administrator acts as the one whom it made, and makes another, of which nobody else knows."""
    middle = await hire(service, bank, "middle", "admin")
    second = await hire(service, bank, "second", "admin", by="middle")
    reader = await hire(service, bank, "reader", "analyst", by="middle")
    await vouch(service, bank, middle, "admin2")
    assert [await relax(service, bank, by) for by in ("second", "admin")] == [202, 202]
    assert (await service.post(f"/users/{second}/vouch", bank, "admin", None)).status_code == 403
    async with service.operator() as acting:
        for person in (middle, reader):
            await acting.grant(bank.id, "restricted", "read", principal_id=UUID(person))
    assert (await service.post("/retrieve", bank, "reader", RESTRICTED)).status_code == 404
    await vouch(service, bank, reader, "admin2")
    assert (await service.post("/retrieve", bank, "reader", RESTRICTED)).status_code == 200
    later = await hire(service, bank, "later", "analyst", by="middle")
    assert (await service.post(f"/users/{later}/vouch", bank, "admin", None)).status_code == 200, "no more its maker"


async def test_keys_that_were_made_as_a_user_end_when_somebody_vouches(service: Service, bank: Tenant) -> None:
    second = await hire(service, bank, "second", "admin")
    key = await create_key(service, bank, by="second")
    me: dict[str, Any] = {"headers": bearer(key)}
    assert (await service.client.get("/auth/me", **me)).status_code == 200
    await vouch(service, bank, second, "admin2")
    assert (await service.client.get("/auth/me", **me)).status_code == 401


async def test_what_a_key_wrote_counts_as_its_owner_of_then(service: Service, bank: Tenant) -> None:
    """A set of questions that a key wrote is approved by nobody who owned the key, also once somebody else does."""
    chief = await service.add_user(bank, "chief", Role.ADMIN, Role.APPROVER)
    key = await create_key(service, bank, "documents:review", by="chief")
    wanted = {"questions": [{"question": "What is the rule?", "expected": "refusal"}]}
    written = await service.client.post("/evaluations/sets/rules/versions", json=wanted, headers=bearer(key))
    assert written.status_code == 201, written.text
    headers = await service.as_user(bank, "admin2")
    owner = {"owner": str(bank.users["admin2"])}
    assert (await service.client.patch(f"/auth/keys/{key['id']}", json=owner, headers=headers)).status_code == 200, (
        chief
    )
    path = "/evaluations/sets/rules/versions/1/approve"
    assert (await service.post(path, bank, "chief", {})).status_code == 403
    assert (await service.post(path, bank, "approver", {})).is_success


async def test_the_operators_link_makes_a_person_of_its_own(service: Service, bank: Tenant) -> None:
    second = await hire(service, bank, "second", "admin")
    async with service.operator() as acting:
        token = (await acting.create_link(bank.id, "second")).plaintext
    assert (await follow(service, token)).status_code == 204
    assert (await service.get(f"/users/{second}", bank, "admin")).json()["counts_as"] is None


RESTING_ON_THE_HISTORY = (
    test_what_was_done_before_counts_as_who_could_act_as_the_user_then,
    test_a_request_that_was_under_way_counts_as_before,
    test_a_link_of_another_administrator_launders_nothing,
    test_a_user_who_becomes_a_reviewer_launders_nothing,
    test_what_a_key_wrote_counts_as_its_owner_of_then,
)


@pytest.mark.parametrize("held", RESTING_ON_THE_HISTORY)
async def test_without_the_history_it_would_not_hold(
    service: Service, bank: Tenant, held: Callable[[Service, Tenant], Awaitable[None]]
) -> None:
    superuser = await asyncpg.connect(service.database.superuser_url)
    change = "alter table {} {} trigger note_ended_hand"
    for table in (tables := ('identity."user"', "identity.api_key")):
        await superuser.execute(change.format(table, "disable"))
    try:
        with pytest.raises(AssertionError):
            await held(service, bank)
    finally:
        for table in tables:
            await superuser.execute(change.format(table, "enable"))
        await superuser.close()
