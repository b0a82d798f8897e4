"""Review in the console: filters and facets, searches, counts, verdicts, exports, holds and erasures by two people."""

import re

import pytest

from backend.identity.callers.permissions import Role
from backend.jobs.worker import Worker
from backend.review.exports.jobs import EXPORT, ExportHandler
from tests.console.visits import form_token, send, visiting
from tests.factories import ingest
from tests.service import Database, Service, Tenant, sealing

pytestmark = pytest.mark.anyio

QUESTION = {"question": "What does an outgoing domestic wire transfer cost?"}
REVIEW = "/console/review"


@pytest.fixture(scope="module")
async def turn(service: Service, tenant: Tenant) -> str:
    await ingest(service, tenant, "wires", "An outgoing domestic wire transfer costs 25 dollars.")
    answered: str = (await service.post("/answer", tenant, "analyst", QUESTION)).json()["turn"]
    return answered


async def test_facets_lead_to_events_and_a_search_is_kept_run_and_forgotten(
    service: Service, tenant: Tenant, turn: str
) -> None:
    async with visiting(service, tenant, "compliance") as client:
        shown = await client.get(REVIEW)
        assert "/console/review?action=answer%3Areturned" in shown.text
        filtered = await client.get(REVIEW, params={"action": "answer:returned", "actor": "analyst"})
        assert "answer:returned" in filtered.text
        assert ">retrieval:executed</a>" not in filtered.text
        form = {"form_token": form_token(filtered), "name": "Answers", "filters": "action=answer:returned\n"}
        kept = await client.post(f"{REVIEW}/searches", data=form)
        assert kept.headers["location"] == f"{REVIEW}?action=answer%3Areturned"
        listed = (await client.get(REVIEW)).text
        forget = re.search(r'action="(/console/review/searches/[^"]+/delete)"', listed)
        assert forget is not None
        assert "Forget Answers" in listed
        await client.post(forget[1], data={"form_token": form["form_token"]})
        assert "Forget Answers" not in (await client.get(REVIEW)).text
        wrong = await client.get(REVIEW, params={"from": "yesterday"})
        assert wrong.status_code == 422


async def test_counts_stand_in_a_plot_and_in_a_table(service: Service, tenant: Tenant, turn: str) -> None:
    async with visiting(service, tenant, "compliance") as client:
        shown = (await client.get(f"{REVIEW}/counts", params={"by": "action", "only": "answer:returned"})).text
    assert re.search(r'<rect class="bar [^"]*"[^>]*><title>[^<]*: 1</title>', shown)
    assert re.search(r"answer:returned</th><td class=\"number\">1</td>", shown)


async def test_a_reported_answer_waits_until_a_reviewer_says_whether_it_was_right(
    service: Service, tenant: Tenant, turn: str
) -> None:
    async with visiting(service, tenant, "analyst") as client:
        page = f"/console/turns/{turn}/feedback"
        given = await send(client, page, page, rating="wrong", comment="It is 30 dollars.")
        assert "it is on record" in given.text
    async with visiting(service, tenant, "compliance") as client:
        waiting = await client.get(f"{REVIEW}/quality")
        assert "nobody has looked" in waiting.text
        assert f"{REVIEW}/turns/{turn}?because=reported" in waiting.text
        assert f"{REVIEW}/turns/{turn}?because=sampled" in waiting.text
        revealed = await send(client, f"{REVIEW}/turns/{turn}", f"{REVIEW}/turns/{turn}", reason="It was reported")
        assert "It is 30 dollars." in revealed.text
        verdict = {
            "form_token": form_token(revealed),
            "verdict": "correct",
            "because": "reported",
            "comment": "It is 25.",
        }
        assert (await client.post(f"{REVIEW}/turns/{turn}/verdict", data=verdict)).status_code == 303
        after = (await client.get(f"{REVIEW}/quality")).text
    assert "nobody has looked" not in after
    assert f"{REVIEW}/turns/{turn}?because=sampled" not in after  # nobody draws it again
    assert re.search(r'reported</th><td class="number">1</td><td class="number">0</td>', after)
    (event,) = await service.events(tenant, action="answer:reviewed", limit=2)
    assert (event["event"]["turn"], event["event"]["verdict"]) == (turn, "correct")
    again = await service.post(f"/audit/turns/{turn}/verdict", tenant, "compliance", {"verdict": "wrong"})
    assert again.status_code == 201
    counts = (await service.get("/audit/verdicts", tenant, "compliance")).json()["counts"]
    assert counts == [{"because": "reported", "verdict": "wrong", "answers": 1}]  # the last verdict counts


