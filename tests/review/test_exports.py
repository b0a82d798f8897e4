"""Exports over HTTP, written by a worker, proved by the offline verifier."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from backend.jobs.worker import Worker
from backend.ledger import verifier
from backend.review.exports import service as exports
from backend.review.exports.jobs import EXPORT, PART_LEAVES, ExportHandler
from tests.ledger.sealed_log import KEY, SealedLog, kinds
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio

QUESTION = "What does a wire transfer cost?"


@pytest.fixture
async def log(service: Service, database: Database, tmp_path: Path) -> SealedLog:
    tenant = await service.create_tenant()
    log = SealedLog(service, tenant, database, tmp_path)
    assert (await service.post("/retrieve", tenant, "analyst", {"query": QUESTION})).status_code == 200
    return log


async def export(log: SealedLog, user: str = "compliance", *, part_leaves: int = PART_LEAVES, **asked: Any) -> bytes:
    """Asks for an export, has it written, and fetches it."""
    now = datetime.now(UTC)
    body = {"from": (now - timedelta(days=1)).isoformat(), "to": now.isoformat(), **asked}
    answer = await log.service.post("/audit/exports", log.tenant, user, body)
    assert answer.status_code == 202, answer.text
    await log.seal()
    own = log.service.services
    worker = Worker(
        own.tenancy, {EXPORT: ExportHandler(own.files, own.payloads, own.recorder, own.pseudonym_keys, part_leaves)}
    )
    while await worker.work_once():
        pass  # another test may have left a job that is older
    job = await log.service.get(f"/jobs/{answer.json()['job_id']}", log.tenant, user)
    assert job.json()["status"] == "succeeded", job.text
    done = await log.service.get(f"/audit/exports/{answer.json()['id']}", log.tenant, user)
    fetched = await log.service.get(f"/audit/exports/{answer.json()['id']}/file", log.tenant, user)
    assert fetched.status_code == 200, fetched.text
    assert len(fetched.content) == done.json()["size"]
    return fetched.content


async def test_a_bundle_verifies_offline_and_reveals_what_was_asked(log: SealedLog) -> None:
    path = log.folder / "bundle.zip"
    path.write_bytes(await export(log, reveal=True, reason="yearly review"))
    report = verifier.verify(path, str(KEY.verifier_key))
    assert report.ok, list(report.lines())
    assert any("payloads" in line for line in report.lines())


async def test_a_bundle_leaves_out_checkpoints_of_which_there_are_many(
    log: SealedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        await log.seal()
        assert (await log.service.post("/retrieve", log.tenant, "analyst", {"query": QUESTION})).status_code == 200
    monkeypatch.setattr(exports, "MAX_CHECKPOINTS", 6)
    path = log.folder / "bundle.zip"
    path.write_bytes(await export(log))
    report = verifier.verify(path, str(KEY.verifier_key))
    assert report.ok, list(report.lines())
    assert 2 <= len(list(verifier.notes_in(path))) <= 6
    assert any("every leaf sealed from the beginning" in line for line in report.lines())


async def test_json_lines_describe_themselves_and_hold_every_event(log: SealedLog) -> None:
    header, *lines = map(json.loads, (await export(log, format="jsonl")).splitlines())
    assert (header["schema"], header["truncated"]) == ("affidavit-jsonl/1", False)
    assert [line["leaf"] for line in lines] == list(range(header["end_leaf"]))
    assert QUESTION not in json.dumps(lines)  # texts only when revealed


async def test_personal_data_in_revealed_texts_can_be_under_pseudonyms_but_in_no_bundle(log: SealedLog) -> None:
    asked = {"query": "What is known of jane.roe@example.com?"}
    assert (await log.service.post("/retrieve", log.tenant, "analyst", asked)).status_code == 200
    revealed = {"format": "jsonl", "reveal": True, "reason": "for a consultant"}
    assert "jane.roe@example.com" in (await export(log, **revealed)).decode()
    redacted = (await export(log, **revealed, redact=True)).decode()
    assert "jane.roe@example.com" not in redacted
    assert "What is known of [EMAIL-" in redacted
    (event,) = await log.service.events(log.tenant, action="audit:exported", limit=1)
    assert event["event"]["export"]["redact"] is True
    now = datetime.now(UTC).isoformat()
    bundle = {"from": "2026-01-01T00:00:00Z", "to": now, "redact": True, "reveal": True, "reason": "for a consultant"}
    assert (await log.service.post("/audit/exports", log.tenant, "compliance", bundle)).status_code == 422


async def test_csv_is_rfc_4180(log: SealedLog) -> None:
    text = (await export(log, format="csv", filters={"action": "retrieval:executed"})).decode()
    assert text.endswith("\r\n")
    _, columns, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert {row[columns.index("action")] for row in rows} == {"retrieval:executed"}


async def test_who_may_not_export_or_reveal_is_refused_and_so_are_bad_periods(log: SealedLog) -> None:
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


@pytest.mark.parametrize("kind", ["bundle", "jsonl", "csv"])
async def test_a_long_export_comes_in_parts_that_are_proved_each_and_together(log: SealedLog, kind: str) -> None:
    for _ in range(2):
        await log.seal()
        await log.act(4)
    asked = {"reveal": True, "reason": "yearly review"} if kind == "bundle" else {}
    listed = json.loads(await export(log, part_leaves=4, format=kind, **asked))
    fetched = [await part_of(log, listed["export"], part["number"]) for part in listed["parts"]]
    assert listed["schema"] == "affidavit-parts/1"
    assert len(fetched) >= 3
    assert [sha256(content).hexdigest() for content in fetched] == [part["sha256"] for part in listed["parts"]]
    ends = [0, *(part["end_leaf"] for part in listed["parts"])]
    assert [part["first_leaf"] for part in listed["parts"]] == ends[:-1]
    assert listed["events"] == ends[-1]
    if kind == "bundle":
        paths = [log.folder / f"part-{number}.zip" for number in range(len(fetched))]
        for path, content in zip(paths, fetched, strict=True):
            path.write_bytes(content)
            assert verifier.verify(path, str(KEY.verifier_key)).ok
        assert verifier.verify_together(paths, str(KEY.verifier_key)).ok
        assert "GAP" in kinds(verifier.verify_together([paths[0], paths[-1]], str(KEY.verifier_key)))
    elif kind == "jsonl":
        header, *lines = map(json.loads, fetched[1].splitlines())
        assert (header["part"], header["parts"], header["truncated"]) == (2, len(fetched), True)
        assert [line["leaf"] for line in lines] == list(range(ends[1], ends[2]))
    else:
        (about,), _, *rows = csv.reader(io.StringIO(fetched[-1].decode(), newline=""), strict=True)
        header = json.loads(about.removeprefix("# "))
        assert (header["part"], header["parts"], header["truncated"]) == (len(fetched), len(fetched), True)
        assert [int(row[0]) for row in rows] == list(range(ends[-2], ends[-1]))
    for number in (0, len(fetched) + 1):
        path = f"/audit/exports/{listed['export']}/file"
        missing = await log.service.get(path, log.tenant, "compliance", part=number)
        assert missing.status_code == (404 if number else 422)


async def part_of(log: SealedLog, export_id: str, number: int) -> bytes:
    answer = await log.service.get(f"/audit/exports/{export_id}/file", log.tenant, "compliance", part=number)
    assert answer.status_code == 200, answer.text
    return answer.content


async def test_another_tenants_export_is_not_found(log: SealedLog, other_tenant: Tenant) -> None:
    now = datetime.now(UTC).isoformat()
    asked = {"from": "2026-01-01T00:00:00Z", "to": now}
    answer = await log.service.post("/audit/exports", log.tenant, "compliance", asked)
    for path in ("", "/file"):
        foreign = await log.service.get(f"/audit/exports/{answer.json()['id']}{path}", other_tenant, "compliance")
        assert foreign.status_code == 404


async def test_exports_are_listed_newest_first(log: SealedLog) -> None:
    for _ in range(3):
        await export(log)
    first = (await log.service.get("/audit/exports", log.tenant, "compliance", limit=2)).json()
    second = (await log.service.get("/audit/exports", log.tenant, "compliance", cursor=first["next_cursor"])).json()
    listed = first["exports"] + second["exports"]
    assert (len(first["exports"]), len(listed), second["next_cursor"]) == (2, 3, None)
    assert [e["created_at"] for e in listed] == sorted((e["created_at"] for e in listed), reverse=True)
    one = await log.service.get(f"/audit/exports/{listed[0]['id']}", log.tenant, "compliance")
    assert one.json() == listed[0]
    assert (await log.service.get("/audit/exports", log.tenant, "analyst")).status_code == 403
