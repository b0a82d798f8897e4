"""The page of evaluations: what was approved, what differs, how runs went, and the second person's decision."""

from dataclasses import replace

import pytest

from backend.identity.callers.permissions import Role
from tests import factories
from tests.console.visits import send, visiting
from tests.evaluation.test_runs import QUESTIONS, write
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

PAGE = "/console/approvals/evaluations"


@pytest.fixture
async def bank(service: Service) -> Tenant:
    tenant = await service.create_tenant()
    await service.add_user(tenant, "approver2", Role.APPROVER)
    await factories.ingest(service, tenant, "wires", "An outgoing domestic wire costs $25 for each transfer.")
    return tenant


async def test_a_set_and_its_run_are_approved_by_the_second_person(service: Service, bank: Tenant) -> None:
    async with visiting(service, bank, "approver") as first, visiting(service, bank, "approver2") as second:
        assert "No run was approved yet." in (await first.get(PAGE)).text
        await write(service, bank, "fees", [*QUESTIONS, {"question": "<b>Wires?</b>", "expected": "refusal"}])
        shown = (await first.get(PAGE)).text
        assert "another person must approve it" in shown
        assert "&lt;b&gt;Wires?&lt;/b&gt;" in shown
        approved = await send(second, PAGE, f"{PAGE}/sets/fees/1/approve")
        assert approved.headers["location"] == PAGE
        started = await send(first, PAGE, f"{PAGE}/sets/fees/run")
        run = started.headers["location"]
        assert "It is under way" in (await first.get(run)).text
        made = await factories.evaluated(service, bank, {"id": run.rpartition("/")[2]})
        assert made["passed"] == 3
        own = (await first.get(run)).text
        assert "You started it, so another person must approve it." in own
        assert f'action="{run}/approve"' not in own
        assert "another document cited" not in own
        assert (await send(second, run, f"{run}/approve")).headers["location"] == run
        shown = (await second.get(PAGE)).text
        assert "Yes: everything that decides an answer is as it was" in shown
        assert '<rect class="bar good"' in shown
        assert "3 of 4" in shown
        kept = service.services.answering
        try:
            service.exchange(answering=replace(kept, chunking="90/90/0"))
            assert "it differs from the approved run in size of chunks" in (await second.get(PAGE)).text
        finally:
            service.exchange(answering=kept)


async def test_who_does_not_review_sees_no_evaluations(service: Service, bank: Tenant) -> None:
    async with visiting(service, bank, "analyst") as client:
        assert (await client.get(PAGE)).status_code == 403


async def test_it_speaks_german(service: Service, bank: Tenant) -> None:
    async with visiting(service, bank, "approver") as client:
        page = await client.get(PAGE, headers={"Accept-Language": "de"})
        assert "Wird noch so geantwortet, wie es freigegeben wurde?" in page.text
