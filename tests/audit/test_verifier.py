import ast
import itertools
import json
import os
import subprocess
import sys
import uuid
from io import BytesIO
from pathlib import Path

import pytest

from backend.audit import merkle, notes, verifier
from backend.audit.bundle import BundleWriter
from backend.audit.canonical import canonical_json
from backend.audit.merkle import leaf_hash
from backend.audit.notes import SigningKey
from backend.audit.verifier import Kind, Report, verify
from tests.audit.small_log import KEY, PUBLIC, SmallLog, at, example_log, rewritten, saved

SOURCE = Path(verifier.__file__)


def judged(tmp_path: Path, bundle: bytes, **options: object) -> Report:
    return verify(saved(tmp_path, bundle), PUBLIC, **options)  # type: ignore[arg-type]


def said(report: Report, *kinds: Kind) -> list[str]:
    return [f"{found.subject}: {found.detail}" for found in report.findings if found.kind in kinds]


def convicted(report: Report) -> list[str]:
    return [str(found) for found in report.findings if found.kind in verifier.CONVICTING]


# --- Honest bundles ------------------------------------------------------------------------------------------


def test_a_complete_export_is_proved_complete(tmp_path: Path) -> None:
    report = judged(tmp_path, example_log().complete())
    assert report.ok
    assert convicted(report) == []
    assert [found.subject for found in report.findings] == [
        "checkpoints", "events", "completeness", "payloads", "turns",
    ]  # fmt: skip
    assert "every event sealed from the beginning until 2026-11-01T00:00:28.000Z is here" in str(
        report.findings[2]
    )


@pytest.mark.parametrize(("first", "end"), [(6, 12), (6, 24), (12, 18), (18, 24), (0, 6), (6, 6)])
def test_a_complete_export_of_the_middle_of_a_log_is_proved_complete(
    tmp_path: Path, first: int, end: int
) -> None:
    log = example_log()
    times = {size: at(seconds) for size, seconds in zip((0, 6, 12, 18, 24), (0, 7, 14, 21, 28), strict=True)}
    report = judged(tmp_path, log.complete(range(first, end), begin=times[first], end=times[end]))
    assert report.ok, convicted(report)
    assert report.events == end - first
    assert any(line.startswith("completeness: every event") for line in said(report, Kind.OK))


def test_a_log_without_events_is_proved_empty(tmp_path: Path) -> None:
    log = SmallLog()
    log.seal()
    log.seal()
    assert judged(tmp_path, log.complete()).ok


@pytest.mark.parametrize("chosen", [[], [0], [23], [1, 2, 17], range(24)])
def test_a_filtered_export_is_verified_but_never_called_complete(tmp_path: Path, chosen: list[int]) -> None:
    report = judged(tmp_path, example_log().filtered(chosen))
    assert report.ok, convicted(report)
    [note] = said(report, Kind.NOTE)
    assert note.startswith("completeness: is NOT proved")
    assert not any("completeness" in line for line in said(report, Kind.OK))


def test_an_export_without_payloads_verifies_and_says_how_many_it_leaves_out(tmp_path: Path) -> None:
    log = example_log()
    log.texts.clear()
    report = judged(tmp_path, log.complete(revealed=False))
    assert report.ok
    assert "payloads: 24 are not part of the export" in said(report, Kind.NOTE)


def test_rotated_keys_verify_together(tmp_path: Path) -> None:
    log, successor = example_log(), SigningKey.generate(KEY.name)
    log.turn()
    log.clock += 1
    log.notes.append((26, log.note(26, log.frontier.root(), log.clock, successor)))
    path = saved(tmp_path, log.complete())
    assert verify(path, f"{PUBLIC}\n{successor.verifier_key}\n").ok
    assert not verify(path, PUBLIC).ok


# --- One file, usable without the service ----------------------------------------------------------------------


def test_the_verifier_imports_only_the_standard_library_and_cryptography() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"cryptography"}


