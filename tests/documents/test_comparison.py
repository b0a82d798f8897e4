"""Comparing versions by paragraph."""

from uuid import UUID

import pytest

from backend.documents.versions.comparison import ComparedText, compare, paragraphs
from backend.identity.callers.caller import Origin
from tests.factories import approved, create_collection, submit
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


def test_chunks_that_overlap_give_each_paragraph_once() -> None:
    text = "One.\n\nTwo.\n\nThree."
    pieces = [ComparedText(text[0:10], 0, 10), ComparedText(text[6:18], 6, 18)]
    assert paragraphs(pieces) == ["One.", "Two.", "Three."]


def test_differences_come_in_reading_order() -> None:
    found = compare(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"])
    assert [(d.change, d.before, d.after) for d in found] == [
        ("same", ("a",), ("a",)),
        ("changed", ("b",), ("x",)),
        ("same", ("c", "d"), ("c", "d")),
        ("added", (), ("e",)),
    ]


async def test_two_versions_are_compared_by_who_may_see_both(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    await create_collection(service, tenant)
    first = await approved(service, tenant, "fees", "Fees are yearly.", "A wire costs $30.", "Checks are free.")
    await submit(
        service, tenant, "fees", "Fees are yearly.", "A wire costs $25.", "Checks are free.", "Cards are free."
    )
    path = f"/documents/{first['document_id']}/diff"
    compared = await service.get(path, tenant, "approver", **{"from": 1, "to": 2})
    assert [(d["change"], d["before"], d["after"]) for d in compared.json()["differences"]] == [
        ("same", ["Fees are yearly."], ["Fees are yearly."]),
        ("changed", ["A wire costs $30."], ["A wire costs $25."]),
        ("same", ["Checks are free."], ["Checks are free."]),
        ("added", [], ["Cards are free."]),
    ]
    assert (await service.get(path, tenant, "analyst", **{"from": 1, "to": 2})).status_code == 404
    assert (await service.get(path, other_tenant, "approver", **{"from": 1, "to": 1})).status_code == 404
    assert (await service.get(path, tenant, "approver", **{"from": 0, "to": 1})).status_code == 422


async def test_the_answers_that_cited_a_version_are_found(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    first = await approved(service, tenant, "wires", "A wire recall takes five business days.")
    question = {"question": "How many business days does a wire recall take?"}
    old = (await service.post("/answer", tenant, "analyst", question)).json()
    assert not old["refused"]
    await approved(service, tenant, "wires", "A wire recall takes three business days.")
    new = (await service.post("/answer", tenant, "editor", question)).json()
    path = f"/documents/{first['document_id']}/versions"
    for number, answered, username in ((1, old, "analyst"), (2, new, "editor")):
        impact = (await service.get(f"{path}/{number}/impact", tenant, "compliance", days=1)).json()
        assert [(a["event_id"], a["principal_name"]) for a in impact["answers"]] == [
            (answered["audit_event_id"], username)
        ]
    (read, *_) = await service.events(tenant, action="audit:read")
    assert read["event"]["read"] == {"impact_of": "wires", "version": 2, "days": 1}
    assert (await service.get(f"{path}/1/impact", tenant, "approver")).status_code == 403
    assert (await service.get(f"{path}/1/impact", other_tenant, "compliance")).status_code == 404


async def test_a_reviewer_is_told_how_many_answers_a_change_concerns_and_nothing_else(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    first = await approved(service, tenant, "recalls", "A card recall takes nine business days.")
    path = f"/documents/{first['document_id']}/answers/count"
    assert (await service.get(path, tenant, "approver")).json()["answers"] == 0
    for _ in range(2):
        question = {"question": "How many business days does a card recall take?"}
        assert not (await service.post("/answer", tenant, "analyst", question)).json()["refused"]
    await service.events(tenant, document="recalls")  # so that the events are indexed
    counted = (await service.get(path, tenant, "approver")).json()
    assert (counted["doc_id"], counted["answers"]) == ("recalls", 2)
    assert (await service.get(path, tenant, "analyst")).status_code == 403
    assert (await service.get(path, other_tenant, "approver")).status_code == 404
    # SQL in the place of a caller without documents:review, or of another tenant, counts nothing.
    for where, username, expected in ((tenant, "approver", 2), (tenant, "analyst", 0), (other_tenant, "approver", 0)):
        caller = await service.services.resolver.resolve(await service.token(where, username), Origin("count"))
        async with service.services.tenancy.transaction(caller.claims()) as connection:
            count = "select audit.count_answers_from($1, '00000000-0000-0000-0000-000000000000')"
            assert await connection.fetchval(count, UUID(first["document_id"])) == expected
