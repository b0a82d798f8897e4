"""`affidavit evaluate`: writes a set from a file, runs it, says what differs, and exits 1 when it is worse."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from click.testing import Result
from typer.testing import CliRunner

from backend.cli import app as cli
from backend.identity.callers.permissions import Role
from backend.jobs.worker import Worker
from tests import factories
from tests.evaluation.test_runs import QUESTIONS, approve_run, approve_set
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def url(service: Service, address: str) -> AsyncIterator[str]:
    """The service on a socket, with a worker."""
    working = asyncio.create_task(Worker(service.services.tenancy, service.services.job_handlers()).run())
    yield address
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


@pytest.fixture(scope="module")
async def bank(service: Service) -> Tenant:
    tenant = await service.create_tenant()
    await service.add_user(tenant, "approver2", Role.APPROVER)
    await factories.ingest(service, tenant, "wires", "An outgoing domestic wire costs $25 for each transfer.")
    await factories.ingest(service, tenant, "cards", "The daily limit for card purchases is $5,000.")
    return tenant


async def evaluate(url: str, tenant: Tenant, *arguments: str) -> Result:
    given = ["evaluate", *arguments, "--tenant", tenant.slug, "--username", "approver", "--url", url]
    environment = {"AFFIDAVIT_PASSWORD": PASSWORD, "COLUMNS": "200"}
    return await to_thread.run_sync(lambda: CliRunner().invoke(cli, given, env=environment))


def lines(file: Path, questions: Any) -> Path:
    file.write_text("\n".join(json.dumps(question) for question in questions) + "\n\n")
    return file


async def test_a_set_of_a_file_is_run_and_fails_when_it_is_worse(
    service: Service, bank: Tenant, url: str, tmp_path: Path
) -> None:
    file = str(lines(tmp_path / "questions.jsonl", QUESTIONS))
    first = await evaluate(url, bank, "fees", "--set", file, "--json")
    assert first.exit_code == 0, first.output
    made = json.loads(first.stdout)
    assert (made["version"], made["passed"], made["compared"]) == (1, 3, None)
    assert (await approve_set(service, bank, "fees", 1)).status_code == 200
    assert (await approve_run(service, bank, made)).status_code == 200
    again = await evaluate(url, bank, "fees", "--set", file)
    assert again.exit_code == 0, again.output
    assert f"Not worse than the approved run {made['id']}; different since: nothing." in again.output
    listed = (await service.get("/evaluations/sets", bank, "approver")).json()["sets"]
    assert [one["newest_version"] for one in listed] == [1], "what asks the same is not written again"
    headers = await service.as_user(bank, "editor")
    body = {"chunks": [{"chunk_text": "Cards are white."}], "source_type": "policy"}
    replaced = await service.client.put("/documents/by-doc-id/cards/chunks", json=body, headers=headers)
    assert replaced.is_success, replaced.text
    worse = await evaluate(url, bank, "fees")
    assert worse.exit_code == 1, worse.output
    assert "2 of 3 passed." in worse.output
    assert f"Worse than the approved run {made['id']}; different since: index." in worse.output


async def test_another_question_makes_another_version(service: Service, bank: Tenant, url: str, tmp_path: Path) -> None:
    await evaluate(url, bank, "grown", "--set", str(lines(tmp_path / "one.jsonl", QUESTIONS[:1])))
    grown = await evaluate(url, bank, "grown", "--set", str(lines(tmp_path / "two.jsonl", QUESTIONS[:2])), "--json")
    assert json.loads(grown.stdout)["version"] == 2, grown.output


async def test_a_file_that_is_no_set_is_refused_by_its_line(bank: Tenant, url: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text('{"question": "What?", "expected": "refusal"}\nno\n')
    broken = await evaluate(url, bank, "broken", "--set", str(file))
    assert (broken.exit_code, "line 2 is no JSON object" in broken.output) == (2, True), broken.output
    file.write_text('{"question": "What?", "expected": "refusal", "value": "x"}\n')
    refused = await evaluate(url, bank, "broken", "--set", str(file))
    assert (refused.exit_code, "name the document or the words" in refused.output) == (1, True), refused.output
    file.write_text("\n")
    empty = await evaluate(url, bank, "broken", "--set", str(file))
    assert (empty.exit_code, "has no question" in empty.output) == (2, True), empty.output


async def test_a_set_that_is_not_there_is_said_in_a_sentence(bank: Tenant, url: str) -> None:
    unknown = await evaluate(url, bank, "unknown")
    assert (unknown.exit_code, "error:" in unknown.output) == (1, True), unknown.output