async def test_a_verdict_is_of_an_answer_of_the_tenant(
    service: Service, tenant: Tenant, other_tenant: Tenant, turn: str
) -> None:
    other = await service.post(f"/audit/turns/{turn}/verdict", other_tenant, "compliance", {"verdict": "wrong"})
    assert other.status_code == 404
    assert (await service.get("/audit/feedback", other_tenant, "compliance")).json()["answers"] == []


async def test_a_retrieval_run_again_finds_the_same(service: Service, tenant: Tenant, turn: str) -> None:
    async with visiting(service, tenant, "compliance") as client:
        page = await client.get(f"{REVIEW}/turns/{turn}")
        action = re.search(r'action="(/console/review/events/[^"]+/replay)"', page.text)
        assert action is not None
        form = {"form_token": form_token(page), "reason": "Complaint 2026-14"}
        done = await client.post(action[1], data=form)
    assert "It finds the same" in done.text


async def test_an_export_is_asked_for_followed_fetched_and_listed(
    service: Service, tenant: Tenant, database: Database, turn: str
) -> None:
    async with sealing(database), visiting(service, tenant, "compliance") as client:
        days = {"begin": "2020-01-01", "end": "2040-01-01", "kind": "jsonl"}
        asked = await send(client, f"{REVIEW}/exports", f"{REVIEW}/exports", **days)
        assert asked.status_code == 303, asked.text
        place = asked.headers["location"]
        assert "being written" in (await client.get(place)).text
        own = service.services
        assert await Worker(
            own.tenancy, {EXPORT: ExportHandler(own.files, own.payloads, own.recorder, own.pseudonym_keys)}
        ).work_once()
        assert "The export is ready" in (await client.get(place)).text
        fetched = await client.get(f"{place}/file")
        assert fetched.headers["content-disposition"].startswith("attachment")
        assert b'"answer:returned"' in fetched.content
        assert place in (await client.get(f"{REVIEW}/exports")).text
        reversed_days = await send(
            client, f"{REVIEW}/exports", f"{REVIEW}/exports", begin="2040-01-01", end="2020-01-01"
        )
        assert reversed_days.status_code == 422


async def test_a_hold_is_placed_by_one_and_released_by_two(service: Service, tenant: Tenant) -> None:
    await service.add_user(tenant, "compliance2", Role.COMPLIANCE)
    async with visiting(service, tenant, "compliance") as first, visiting(service, tenant, "compliance2") as second:
        placed = await send(first, f"{REVIEW}/holds", f"{REVIEW}/holds", subject="analyst", reason="Subpoena 2026-17")
        assert placed.status_code == 303, placed.text
        shown = await first.get(f"{REVIEW}/holds")
        release = re.search(r'action="(/console/review/holds/[^"]+/release)"', shown.text)
        assert release is not None
        asked = await send(first, f"{REVIEW}/holds", release[1])
        assert asked.headers["location"].endswith("said=pending")
        assert "waiting for a second person" in (await second.get(f"{REVIEW}/holds")).text
        done = await send(second, f"{REVIEW}/holds", release[1])
        assert done.headers["location"].endswith("said=released")


async def test_an_erasure_is_decided_by_another_person(service: Service, tenant: Tenant) -> None:
    await service.add_user(tenant, "privacy2", Role.PRIVACY)
    page = f"{REVIEW}/erasures"
    async with visiting(service, tenant, "privacy") as first, visiting(service, tenant, "privacy2") as second:
        asked = await send(first, page, page, subject="editor", legal_basis="GDPR article 17, request 113")
        assert asked.status_code == 303, asked.text
        assert "/approve" not in (await first.get(page)).text
        action = re.search(r'action="(/console/review/erasures/[^"]+/approve)"', (await second.get(page)).text)
        assert action is not None
        own = await first.post(action[1], data={"form_token": form_token(await first.get(page))})
        assert own.status_code == 403
        assert (await send(second, page, action[1])).headers["location"].endswith("said=erased")
    assert len(await service.events(tenant, action="erasure:executed")) == 1