def run_alone(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    copy = tmp_path / "copy" / "verifier.py"
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(SOURCE.read_bytes())
    command = [sys.executable, "-I", copy, *arguments]
    return subprocess.run(
        command,
        cwd="/",
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_alone_verifies_a_bundle_with_a_key_file_or_a_key(tmp_path: Path) -> None:
    path, key = saved(tmp_path, example_log().complete()), tmp_path / "key.pub"
    key.write_text(PUBLIC + "\n")
    for spelling in (key, PUBLIC):
        result = run_alone(tmp_path, path, "--key", spelling)
        assert (result.returncode, result.stderr) == (0, "")
        assert [line.split()[0] for line in result.stdout.splitlines()] == ["OK"] * 5


def test_a_bad_bundle_exits_1_with_a_line_for_each_finding_and_no_trace(tmp_path: Path) -> None:
    log = example_log()
    log.envelopes[3] = log.envelopes[3].replace('"r3"', '"r4"')
    result = run_alone(tmp_path, saved(tmp_path, log.complete()), "--key", PUBLIC)
    assert result.returncode == 1
    assert result.stdout.startswith("INVALID events: leaves 0 to 5 do not hash to the root")
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["absent.zip", "--key", PUBLIC],
        ["{bundle}", "--key", "absent.pub"],
        ["{bundle}", "--key", "{bundle}"],
        ["{bundle}", "--key", "nonsense+00+AA=="],
        ["{bundle}", "--key", PUBLIC, "--checkpoints", "absent"],
    ],
)
def test_unusable_arguments_exit_1_without_a_trace(tmp_path: Path, arguments: list[str]) -> None:
    path = saved(tmp_path, example_log().complete())
    result = run_alone(tmp_path, *(argument.format(bundle=path) for argument in arguments))
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr


def test_a_bar_is_drawn_only_while_a_terminal_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for watched in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda watched=watched: watched)
        progress = verifier.Progress(100)
        progress(50)
        progress.clear()
        assert ("####################" in capsys.readouterr().err) is watched


# --- The duplicated tree and notes agree with the service's ---------------------------------------------------------


def test_its_tree_and_proofs_are_those_of_the_service() -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(40)]
    frontier, nodes = merkle.Frontier(), dict[tuple[int, int], bytes]()
    roots = [merkle.EMPTY_ROOT]
    tree = verifier.Tree()
    assert tree.root() == merkle.EMPTY_ROOT
    for leaf in leaves:
        nodes |= {(node.level, node.position): node.hash for node in frontier.append(leaf)}
        tree.append(leaf)
        roots.append(frontier.root())
        assert tree.root() == frontier.root()
        assert verifier.Tree(frontier.size, frontier.hashes).root() == frontier.root()
    for first, second in itertools.product(range(-1, 41), repeat=2):
        if 0 < first <= second:
            proof = merkle.consistency_proof(first, second, lambda *place: nodes[place])
            for old, new, path in (
                (first, second, proof),
                (first - 1, second, proof),
                (first, second, proof[1:]),
            ):
                arguments = (old, new, roots[first], roots[second], path)
                assert verifier.verify_consistency(*arguments) == merkle.verify_consistency(*arguments)
        if 0 <= first < second:
            proof = merkle.inclusion_proof(first, second, lambda *place: nodes[place])
            for index, path in (
                (first, proof),
                (first + 1, proof),
                (first, proof[1:]),
                (first, [*proof, leaves[0]]),
            ):
                given = (leaves[first], index, second, path, roots[second])
                assert verifier.verify_inclusion(*given) == merkle.verify_inclusion(*given)
    assert verifier.leaf_hash(b"x") == merkle.leaf_hash(b"x")
    assert verifier.node_hash(leaves[0], leaves[1]) == merkle.node_hash(leaves[0], leaves[1])


