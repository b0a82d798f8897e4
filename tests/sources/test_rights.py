"""A run acts as its source: it writes to one collection, approves nothing, and ends with the source and who answers for it."""

from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.errors import Forbidden
from backend.identity.callers.permissions import Permission, Role
from backend.identity.callers.principals import resolve_principal
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.service import JointAct
from backend.tenancy import Purpose
from tests import factories
from tests.service import Service, Tenant
from tests.sources.site import site
from tests.sources.sources import (
    POLICIES,
    approve,
    bank_with_policies,
    counted,
    created,
    documents,
    reaching,
    run,
    work,
)

pytestmark = pytest.mark.anyio

WIRES = "Wires leave before noon."


async def acting(service: Service, tenant: Tenant, source: dict[str, Any]) -> Any:
    return await resolve_principal(service.services.tenancy, tenant.id, source["id"], str(uuid7()))


async def test_a_source_may_write_to_its_one_collection_and_nothing_else(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with reaching(service):
        source = await created(service, bank, "https://localhost/a.md")
    caller = await acting(service, bank, source)
    listed = (await service.get("/collections", bank, "admin")).json()["collections"]
    own = {one["id"] for one in listed if one["slug"] == POLICIES}
    assert ({*map(str, caller.readable)}, {*map(str, caller.writable)}) == (own, own)
    assert caller.permissions == {Permission.DOCUMENTS_WRITE}
    async with service.services.tenancy.transaction(caller.claims()) as connection:
        with pytest.raises(Forbidden):
            await joint_acts.ask(
                connection, caller, service.services.recorder, JointAct.COLLECTION_RELAX, caller.tenant_id
            )
    async with service.services.tenancy.transaction(replace(caller, kind="source").claims()) as connection:
        assert await connection.fetchval("select sources.own_sealed()") is None


async def test_a_version_of_a_source_goes_into_review_whatever_the_service_says(service: Service) -> None:
    """The database refuses one that would be in force, or that a source's collection would not have reviewed."""
    bank = await bank_with_policies(service)
    await factories.create_collection(service, bank, "open", approval_required=False)
    async with reaching(service):
        source = await created(service, bank, "https://localhost/a.md")
    listed = (await service.get("/collections", bank, "admin")).json()["collections"]
    open_one = next(one["id"] for one in listed if one["slug"] == "open")
    caller = await acting(service, bank, source)
    wider = replace(caller, readable=frozenset({open_one}), writable=frozenset({open_one}))
    document = uuid7()
    for kind in ("key", "source"):
        async with service.services.tenancy.transaction(replace(wider, kind=kind).claims()) as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(
                "insert into documents.document (tenant_id, id, collection_id, doc_id, source_type, created_by)"
                " values ($1, $2, $3, 'x', 'x', $4)", bank.id, document, open_one, caller.principal_id,
            )  # fmt: skip
            version = (
                "insert into documents.version (tenant_id, id, collection_id, document_id, number, status, takes_chunks,"
                " approvals_needed, effective_from, content_sha256, metadata, author_id, created_by)"
                " values ($1, gen_random_uuid(), $2, $3, 1, 'draft', true, 0, 'infinity', sha256('x'), '{}',"
                " identity.acting_user(), $4)"
            )
            inserting = connection.execute(version, bank.id, open_one, document, caller.principal_id)
            if kind == "source":
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await inserting
            else:  # of everybody else it is taken, so that it is the kind which decides
                await inserting
            await transaction.rollback()


async def test_who_answers_for_a_source_approves_nothing_of_it(service: Service) -> None:
    bank = await bank_with_policies(service)
    await service.add_user(bank, "both", Role.ADMIN, Role.APPROVER)
    async with site() as there, reaching(service):
        source = await created(service, bank, there.page("/wires.md", WIRES))
        change = {"name": "Wires"}
        headers = await service.as_user(bank, "both")
        changed = await service.client.patch(f"/sources/{source['id']}", json=change, headers=headers)
        assert changed.json()["responsible_id"] == str(bank.users["both"])
        await run(service, bank, source)
        (version,) = (await documents(service, bank)).values()
        assert version["author_id"] == str(bank.users["both"])
        assert await approve(service, bank, version, "both") == 403
        assert await approve(service, bank, version) == 200
        del there.pages["/wires.md"]
        await run(service, bank, source)
        retire = f"/documents/{version['document_id']}/versions/1/retire"
        assert (await service.post(retire, bank, "both", {"reason": "It is gone."})).status_code == 202
        assert (await documents(service, bank)).popitem()[1]["status"] == "approved"
        assert (await service.post(retire, bank, "approver", {"reason": "It is gone."})).status_code == 200


async def test_a_source_ends_with_who_answers_for_it_until_somebody_else_does(service: Service) -> None:
    bank = await bank_with_policies(service)
    await service.add_user(bank, "admin2", Role.ADMIN)
    async with site() as there, reaching(service):
        source = await created(service, bank, there.page("/wires.md", WIRES))
        headers = await service.as_user(bank, "admin2")
        gone = await service.client.patch(f"/users/{bank.users['admin']}", json={"status": "disabled"}, headers=headers)
        assert gone.status_code == 200, gone.text
        asked = await service.post(f"/sources/{source['id']}/runs", bank, "admin2", {})
        await work(service)
        path = f"/sources/{source['id']}/runs/{asked.json()['id']}"
        ended = (await service.get(path, bank, "admin2")).json()
        assert (ended["state"], ended["reason"]) == ("failed", "caller_ended")
        assert there.asked == []
        taken = await service.client.patch(f"/sources/{source['id']}", json={"status": "enabled"}, headers=headers)
        assert taken.status_code == 200
        asked = await service.post(f"/sources/{source['id']}/runs", bank, "admin2", {})
        await work(service)
        path = f"/sources/{source['id']}/runs/{asked.json()['id']}"
        assert (await service.get(path, bank, "admin2")).json()["counts"]["new"] == 1


async def test_a_collection_that_asks_for_no_approval_has_no_source(service: Service) -> None:
    bank = await bank_with_policies(service)
    await service.add_user(bank, "admin2", Role.ADMIN)
    await factories.create_collection(service, bank, "open", approval_required=False)
    async with site() as there, reaching(service):
        body = {"name": "x", "kind": "urls", "collection": "open", "address": there.page("/wires.md", WIRES)}
        refused = await service.post("/sources", bank, "admin", body)
        assert (refused.status_code, "asks for no approval" in refused.text) == (409, True)
        source = await created(service, bank, there.url + "/wires.md")
        for username in ("admin", "admin2"):
            headers = await service.as_user(bank, username)
            await service.client.patch(f"/collections/{POLICIES}", json={"approval_required": False}, headers=headers)
        ended = await run(service, bank, source)
        assert (ended["state"], ended["reason"]) == ("failed", "collection_unreviewed")
        assert await documents(service, bank) == {}


async def test_what_a_person_keeps_is_not_taken_over_and_what_was_erased_does_not_return(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        wires = there.page("/wires.md", WIRES)
        own_name = wires.partition("://")[2]
        await factories.submit(service, bank, own_name, "Kept by a person.", collection=POLICIES)
        cards = there.page("/cards.md", "Card disputes must be filed within 60 days.")
        source = await created(service, bank, f"{wires} {cards}")
        first = await run(service, bank, source)
        assert (counted(first), first["counts"]["reasons"]) == ({"new": 1, "refused": 1}, {"name_taken": 1})
        document = next(one for name, one in (await documents(service, bank)).items() if "cards" in name)["document_id"]
        headers = await service.as_user(bank, "privacy")
        erased = await service.client.request(
            "DELETE", f"/documents/{document}", params={"reason": "Request 2026-118"}, headers=headers
        )
        assert erased.status_code == 200, erased.text
        there.page("/cards.md", "Card disputes must be filed within 90 days.")
        again = await run(service, bank, source)
        assert again["counts"]["reasons"] == {"name_taken": 1, "erased": 1}
        kept = await service_rows(service, "select key, path, doc_id from sources.item where state = 'erased'")
        assert [tuple(row) for row in kept] == [(None, None, None)]


async def service_rows(service: Service, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(service.database.superuser_url)
    try:
        found: list[asyncpg.Record] = await connection.fetch(statement)
    finally:
        await connection.close()
    return found


async def test_credentials_are_sealed_shown_to_nobody_and_sent_to_their_own_host_alone(service: Service) -> None:
    bank = await bank_with_policies(service)
    secret = "a-secret-that-nobody-reads"
    async with site() as there, site() as elsewhere, reaching(service):
        there.pages["/map.txt"] = there.page("/wires.md", WIRES).encode()
        source = await created(service, bank, f"{there.url}/map.txt", "sitemap", credentials={"token": secret})
        assert source["has_credentials"]
        assert counted(await run(service, bank, source)) == {"new": 1}
        assert {headers.get("authorization") for _, _, headers in there.asked} == {f"Bearer {secret}"}
        path, headers = f"/sources/{source['id']}", await service.as_user(bank, "admin")
        moved = await service.client.patch(path, json={"address": f"{elsewhere.url}/map.txt"}, headers=headers)
        assert (moved.status_code, "given anew" in moved.text) == (422, True)
        two = {"name": "two", "kind": "urls", "collection": POLICIES, "address": f"{there.url}/a {elsewhere.url}/b"}
        assert (
            await service.post("/sources", bank, "admin", {**two, "credentials": {"token": secret}})
        ).status_code == 422
        assert elsewhere.asked == []
        shown = [
            (await service.client.get(one, headers=headers)).text
            for one in (path, "/sources", f"{path}/runs", "/jobs", "/joint-requests")
        ]
        events = str(await service.events(bank, limit=200))
        stored = str(await service_rows(service, "select * from sources.source, jobs.job, sources.run"))
        assert [where for where in (*shown, events, stored) if secret in where] == []
        taken = await service.client.patch(path, json={"credentials": None}, headers=headers)
        assert (taken.json()["has_credentials"], secret in taken.text) == (False, False)
    caller = await acting(service, bank, source)
    async with service.services.tenancy.transaction(
        caller.claims(presented={Purpose.LEASE: str(uuid7())})
    ) as connection:
        assert await connection.fetchval("select sources.own_sealed()") is None


async def test_each_run_is_on_record_with_its_counts_and_who_asked(service: Service) -> None:
    bank = await bank_with_policies(service)
    async with site() as there, reaching(service):
        source = await created(service, bank, there.page("/wires.md", WIRES))
        made = await run(service, bank, source)
    (ran,) = await service.events(bank, action="source:run")
    told = ran["event"]["document_source"]
    assert (ran["event"]["principal"]["kind"], told["run"], told["counts"]["new"]) == ("source", made["id"], 1)
    assert (told["collection"], told["dry_run"]) == (POLICIES, False)
    (asked,) = await service.events(bank, action="source:run_asked")
    assert (asked["event"]["document_source"]["run"], asked["event"]["principal"]["id"]) == (
        made["id"],
        str(bank.users["admin"]),
    )
    headers = await service.as_user(bank, "admin")
    assert (await service.client.delete(f"/sources/{source['id']}", headers=headers)).status_code == 204
    assert len(await documents(service, bank)) == 1
    assert (await service.get(f"/sources/{source['id']}", bank, "admin")).status_code == 404
