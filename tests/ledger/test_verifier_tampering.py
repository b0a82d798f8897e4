"""Tampering with the log, each kind detected and named."""

import json
import uuid
from io import BytesIO
from pathlib import Path

import pytest

from backend.audit.canonical import canonical_json
from backend.ledger.bundle import BundleWriter
from backend.ledger.checkpoints import SigningKey
from backend.ledger.merkle import leaf_hash
from backend.ledger.verifier import Kind, verify
from tests.ledger.small_log import KEY, PUBLIC, SmallLog, at, convicted, example_log, judged, rewritten, said, saved

# --- Tampering -------------------------------------------------------------------------------------------


def test_an_edited_envelope_is_invalid_and_a_sealed_hash_names_it(tmp_path: Path) -> None:
    log, stream = example_log(), BytesIO()
    edited = log.envelopes[7].replace("request_id", "request_ix")
    with BundleWriter(stream, log.scope(range(24), revealed=False)) as bundle:
        for leaf, envelope in enumerate(log.envelopes):
            sealed = leaf_hash(envelope.encode())
            if leaf == 13:
                bundle.add_missing(leaf, sealed)
            else:
                bundle.add_event(leaf, edited if leaf == 7 else envelope, sealed_hash=sealed)
        for _, note in log.notes:
            bundle.add_checkpoint(note)
    report = judged(tmp_path, stream.getvalue())
    assert not report.ok
    assert "leaf 7: was changed after it was sealed" in said(report, Kind.INVALID)
    assert "leaf 13: was sealed, but its event is gone" in said(report, Kind.MISSING)
    # All others stay proved: only what depends on the two events is missing besides.
    assert any(line.startswith("events:") for line in said(report, Kind.OK))


def test_a_false_sealed_hash_cannot_excuse_an_edited_event(tmp_path: Path) -> None:
    bundle = example_log().complete()
    forged = leaf_hash(b"forged").hex().encode()
    line = b'{"leaf":23,"hash":"' + forged + b'"}\n'
    report = judged(
        tmp_path, rewritten(bundle, {"events.ndjson": lambda text: text[: text.rindex(b'{"leaf":23')] + line})
    )
    assert any("do not hash to the root" in found for found in said(report, Kind.INVALID))


def test_an_edited_payload_is_invalid(tmp_path: Path) -> None:
    log = example_log()
    salt, text = log.texts[4, "prompt"]
    log.texts[4, "prompt"] = (salt, text.replace("Prompt", "Pr0mpt"))
    assert said(judged(tmp_path, log.complete()), Kind.INVALID) == [
        "leaf 4: payload 'prompt' is not the text that was committed to"
    ]


@pytest.mark.parametrize("leaf", [0, 5, 6, 11, 22])
def test_a_deleted_event_is_a_gap(tmp_path: Path, leaf: int) -> None:
    def delete(lines: bytes) -> bytes:
        return b"".join(line for line in lines.splitlines(keepends=True) if not line.startswith(b'{"leaf":%d,' % leaf))

    report = judged(tmp_path, rewritten(example_log().complete(), {"events.ndjson": delete}))
    assert f"events: leaves {leaf} to {leaf} are not in the bundle" in said(report, Kind.GAP)
    assert not any(line.startswith(("events", "completeness")) for line in said(report, Kind.OK))


def test_the_newest_events_cut_off_are_missing(tmp_path: Path) -> None:
    log = example_log()
    del log.envelopes[22:]
    report = judged(tmp_path, log.complete(range(22)))
    assert said(report, Kind.GAP) == ["completeness: no checkpoint of size 22 covers leaves from 18"]
    bundle = rewritten(example_log().complete(), {"events.ndjson": lambda text: text[: text.index(b'{"leaf":22')]})
    assert "events: leaves 22 to 23 are not in the bundle" in said(judged(tmp_path, bundle), Kind.MISSING)


