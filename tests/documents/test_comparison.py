"""Comparing versions by paragraph."""

from uuid import UUID

import pytest

from backend.documents.versions import comparison
from backend.documents.versions.comparison import ComparedText, compare, paragraphs
from backend.identity.callers.caller import Origin
from tests.factories import approved, create_collection, submit
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


def test_chunks_that_overlap_give_each_paragraph_once() -> None:
    text = "One.\n\nTwo.\n\nThree."
    pieces = [ComparedText(text[0:10], 0, 10), ComparedText(text[6:18], 6, 18)]
    assert paragraphs(pieces) == ["One.", "Two.", "Three."]


@pytest.mark.parametrize("often", [1, 60])
def test_versions_that_would_take_hours_to_compare_are_one_change_between_what_is_the_same(often: int) -> None:
    """Half of the paragraphs are the same, and stand apart: each is looked for beside all others."""
    old, new = ([f"{side} {n}" if n % 2 else f"same {n % often}" for n in range(6_000)] for side in ("old", "new"))
    differences = comparison.compare(["begin", *old, "end"], ["begin", *new, "end"])
    assert [difference.change for difference in differences][:1] == ["same"]
    assert [text for difference in differences for text in difference.before] == ["begin", *old, "end"]
    assert [text for difference in differences for text in difference.after] == ["begin", *new, "end"]
    assert "changed" in {difference.change for difference in differences}


@pytest.mark.parametrize("most", [0, 10, 10**9])
def test_what_is_said_of_a_comparison_holds_whatever_it_may_cost(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_MOST_STEPS", most)
    for old, new in (("abcdef", "abxdef"), ("aaaa", "aaa"), ("", "ab"), ("ab", ""), ("abab", "abab"), ("ab", "cd")):
        found = comparison.compare(list(old), list(new))
        assert "".join(text for one in found for text in one.before) == old
        assert "".join(text for one in found for text in one.after) == new
        assert all(one.before == one.after for one in found if one.change == "same")
        assert all(bool(one.before) == (one.change != "added") for one in found)
        assert all(bool(one.after) == (one.change != "removed") for one in found)


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
