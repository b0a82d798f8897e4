"""Honest bundles, the verifier as one file, and its agreement with the service."""

import ast
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.ledger import checkpoints as notes
from backend.ledger import merkle, verifier
from backend.ledger.checkpoints import SigningKey
from backend.ledger.merkle import leaf_hash
from backend.ledger.verifier import Kind, verify
from backend.ledger.verifier.single_file import MODULES, single_file
from tests.ledger import rfc9162
from tests.ledger.small_log import KEY, PUBLIC, SmallLog, at, convicted, example_log, judged, said, saved

SOURCE = single_file()


# --- Honest bundles --------------------------------------------------------------------------------------


def test_a_complete_export_is_proved_complete(tmp_path: Path) -> None:
    report = judged(tmp_path, example_log().complete())
    assert report.ok
    assert convicted(report) == []
    assert [found.subject for found in report.findings] == [
        "checkpoints", "events", "completeness", "payloads", "turns",
    ]  # fmt: skip
    assert "every leaf sealed from the beginning until 2026-11-01T00:00:28.000Z is here" in str(report.findings[2])


@pytest.mark.parametrize(("first", "end"), [(6, 12), (6, 24), (12, 18), (18, 24), (0, 6), (6, 6)])
def test_a_complete_export_of_the_middle_of_a_log_is_proved_complete(tmp_path: Path, first: int, end: int) -> None:
    log = example_log()
    times = {size: at(seconds) for size, seconds in zip((0, 6, 12, 18, 24), (0, 7, 14, 21, 28), strict=True)}
    report = judged(tmp_path, log.complete(range(first, end), begin=times[first], end=times[end]))
    assert report.ok, convicted(report)
    assert report.events == end - first
    assert any(line.startswith("completeness: every leaf") for line in said(report, Kind.OK))


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
    assert "payloads: those of 24 events are not, or not all, part of the export" in said(report, Kind.NOTE)


def test_rotated_keys_verify_together(tmp_path: Path) -> None:
    log, successor = example_log(), SigningKey.generate(KEY.name)
    log.turn()
    log.clock += 1
    log.notes.append((26, log.note(26, log.frontier.root(), log.clock, successor)))
    path = saved(tmp_path, log.complete())
    assert verify(path, f"{PUBLIC}\n{successor.verifier_key}\n").ok
    assert not verify(path, PUBLIC).ok


# --- One file, usable without the service ----------------------------------------------------------------


def test_the_verifier_imports_only_the_standard_library_and_cryptography() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"cryptography"}


def test_every_module_of_the_package_is_in_the_one_file() -> None:
    folder = Path(verifier.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "single_file"} == set(MODULES)


def run_alone(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    copy = tmp_path / "copy" / "verifier.py"
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(SOURCE)
    command = [sys.executable, "-I", copy, *arguments]
    return subprocess.run(
        command, cwd="/", env={**os.environ, "PYTHONWARNINGS": "error"}, capture_output=True, text=True, check=False
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
        progress = verifier.ProgressBar()
        progress.draw(0.5)
        progress.clear()
        assert ("####################" in capsys.readouterr().err) is watched


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


# --- The duplicated tree and notes agree with the service's ----------------------------------------------


def test_its_tree_and_proofs_are_those_of_the_service() -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(40)]
    frontier, nodes = merkle.Frontier(), dict[tuple[int, int], bytes]()
    roots = [merkle.EMPTY_ROOT]
    tree = verifier.Tree()
    assert tree.root() == merkle.EMPTY_ROOT
    for leaf in leaves:
        nodes |= {(node.level, node.position): node.hash for node in frontier.append(leaf)}
        tree.extend((leaf,))
        roots.append(frontier.root())
        assert tree.root() == frontier.root()
        assert verifier.Tree(frontier.size, frontier.hashes).root() == frontier.root()
    for first, second in itertools.product(range(-1, 41), repeat=2):
        if 0 < first <= second:
            proof = rfc9162.consistency_proof(first, second, lambda *place: nodes[place])
            for old, new, path in ((first, second, proof), (first - 1, second, proof), (first, second, proof[1:])):
                arguments = (old, new, roots[first], roots[second], path)
                assert verifier.verify_consistency(*arguments) == rfc9162.verify_consistency(*arguments)
        if 0 <= first < second:
            proof = rfc9162.inclusion_proof(first, second, lambda *place: nodes[place])
            for index, path in ((first, proof), (first + 1, proof), (first, proof[1:]), (first, [*proof, leaves[0]])):
                given = (leaves[first], index, second, path, roots[second])
                assert verifier.verify_inclusion(*given) == rfc9162.verify_inclusion(*given)
    assert verifier.leaf_hash(b"x") == merkle.leaf_hash(b"x")
    assert verifier.node_hash(leaves[0], leaves[1]) == merkle.node_hash(leaves[0], leaves[1])


def test_it_reads_the_notes_that_the_service_signs() -> None:
    note = SmallLog().note(5, leaf_hash(b""), 17)
    theirs, ours = (
        verifier.open_checkpoint(note, verifier.Keys(PUBLIC)),
        notes.open_checkpoint(note, [KEY.verifier_key]),
    )
    assert (theirs.origin, theirs.size, theirs.root, theirs.time) == (ours.origin, ours.size, ours.root, ours.time)
    assert theirs.signer == KEY.name