def test_it_reads_the_notes_that_the_service_signs() -> None:
    note = SmallLog().note(5, leaf_hash(b""), 17)
    theirs, ours = (
        verifier.open_checkpoint(note, verifier.Keys(PUBLIC)),
        notes.open_checkpoint(note, [KEY.verifier_key]),
    )
    assert (theirs.origin, theirs.size, theirs.root, theirs.time) == (
        ours.origin,
        ours.size,
        ours.root,
        ours.time,
    )
    assert theirs.signer == KEY.name


# --- Tampering -----------------------------------------------------------------------------------------------


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
    log.texts[4, "prompt"] = (salt, text.replace("Prompt", "Prompts"))
    assert said(judged(tmp_path, log.complete()), Kind.INVALID) == [
        "leaf 4: payload 'prompt' is not the text that was committed to"
    ]


@pytest.mark.parametrize("leaf", [0, 5, 6, 11, 22])
def test_a_deleted_event_is_a_gap(tmp_path: Path, leaf: int) -> None:
    def delete(lines: bytes) -> bytes:
        return b"".join(
            line for line in lines.splitlines(keepends=True) if not line.startswith(b'{"leaf":%d,' % leaf)
        )

    report = judged(tmp_path, rewritten(example_log().complete(), {"events.ndjson": delete}))
    assert f"events: leaves {leaf} to {leaf} are not in the bundle" in said(report, Kind.GAP)
    assert not any(line.startswith(("events", "completeness")) for line in said(report, Kind.OK))


def test_the_newest_events_cut_off_are_missing(tmp_path: Path) -> None:
    log = example_log()
    del log.envelopes[22:]
    report = judged(tmp_path, log.complete(range(22)))
    assert said(report, Kind.GAP) == ["completeness: no checkpoint of size 22 covers the leaves from 18"]
    bundle = rewritten(
        example_log().complete(), {"events.ndjson": lambda text: text[: text.index(b'{"leaf":22')]}
    )
    assert "events: leaves 22 to 23 are not in the bundle" in said(judged(tmp_path, bundle), Kind.MISSING)


@pytest.mark.parametrize(("one", "other"), [(2, 3), (0, 23), (5, 6)])
def test_two_swapped_events_are_invalid(tmp_path: Path, one: int, other: int) -> None:
    log = example_log()
    log.envelopes[one], log.envelopes[other] = log.envelopes[other], log.envelopes[one]
    assert any(
        "do not hash" in line for line in said(judged(tmp_path, log.complete(revealed=False)), Kind.INVALID)
    )


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


def test_a_filtered_event_with_another_events_proof_is_invalid(tmp_path: Path) -> None:
    log = example_log()
    log.envelopes[2] = log.envelopes[2].replace("r2", "r9")
    assert said(judged(tmp_path, log.filtered([2, 4])), Kind.INVALID) == [
        "leaf 2: is not in the tree that was signed at size 6"
    ]


# --- Coverage of the period ------------------------------------------------------------------------------------


def test_a_period_that_begins_before_the_first_checkpoint_or_ends_after_the_last_has_gaps(
    tmp_path: Path,
) -> None:
    log = example_log()
    early = judged(tmp_path, log.complete(range(6, 24), begin=at(6)))
    assert said(early, Kind.GAP) == [
        "completeness: no checkpoint shows what was sealed before the period began"
    ]
    late = judged(tmp_path, log.complete(end=at(29)))
    assert said(late, Kind.GAP) == [
        "completeness: is proved until 2026-11-01T00:00:28.000Z only, before the period ends"
    ]


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


# --- What events say of each other -------------------------------------------------------------------------------


def test_a_prompt_without_an_answer_is_missing_its_answer(tmp_path: Path) -> None:
    log = SmallLog()
    turn = log.identifier(1)
    log.append("prompt:submitted", turn=turn)
    log.clock += 298
    log.seal()
    assert "turns: 1 had begun shortly before the export ends" in said(
        judged(tmp_path, log.complete()), Kind.NOTE
    )
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
        line.startswith("leaf 11:") and ("has the id" in line or "contradicts its id" in line)
        for line in findings
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


# --- Payloads and erasure ----------------------------------------------------------------------------------------


