"""What events say of each other: turns, ids, clocks, payloads and their erasure."""

import json
import uuid
from io import BytesIO
from pathlib import Path

import pytest

from backend.ledger.bundle import BundleWriter
from backend.ledger.verifier import Kind
from tests.ledger.small_log import SmallLog, at, commitment, convicted, example_log, judged, said


def id_of(log: SmallLog, leaf: int) -> str:
    return str(json.loads(log.envelopes[leaf])["id"])


# --- What events say of each other -----------------------------------------------------------------------


def test_a_prompt_without_an_answer_is_missing_its_answer(tmp_path: Path) -> None:
    log = SmallLog()
    turn = log.identifier(1)
    log.append("prompt:submitted", turn=turn)
    log.clock += 298
    log.seal()
    assert "turns: 1 had begun shortly before the export ends" in said(judged(tmp_path, log.complete()), Kind.NOTE)
    log.clock += 1
    log.seal()
    assert said(judged(tmp_path, log.complete()), Kind.MISSING) == [
        "leaf 0: is a prompt of 2026-11-01T00:00:01.000Z without an answer"
    ]
    log.append("answer:aborted", turn=turn)
    log.seal()
    assert judged(tmp_path, log.complete()).ok


def test_an_answer_without_a_prompt_is_missing_its_prompt(tmp_path: Path) -> None:
    log = SmallLog()
    log.append("answer:refused", turn="t")
    log.seal()
    assert said(judged(tmp_path, log.complete()), Kind.MISSING) == [
        "leaf 0: is an answer (answer:refused) without a prompt"
    ]


def test_an_answer_just_after_the_export_begins_may_have_its_prompt_before(tmp_path: Path) -> None:
    log = SmallLog()
    log.append("prompt:submitted", turn="t")
    log.seal()
    log.append("answer:returned", turn="t")
    log.seal()
    assert judged(tmp_path, log.complete(range(1, 2), begin=at(2))).ok


def test_an_answer_long_after_the_export_begins_needs_its_prompt(tmp_path: Path) -> None:
    log = SmallLog()
    log.append("prompt:submitted", turn="t")
    log.seal()
    for seconds in range(100, 500, 100):
        log.clock = seconds
        log.append("audit:read")
        log.seal()
    log.append("answer:returned", turn="t")
    log.seal()
    assert said(judged(tmp_path, log.complete(range(1, 6), begin=at(2))), Kind.MISSING) == [
        "leaf 5: is an answer (answer:returned) without a prompt"
    ]


def test_a_second_prompt_or_answer_in_one_turn_is_found(tmp_path: Path) -> None:
    log = SmallLog()
    for action in ("prompt:submitted", "prompt:submitted", "answer:returned", "answer:returned"):
        log.append(action, turn="t")
    log.seal()
    assert convicted(judged(tmp_path, log.complete())) == [
        "INVALID leaf 1: is a second prompt of the same turn",
        "MISSING leaf 3: is an answer (answer:returned) without a prompt",
    ]


@pytest.mark.parametrize("distance", [0, 100, 239, 241, 400, 10_000])
def test_a_repeated_id_is_found_however_far_apart(tmp_path: Path, distance: int) -> None:
    log = SmallLog()
    identifier = log.append("audit:read")
    for _ in range(10):
        log.clock += distance / 10
        log.append("audit:read")
    log.append("audit:read", id=identifier)
    log.seal()
    findings = said(judged(tmp_path, log.complete()), Kind.INVALID)
    assert findings
    assert all(
        line.startswith("leaf 11:") and ("has the id" in line or "contradicts its id" in line) for line in findings
    )


def test_an_id_that_is_as_old_as_the_clock_allows_is_still_remembered(tmp_path: Path) -> None:
    # Made at 240 s, used at 120 s and again at 360 s, when the latest time is 480 s: each step within tolerance.
    log = SmallLog()
    identifier = log.identifier(240)
    log.clock = 119
    log.append("audit:read", id=identifier)
    for seconds in range(120, 480):
        log.clock = seconds
        log.append("audit:read")
    log.clock = 359
    log.append("audit:read", id=identifier)
    log.clock = 481
    log.seal()
    [finding] = said(judged(tmp_path, log.complete()), Kind.INVALID)
    assert f"has the id {identifier}" in finding


@pytest.mark.parametrize(
    "members",
    [
        {"id": "not a uuid"},
        {"id": "0193A000-0000-7000-8000-00000000000A"},
        {"id": str(uuid.UUID(int=0))},
        {"id": 5},
        {"time": "2026-11-01T00:00:01Z"},
        {"time": "2026-11-01T00:00:01.000000+00:00"},
        {"time": "2026-13-01T00:00:01.000000Z"},
        {"time": 5},
        {"action": ["audit:read"]},
        {"action": "prompt:submitted"},
        {"action": "prompt:submitted", "turn": {}},
        {"action": "erasure:executed", "erased": 5},
        {"action": "erasure:executed", "erased": [5]},
        {"action": "erasure:executed", "erased": [{"event": "x", "payloads": 5}]},
        {"payloads": []},
        {"payloads": {"prompt": 5}},
    ],
    ids=str,
)
def test_sealed_events_with_malformed_members_are_invalid_each_on_a_line(
    tmp_path: Path, members: dict[str, object]
) -> None:
    log = example_log(2)
    log.append("audit:read", **members)
    log.seal()
    report = judged(tmp_path, log.complete())
    assert [found.partition(":")[0] for found in said(report, Kind.INVALID, Kind.MISSING)] == ["leaf 6"]