@pytest.mark.parametrize(("one", "other"), [(2, 3), (0, 23), (5, 6)])
def test_two_swapped_events_are_invalid(tmp_path: Path, one: int, other: int) -> None:
    log = example_log()
    log.envelopes[one], log.envelopes[other] = log.envelopes[other], log.envelopes[one]
    assert any("do not hash" in line for line in said(judged(tmp_path, log.complete(revealed=False)), Kind.INVALID))


def test_lines_out_of_order_or_repeated_are_invalid(tmp_path: Path) -> None:
    def swap(lines: bytes) -> bytes:
        first, second, *rest = lines.splitlines(keepends=True)
        return b"".join([second, first, *rest])

    for change in (swap, lambda lines: lines.splitlines(keepends=True)[0] + lines):
        report = judged(tmp_path, rewritten(example_log().complete(), {"events.ndjson": change}))
        assert any("is repeated or out of order" in line for line in said(report, Kind.INVALID))


def test_a_past_event_slipped_in_is_betrayed_by_the_clock_even_when_it_was_sealed(tmp_path: Path) -> None:
    log = example_log()
    log.clock += 1000
    log.append("audit:read")
    log.seal()
    log.clock -= 900
    log.append("audit:read")
    log.clock += 900
    log.seal()
    report = judged(tmp_path, log.complete())
    [finding] = said(report, Kind.INVALID)
    assert finding.startswith("leaf 25: clock: 2026-11-01T00:02:11.000Z contradicts an earlier event")


def test_an_event_dated_before_the_checkpoint_that_lacks_it_is_betrayed_though_no_event_is_newer(
    tmp_path: Path,
) -> None:
    log = SmallLog()
    log.append("audit:read")
    log.clock = 500
    log.seal()
    log.clock = 10
    log.append("audit:read")
    log.clock = 501
    log.seal()
    [finding] = said(judged(tmp_path, log.complete()), Kind.INVALID)
    assert finding.endswith("contradicts the checkpoint of 2026-11-01T00:08:21.000Z, which does not have it yet")


def test_an_event_from_the_future_is_betrayed_by_its_checkpoint(tmp_path: Path) -> None:
    log = SmallLog()
    log.clock = 500
    log.append("audit:read")
    log.clock = 10
    log.seal()
    [finding] = said(judged(tmp_path, log.complete()), Kind.INVALID)
    assert "contradicts the checkpoint that sealed it at 2026-11-01T00:00:11.000Z" in finding


def test_a_history_rewritten_consistently_needs_the_signing_key(tmp_path: Path) -> None:
    forger, log = SigningKey.generate(KEY.name), example_log()
    forged = SmallLog(key=forger, random=log.random)
    for number in range(3):
        forged.append("audit:read", reason=f"forged {number}")
    forged.seal()
    assert said(judged(tmp_path, forged.complete()), Kind.INVALID) == [
        "checkpoint 1: of size 3 is not signed by the given key"
    ]


def test_a_bundle_of_another_tenants_log_is_invalid(tmp_path: Path) -> None:
    other = "0193b000-0000-7000-8000-00000000000b"
    log = example_log()
    relabelled = rewritten(
        log.complete(), {"manifest.json": lambda text: text.replace(log.tenant.encode(), other.encode())}
    )
    findings = said(judged(tmp_path, relabelled), Kind.INVALID)
    assert any("is of the log" in line for line in findings)
    assert sum("is of another tenant" in line for line in findings) == 24


def test_a_foreign_event_in_the_tenants_own_log_is_invalid(tmp_path: Path) -> None:
    log = example_log()
    log.append("audit:read", tenant=str(uuid.UUID(int=5)))
    log.seal()
    assert [line.partition(",")[0] for line in said(judged(tmp_path, log.complete()), Kind.INVALID)] == [
        "leaf 24: the event is of another tenant"
    ]


