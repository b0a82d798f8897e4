"""The documents of the demo: in their versions, approved by somebody else, each in force in its own time."""

from typing import Any

import httpx
import pytest

from backend.demo import content, seed
from tests.service import Service

pytestmark = pytest.mark.anyio

FEE = {"question": "What is the overdraft fee?"}
MARKETING = {"query": "When must marketing copy be submitted to compliance?", "collection": "compliance-guidance"}


@pytest.fixture(scope="module")
async def credentials(service: Service) -> dict[str, Any]:
    credentials = await seed.create_tenants(service.database.owner_url)
    for _ in range(2):  # the second time goes on where the first was interrupted: it finds everything done
        await seed.submit_documents(service.app, credentials, print)
        await seed.evaluate(service.app, credentials, print)
    return credentials


async def headers(service: Service, credentials: dict[str, Any], username: str) -> dict[str, str]:
    tenant = credentials["tenants"][0]
    password = next(user["password"] for user in tenant["users"] if user["username"] == username)
    form = {"username": username, "password": password, "client_id": tenant["slug"]}
    token = (await service.client.post("/auth/token", data=form)).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


async def test_every_version_is_submitted_once_and_in_its_own_time(
    service: Service, credentials: dict[str, Any]
) -> None:
    editor = await headers(service, credentials, "editor")
    listed = (await service.client.get("/documents", params={"limit": 100}, headers=editor)).json()["documents"]
    found = set()
    for document in listed:
        known: httpx.Response = await service.client.get(f"/documents/{document['id']}", headers=editor)
        for version in known.json()["versions"]:
            found.add((document["doc_id"], version["document_version"], version["effective_from"][:10]))
    meridian = content.load("meridian-bank")
    assert found == {(d.doc_id, d.version, d.effective_from.isoformat()) for d in meridian}


async def test_a_past_moment_shows_the_fee_of_its_time(service: Service, credentials: dict[str, Any]) -> None:
    analyst = await headers(service, credentials, "analyst")
    today = (await service.client.post("/answer", json=FEE, headers=analyst)).json()
    assert ("$20" in today["answer"], "$34" in today["answer"]) == (True, False)
    then = {**FEE, "as_of": "2025-07-01T00:00:00Z"}
    past = (await service.client.post("/answer", json=then, headers=analyst)).json()
    assert ("$34" in past["answer"], "$20" in past["answer"]) == (True, False)


async def test_who_also_reads_the_privileged_memorandum_finds_the_fee_in_the_schedule_first(
    service: Service, credentials: dict[str, Any]
) -> None:
    approver = await headers(service, credentials, "approver")
    answer = (await service.client.post("/answer", json=FEE, headers=approver)).json()
    assert answer["answer"].startswith("The overdraft fee is $20"), answer["answer"]
    found = (await service.client.post("/retrieve", json={"query": FEE["question"]}, headers=approver)).json()
    assert found["contexts"][0]["doc_id"] == "fee-schedule-personal"
    assert "overdraft-class-action-memo" in {context["doc_id"] for context in found["contexts"]}


async def test_guidance_was_approved_by_somebody_else_than_its_author(
    service: Service, credentials: dict[str, Any]
) -> None:
    approver = await headers(service, credentials, "approver")
    wanted = {"collection": "compliance-guidance"}
    (document,) = (await service.client.get("/documents", params=wanted, headers=approver)).json()["documents"]
    versions = (await service.client.get(f"/documents/{document['id']}", headers=approver)).json()["versions"]
    assert [(v["document_version"], v["status"]) for v in versions] == [(2, "approved"), (1, "superseded")]
    for version in versions:
        (decision,) = version["decisions"]
        assert decision["approver_id"] != version["author_id"]
    assert (await service.client.post("/retrieve", json=MARKETING, headers=approver)).json()["contexts"]


async def test_two_runs_are_approved_and_a_change_waits_for_its_second_person(
    service: Service, credentials: dict[str, Any]
) -> None:
    second = await headers(service, credentials, "second-approver")
    runs = (await service.client.get("/evaluations/runs", headers=second)).json()["runs"]
    assert [(run["passed"], run["questions"], run["approved_at"] is not None) for run in runs] == [
        (3, 3, False), (3, 3, True), (3, 3, True),
    ]  # fmt: skip
    (change,) = (await service.client.get("/changes", headers=second)).json()["changes"]
    assert (change["state"], change["runs"]) == ("tried", [runs[0]["id"]])
    analyst = await headers(service, credentials, "analyst")
    answer = (await service.client.post("/answer", json=FEE, headers=analyst)).json()
    compliance = await headers(service, credentials, "compliance")
    event = (await service.client.get(f"/audit/events/{answer['audit_event_id']}", headers=compliance)).json()["event"]
    assert event["answer"]["evaluation"] == {"run": runs[1]["id"]}
    approved = await service.client.post(f"/evaluations/runs/{runs[0]['id']}/approve", json={}, headers=second)
    assert approved.status_code == 200, approved.text
    policy = (await service.client.get("/answer/policy", headers=analyst)).json()
    assert policy["support_levels"] == ["verbatim"]


async def test_the_number_of_an_account_is_masked_in_what_is_found_and_its_kind_is_counted(
    service: Service, credentials: dict[str, Any]
) -> None:
    analyst = await headers(service, credentials, "analyst")
    wanted = {"query": "Which transfer was sent twice?", "collection": seed.MASKED[0]}
    found = (await service.client.post("/retrieve", json=wanted, headers=analyst)).json()["contexts"]
    text = " ".join(context["chunk_text"] for context in found)
    assert ("the landlord's account" in text, "5698" in text) == (True, False), text
