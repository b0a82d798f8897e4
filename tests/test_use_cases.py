"""The three uses of the product on the demo's documents: support, compliance, and triage of claims."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.demo import seed
from backend.embedded_postgres import EmbeddedPostgres
from tests.service import Secrets, Service, cloned_database, running, settings_for

pytestmark = pytest.mark.anyio

BEFORE_2026 = "2025-06-15T12:00:00Z"


@dataclass
class Demo:
    """The seeded demo and its signed-in users."""

    service: Service
    headers: dict[tuple[str, str], dict[str, str]]

    async def post(self, path: str, tenant: str, user: str, body: dict[str, Any]) -> Any:
        answer = await self.service.client.post(path, json=body, headers=self.headers[tenant, user])
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def retrieve(self, tenant: str, user: str, query: str, **changed: Any) -> list[dict[str, Any]]:
        contexts: list[dict[str, Any]] = (await self.post("/retrieve", tenant, user, {"query": query, **changed}))[
            "contexts"
        ]
        return contexts

    async def answer(self, tenant: str, user: str, question: str, **changed: Any) -> dict[str, Any]:
        answered: dict[str, Any] = await self.post("/answer", tenant, user, {"question": question, **changed})
        return answered


@pytest.fixture(scope="module")
async def demo(postgres: EmbeddedPostgres, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Demo]:
    async with (
        cloned_database(postgres) as database,
        running(settings_for(database, run_secrets, model_home), database) as service,
    ):
        credentials = await seed.create_tenants(database.owner_url)
        await seed.submit_documents(service.app, credentials, lambda _: None)
        headers = {}
        for tenant in credentials["tenants"]:
            for user in tenant["users"]:
                form = {"client_id": tenant["slug"], "username": user["username"], "password": user["password"]}
                token = (await service.client.post("/auth/token", data=form)).json()["access_token"]
                headers[tenant["slug"], user["username"]] = {"Authorization": f"Bearer {token}"}
        yield Demo(service, headers)


@pytest.mark.parametrize(
    ("question", "doc_id", "says"),
    [
        (
            "How long do customers have to dispute a billing error on a credit card statement?",
            "card-dispute-procedure",
            "60 days",
        ),
        ("How much does an outgoing domestic wire cost?", "fee-schedule-personal", "$25"),
        ("How old may a proof of address be?", "kyc-document-list", "90 days"),
    ],
)
async def test_support_finds_the_procedure_and_quotes_it(demo: Demo, question: str, doc_id: str, says: str) -> None:
    contexts = await demo.retrieve("meridian-bank", "analyst", question)
    assert contexts[0]["doc_id"] == doc_id
    answered = await demo.answer("meridian-bank", "analyst", question)
    assert says in answered["answer"]
    assert doc_id in {citation["doc_id"] for citation in answered["citations"]}


async def test_support_gets_the_fees_that_are_in_force_and_those_of_the_day_in_question(demo: Demo) -> None:
    query = "monthly maintenance fee of Everyday Checking"
    for moment, version in ((None, 2), (BEFORE_2026, 1)):
        asked = {"k": 20, "source_type": "fee_schedule"} | ({"as_of": moment} if moment else {})
        contexts = await demo.retrieve("meridian-bank", "analyst", query, **asked)
        fees = [context for context in contexts if context["doc_id"] == "fee-schedule-personal"]
        assert {context["document_version"] for context in fees} == {version}


@pytest.mark.parametrize("question", ["What is the capital of Mongolia?", "What does Acme Bank charge for a wire?"])
async def test_support_is_told_that_nothing_answers(demo: Demo, question: str) -> None:
    answered = await demo.answer("meridian-bank", "analyst", question)
    assert (answered["refused"], answered["citations"]) == (True, [])


async def test_compliance_reads_the_guidance_of_the_moment_it_asks_about(demo: Demo) -> None:
    question = "How many business days before publication is marketing copy submitted to compliance?"
    now = await demo.answer("meridian-bank", "approver", question)
    then = await demo.answer("meridian-bank", "approver", question, as_of=BEFORE_2026)
    for answered, version, says in ((now, 2, "ten business days"), (then, 1, "five business days")):
        (cited,) = {
            (citation["doc_id"], citation["document_version"])
            for citation in answered["citations"]
            if citation["doc_id"] == "marketing-disclosure-guidance"
        }
        assert cited == ("marketing-disclosure-guidance", version)
        assert says in answered["answer"]


async def test_what_is_privileged_stays_with_those_it_was_granted_to(demo: Demo) -> None:
    query = "class action about overdraft fees"
    seen = {context["collection"] for context in await demo.retrieve("meridian-bank", "editor", query, k=50)}
    hidden = {context["collection"] for context in await demo.retrieve("meridian-bank", "analyst", query, k=50)}
    assert "legal-privileged" in seen
    assert "legal-privileged" not in hidden


async def test_claims_notes_are_found_by_the_claims_team_alone(demo: Demo) -> None:
    query = "hail damage on an old roof, replacement cost or actual cash value"
    handled = await demo.retrieve("harbor-insurance", "claims-handler", query, k=5)
    assert "case-2026-0071" in {context["doc_id"] for context in handled}
    others = await demo.retrieve("harbor-insurance", "analyst", query, k=50)
    assert others
    assert "claims-files" not in {context["collection"] for context in others}
    refused = await demo.service.client.post(
        "/retrieve",
        json={"query": query, "collection": "claims-files"},
        headers=demo.headers["harbor-insurance", "analyst"],
    )
    assert refused.status_code == 404


async def test_who_read_a_claims_note_is_on_record(demo: Demo) -> None:
    await demo.retrieve("harbor-insurance", "claims-handler", "hail on an old roof")
    answer = await demo.service.client.get(
        "/audit/documents/case-2026-0071/readers", headers=demo.headers["harbor-insurance", "compliance"]
    )
    assert {reader["principal_name"] for reader in answer.json()["readers"]} == {"claims-handler"}


async def test_underwriting_guidelines_follow_the_edition_in_force(demo: Demo) -> None:
    query = "roof age and replacement cost in homeowners underwriting"
    for moment, version in ((None, 2), (BEFORE_2026, 1)):
        asked = {"as_of": moment} if moment else {}
        contexts = await demo.retrieve("harbor-insurance", "analyst", query, k=30, **asked)
        editions = {c["document_version"] for c in contexts if c["doc_id"] == "underwriting-homeowners"}
        assert editions == {version}


async def test_the_two_tenants_find_nothing_of_each_other(demo: Demo) -> None:
    banks = {context["doc_id"] for context in await demo.retrieve("meridian-bank", "editor", "claims and fees", k=100)}
    insurers = {
        context["doc_id"] for context in await demo.retrieve("harbor-insurance", "editor", "claims and fees", k=100)
    }
    assert banks
    assert insurers
    assert banks.isdisjoint(insurers)