def test_inconsistent_checkpoints_are_invalid_in_filtered_exports_too(tmp_path: Path) -> None:
    log = example_log()
    for change, expected in [
        ((12, log.note(12, leaf_hash(b"another"), 14)), "is not consistent with the one before"),
        ((12, log.note(5, log.frontier_at(5).root(), 14)), "shrinks the log from 6 to 5 leaves"),
        ((12, log.note(6, leaf_hash(b"another"), 14)), "two roots were signed at size 6"),
        ((12, log.note(12, log.frontier_at(12).root(), -500)), "before its predecessor"),
    ]:
        notes_before = list(log.notes)
        log.notes[1] = change
        report = judged(tmp_path, log.filtered([0]))
        assert any(expected in line for line in said(report, Kind.INVALID)), (expected, convicted(report))
        log.notes = notes_before


def test_checkpoints_between_which_nothing_is_recomputed_need_their_consistency_proofs(tmp_path: Path) -> None:
    def without_proofs(lines: bytes) -> bytes:
        notes = [json.loads(line)["checkpoint"] for line in lines.splitlines()]
        return b"".join(json.dumps({"checkpoint": note}).encode() + b"\n" for note in notes)

    log = example_log()
    bundle = rewritten(log.filtered([0]), {"checkpoints.ndjson": without_proofs})
    assert said(judged(tmp_path, bundle), Kind.INVALID) == [
        f"checkpoint {number}: has no consistency proof" for number in (2, 3, 4)
    ]
    assert judged(tmp_path, rewritten(log.complete(), {"checkpoints.ndjson": without_proofs})).ok
    beyond = rewritten(log.complete(range(12), end=at(14)), {"checkpoints.ndjson": without_proofs})
    assert said(judged(tmp_path, beyond), Kind.INVALID) == [
        f"checkpoint {number}: has no consistency proof" for number in (3, 4)
    ]


def test_a_broken_signature_of_one_trusted_key_is_not_outweighed_by_another(tmp_path: Path) -> None:
    log, second = example_log(), SigningKey.generate(KEY.name)
    size, note = log.notes[-1]
    forged = log.note(size, leaf_hash(b"another"), 28, second)
    log.notes[-1] = (size, note + forged.partition("\n\n")[2])
    path = saved(tmp_path, log.complete())
    assert verify(path, PUBLIC).ok
    report = verify(path, f"{PUBLIC}\n{second.verifier_key}")
    assert said(report, Kind.INVALID) == ["checkpoint 4: of size 24 is not signed by the given key"]


def test_an_empty_log_has_only_one_root(tmp_path: Path) -> None:
    log = example_log()
    log.notes.insert(0, (0, log.note(0, leaf_hash(b"x"), 0)))
    for bundle in (log.filtered([0]), log.complete()):
        assert "checkpoint 1: is of size 0, but its root is not that of the empty tree" in said(
            judged(tmp_path, bundle), Kind.INVALID
        )


def test_a_filtered_event_with_another_events_proof_is_invalid(tmp_path: Path) -> None:
    log = example_log()
    log.envelopes[2] = log.envelopes[2].replace("r2", "r9")
    assert said(judged(tmp_path, log.filtered([2, 4])), Kind.INVALID) == [
        "leaf 2: is not in the tree that was signed at size 6"
    ]


# --- Coverage of the period ------------------------------------------------------------------------------


def test_a_period_that_begins_before_the_first_checkpoint_or_ends_after_the_last_has_gaps(tmp_path: Path) -> None:
    log = example_log()
    early = judged(tmp_path, log.complete(range(6, 24), begin=at(6)))
    assert said(early, Kind.GAP) == ["completeness: no checkpoint shows what was sealed before the period began"]
    late = judged(tmp_path, log.complete(end=at(29)))
    assert said(late, Kind.GAP) == ["completeness: is proved until 2026-11-01T00:00:28.000Z, before the period ends"]


def test_a_heartbeat_extends_what_is_proved_without_an_event(tmp_path: Path) -> None:
    log = example_log()
    log.clock += 60
    log.seal()
    report = judged(tmp_path, log.complete())
    assert report.ok
    assert any("until 2026-11-01T00:01:29.000Z" in line for line in said(report, Kind.OK))