# --- Payloads and erasure --------------------------------------------------------------------------------


def test_an_absent_payload_is_missing_when_all_were_promised(tmp_path: Path) -> None:
    log = example_log()
    del log.texts[1, "prompt"]
    [finding] = said(judged(tmp_path, log.complete()), Kind.MISSING)
    assert finding.startswith("leaf 1: payload 'prompt' of 0")


def test_a_payload_whose_sealed_length_is_another_is_invalid(tmp_path: Path) -> None:
    log = example_log()
    sealed = commitment(b"s" * 32, "text")
    log.append("audit:read", payloads={"note": {**sealed, "bytes": 5}})
    log.texts[24, "note"] = (b"s" * 32, "text")
    log.seal()
    assert said(judged(tmp_path, log.complete()), Kind.INVALID) == [
        "leaf 24: payload 'note' is not the text that was committed to"
    ]


def test_an_erased_payload_is_accounted_for_by_the_erasure(tmp_path: Path) -> None:
    log = example_log()
    identifier = id_of(log, 1)
    log.append("erasure:executed", erased=[{"event": identifier, "payloads": ["prompt"]}])
    log.seal()
    report = judged(tmp_path, log.complete(erased=[(1, "prompt")]))
    assert report.ok
    [finding] = said(report, Kind.ERASED)
    assert finding.startswith(f"leaf 1: payload 'prompt' of {identifier} was erased by")


def test_an_erasure_after_the_export_is_brought_along_with_its_proof(tmp_path: Path) -> None:
    log = example_log()
    log.append("erasure:executed", erased=[{"event": id_of(log, 1), "payloads": ["prompt"]}])
    log.append("audit:read")
    log.seal()
    for proof, verdict in ((log.inclusion(24, 26), True), (log.inclusion(25, 26), False)):
        stream = BytesIO()
        with BundleWriter(stream, log.scope(range(12), end=at(14))) as bundle:
            for leaf in range(12):
                bundle.add_event(leaf, log.envelopes[leaf], payloads=log.payloads(leaf, [(1, "prompt")]))
            bundle.add_erasure(24, log.envelopes[24], proof)
            bundle.add_checkpoint(log.notes[1][1])
            bundle.add_checkpoint(log.notes[-1][1], log.consistency(12, 26))
        report = judged(tmp_path, stream.getvalue())
        assert report.ok is verdict, convicted(report)
        assert len(said(report, Kind.ERASED)) == verdict
        assert any("until 2026-11-01T00:00:14.000Z" in line for line in said(report, Kind.OK))


def test_a_mark_of_erasure_that_no_erasure_backs_is_missing_its_payload(tmp_path: Path) -> None:
    log = example_log()
    for wrong in (
        {"event": id_of(log, 2), "payloads": ["prompt"]},
        {"event": id_of(log, 1), "payloads": ["x"]},
    ):
        log.append("erasure:executed", erased=[wrong])
    log.seal()
    [finding] = said(judged(tmp_path, log.complete(erased=[(1, "prompt")])), Kind.MISSING)
    assert finding.endswith("is marked as erased, but no erasure lists it")


def test_an_erasure_cannot_account_for_an_event_that_came_after_it(tmp_path: Path) -> None:
    log = example_log(2)
    log.append("erasure:executed", erased=[{"event": log.identifier(log.clock + 2), "payloads": ["note"]}])
    sealed = json.loads(log.envelopes[-1])["erased"][0]["event"]
    log.append("audit:read", {"note": "text"}, id=sealed)
    log.append("audit:read")
    log.seal()
    stream = BytesIO()
    with BundleWriter(stream, log.scope(range(9))) as bundle:
        for leaf in range(9):
            bundle.add_event(leaf, log.envelopes[leaf], payloads=log.payloads(leaf, [(7, "note")]))
        bundle.add_erasure(6, log.envelopes[6], log.inclusion(6, 9))
        for _, note in log.notes:
            bundle.add_checkpoint(note)
    [finding] = said(judged(tmp_path, stream.getvalue()), Kind.MISSING)
    assert finding.startswith("leaf 7: payload 'note'")


def test_only_an_erasure_erases(tmp_path: Path) -> None:
    log = example_log(2)
    log.append("audit:read", erased=[{"event": id_of(log, 1), "payloads": ["prompt"]}])
    log.seal()
    stream = BytesIO()
    with BundleWriter(stream, log.scope(range(7))) as bundle:
        for leaf in range(7):
            bundle.add_event(leaf, log.envelopes[leaf], payloads=log.payloads(leaf, [(1, "prompt")]))
        bundle.add_erasure(6, log.envelopes[6], log.inclusion(6, 7))
        for _, note in log.notes:
            bundle.add_checkpoint(note)
    report = judged(tmp_path, stream.getvalue())
    assert said(report, Kind.INVALID) == ["erasure at leaf 6: is neither an erasure nor an archiving"]
    assert len(said(report, Kind.MISSING)) == 1