def test_an_absent_payload_is_missing_when_all_were_promised(tmp_path: Path) -> None:
    log = example_log()
    del log.texts[1, "prompt"]
    [finding] = said(judged(tmp_path, log.complete()), Kind.MISSING)
    assert finding.startswith("leaf 1: payload 'prompt' of 0")


def test_an_erased_payload_is_accounted_for_by_the_erasure(tmp_path: Path) -> None:
    log = example_log()
    identifier = canonical_id(log, 1)
    log.append("erasure:executed", erased=[{"event": identifier, "payloads": ["prompt"]}])
    log.seal()
    report = judged(tmp_path, log.complete(erased=[(1, "prompt")]))
    assert report.ok
    [finding] = said(report, Kind.ERASED)
    assert finding.startswith(f"leaf 1: payload 'prompt' of {identifier} was erased by")


def test_an_erasure_after_the_export_is_brought_along_with_its_proof(tmp_path: Path) -> None:
    log = example_log()
    log.append("erasure:executed", erased=[{"event": canonical_id(log, 1), "payloads": ["prompt"]}])
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
        {"event": canonical_id(log, 2), "payloads": ["prompt"]},
        {"event": canonical_id(log, 1), "payloads": ["x"]},
    ):
        log.append("erasure:executed", erased=[wrong])
    log.seal()
    [finding] = said(judged(tmp_path, log.complete(erased=[(1, "prompt")])), Kind.MISSING)
    assert finding.endswith("is marked as erased, but no erasure lists it")


def canonical_id(log: SmallLog, leaf: int) -> str:
    return str(json.loads(log.envelopes[leaf])["id"])


# --- Checkpoints that a reviewer kept ------------------------------------------------------------------------------


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
    assert any(
        "forks" in line for line in said(judged(tmp_path, log.filtered([0]), known=[fork]), Kind.INVALID)
    )


def test_a_log_that_was_rolled_back_contradicts_a_kept_checkpoint(tmp_path: Path) -> None:
    log = example_log()
    kept = log.note(100, leaf_hash(b"grown"), 30)
    report = judged(tmp_path, log.complete(), known=[kept])
    assert report.ok  # It is later than the export: the log may have grown since.
    assert "history: cannot be compared with 1 kept checkpoints" in said(report, Kind.NOTE)
    log.clock += 600
    log.seal()
    assert said(judged(tmp_path, log.complete(), known=[kept]), Kind.INVALID) == [
        "history: was rolled back: at 2026-11-01T00:00:30.000Z the log had 100 leaves, later only 24"
    ]


def test_kept_checkpoints_of_other_logs_are_passed_over_and_unsigned_ones_refused(tmp_path: Path) -> None:
    log = example_log()
    other = SmallLog(tenant=str(uuid.UUID(int=9))).note(1, leaf_hash(b"x"), 5)
    assert judged(tmp_path, log.complete(), known=[other]).ok
    unsigned = log.note(6, log.frontier_at(6).root(), 7, SigningKey.generate(KEY.name))
    for refused in (unsigned, "nonsense", other[:-3]):
        assert not judged(tmp_path, log.complete(), known=[refused]).ok


def test_kept_checkpoints_are_read_from_a_file_a_directory_or_another_bundle(tmp_path: Path) -> None:
    log = example_log()
    kept = [note for _, note in log.notes]
    (tmp_path / "kept" / "deep").mkdir(parents=True)
    for number, note in enumerate(kept):
        (tmp_path / "kept" / "deep" / f"{number}").write_text(note)
    (tmp_path / "all.txt").write_text("\n".join(kept))
    path = saved(tmp_path, log.complete())
    for source in (tmp_path / "kept", tmp_path / "all.txt", path):
        assert list(verifier.notes_in(source)) == kept
        result = run_alone(tmp_path, path, "--key", PUBLIC, "--checkpoints", source)
        assert result.returncode == 0
        assert "agrees with 4 kept checkpoints" in result.stdout