def test_a_complete_export_must_begin_at_a_checkpoint(tmp_path: Path) -> None:
    log = example_log()
    report = judged(tmp_path, log.complete(range(3, 24), begin=at(28), revealed=False))
    assert any("no checkpoint shows" in line for line in said(report, Kind.GAP))


def test_a_wrong_frontier_is_invalid(tmp_path: Path) -> None:
    log = example_log()
    log.envelopes[0] = canonical_json({"other": 1})
    report = judged(tmp_path, log.complete(range(6, 24), begin=at(7)))
    assert any("do not hash to the root" in line for line in said(report, Kind.INVALID))


# --- Checkpoints that a reviewer kept --------------------------------------------------------------------


def test_a_kept_checkpoint_at_any_size_within_the_export_is_compared(tmp_path: Path) -> None:
    log = example_log()
    for size in range(25):
        kept = log.note(size, log.frontier_at(size).root(), size * 7 / 6)
        assert judged(tmp_path, log.complete(), known=[kept]).ok, size
        if size:
            fork = log.note(size, leaf_hash(b"another history"), size * 7 / 6)
            findings = said(judged(tmp_path, log.complete(), known=[kept, fork]), Kind.INVALID)
            assert findings == [f"history: forks: a kept checkpoint has another root at size {size}"]


def test_a_fork_is_found_in_a_filtered_export_where_sizes_are_equal(tmp_path: Path) -> None:
    log = example_log()
    fork = log.note(12, leaf_hash(b"another history"), 14)
    assert any("forks" in line for line in said(judged(tmp_path, log.filtered([0]), known=[fork]), Kind.INVALID))


def test_a_filtered_export_says_which_kept_checkpoints_it_cannot_be_compared_with(tmp_path: Path) -> None:
    log = example_log()
    kept = [log.note(size, log.frontier_at(size).root(), size * 7 / 6) for size in (11, 13)]
    report = judged(tmp_path, log.filtered([0]), known=kept)
    assert "history: cannot be compared with 2 kept checkpoints" in said(report, Kind.NOTE)


def test_a_log_that_was_rolled_back_contradicts_a_kept_checkpoint(tmp_path: Path) -> None:
    log = example_log()
    kept = log.note(100, leaf_hash(b"grown"), 30)
    report = judged(tmp_path, log.complete(), known=[kept])
    assert report.ok  # It is later than the export: the log may have grown since.
    assert "history: cannot be compared with 1 kept checkpoints" in said(report, Kind.NOTE)
    log.clock += 600
    log.seal()
    assert said(judged(tmp_path, log.complete(), known=[kept]), Kind.INVALID) == [
        "history: was rolled back: it had 100 leaves at 2026-11-01T00:00:30.000Z, later only 24"
    ]


def test_a_smaller_log_at_a_later_time_contradicts_a_filtered_export(tmp_path: Path) -> None:
    log = example_log()
    early, late = (log.note(9, leaf_hash(b"x"), seconds) for seconds in (12, 200))
    assert judged(tmp_path, log.filtered([0]), known=[early]).ok
    assert said(judged(tmp_path, log.filtered([0]), known=[late]), Kind.INVALID) == [
        "history: forks: it had 9 leaves still at 2026-11-01T00:03:20.000Z"
    ]


def test_kept_checkpoints_of_other_logs_are_passed_over_and_unsigned_ones_refused(tmp_path: Path) -> None:
    log = example_log()
    other = SmallLog(tenant=str(uuid.UUID(int=9))).note(1, leaf_hash(b"x"), 5)
    assert judged(tmp_path, log.complete(), known=[other]).ok
    unsigned = log.note(6, log.frontier_at(6).root(), 7, SigningKey.generate(KEY.name))
    for refused in (unsigned, "nonsense", other[:-3]):
        assert not judged(tmp_path, log.complete(), known=[refused]).ok
