"""Exports over HTTP, written by a worker, proved by the offline verifier."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.audit import verifier
from backend.audit.export_jobs import EXPORT, ExportHandler
from backend.jobs.worker import Worker
from tests.audit.test_tampering import KEY, Log
from tests.conftest import Database, Service, Tenant

pytestmark = pytest.mark.anyio

QUESTION = "What does a wire transfer cost?"


@pytest.fixture
async def log(service: Service, database: Database, tmp_path: Path) -> Log:
    tenant = await service.create_tenant()
    log = Log(service, tenant, database, tmp_path)
    assert (await service.post("/retrieve", tenant, "analyst", {"query": QUESTION})).status_code == 200
    return log


async def export(log: Log, user: str = "compliance", **asked: Any) -> bytes:
    """Asks for an export, has it written, and fetches it."""
    now = datetime.now(UTC)
    body = {"from": (now - timedelta(days=1)).isoformat(), "to": now.isoformat(), **asked}
    answer = await log.service.post("/audit/exports", log.tenant, user, body)
    assert answer.status_code == 202, answer.text
    await log.seal()
    state = log.service.app.state
    worker = Worker(state.tenancy, {EXPORT: ExportHandler(state.files, state.vault, state.recorder)})
    assert await worker.work_once()
    job = await log.service.get(f"/jobs/{answer.json()['job_id']}", log.tenant, user)
    assert job.json()["status"] == "succeeded", job.text
    done = await log.service.get(f"/audit/exports/{answer.json()['id']}", log.tenant, user)
    fetched = await log.service.get(f"/audit/exports/{answer.json()['id']}/file", log.tenant, user)
    assert fetched.status_code == 200, fetched.text
    assert len(fetched.content) == done.json()["size"]
    return fetched.content


async def test_a_bundle_verifies_offline_and_reveals_what_was_asked(log: Log) -> None:
    path = log.folder / "bundle.zip"
    path.write_bytes(await export(log, reveal=True, reason="yearly review"))
    report = verifier.verify(path, str(KEY.verifier_key))
    assert report.ok, list(report.lines())
    assert any("payloads" in line for line in report.lines())


async def test_json_lines_describe_themselves_and_hold_every_event(log: Log) -> None:
    header, *lines = map(json.loads, (await export(log, format="jsonl")).splitlines())
    assert (header["schema"], header["truncated"]) == ("affidavit-jsonl/1", False)
    assert [line["leaf"] for line in lines] == list(range(header["end_leaf"]))
    assert QUESTION not in json.dumps(lines)  # texts only when revealed


async def test_csv_is_rfc_4180(log: Log) -> None:
    text = (await export(log, format="csv", filters={"action": "retrieval:executed"})).decode()
    assert text.endswith("\r\n")
    _, columns, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert {row[columns.index("action")] for row in rows} == {"retrieval:executed"}


async def test_who_may_not_export_or_reveal_is_refused_and_so_are_bad_periods(log: Log) -> None:
    now = datetime.now(UTC).isoformat()
    good = {"from": "2026-01-01T00:00:00Z", "to": now}
    for role in ("admin", "analyst", "editor", "partner", "privacy"):
        assert (await log.service.post("/audit/exports", log.tenant, role, good)).status_code == 403
    for bad in (
        {**good, "from": now, "to": "2026-01-01T00:00:00Z"},
        {**good, "reveal": True},
        {**good, "format": "pdf"},
    ):
        assert (await log.service.post("/audit/exports", log.tenant, "compliance", bad)).status_code == 422


async def test_another_tenants_export_is_not_found(log: Log, other_tenant: Tenant) -> None:
    now = datetime.now(UTC).isoformat()
    asked = {"from": "2026-01-01T00:00:00Z", "to": now}
    answer = await log.service.post("/audit/exports", log.tenant, "compliance", asked)
    for path in ("", "/file"):
        foreign = await log.service.get(f"/audit/exports/{answer.json()['id']}{path}", other_tenant, "compliance")
        assert foreign.status_code == 404
