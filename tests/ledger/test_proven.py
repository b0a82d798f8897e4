"""A tenant's checkpoint is proven by the log of all checkpoints; the verifier names whatever does not prove it."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backend.ledger import verifier
from backend.ledger.checkpoints import (
    Checkpoint,
    InvalidNote,
    SigningKey,
    open_checkpoint,
    open_kept,
    sign_checkpoint,
    sign_text,
)
from backend.ledger.rounds import entry_of, head_of, hidden, proven
from backend.ledger.verifier import Kind
from tests.ledger.proven_log import OTHERS, AllLogs, foreign, proven_log
from tests.ledger.small_log import (
    KEY,
    PUBLIC,
    TENANT,
    SmallLog,
    contents,
    example_log,
    judged,
    rewritten,
    said,
    zipped,
)

THIEF = SigningKey.generate(KEY.name)
VERIFYING = [KEY.verifier_key]


def convicted(report: verifier.Report) -> list[str]:
    return said(report, *verifier.CONVICTING)


def with_note(log: SmallLog, place: int, note: str) -> SmallLog:
    log.notes[place] = (log.notes[place][0], note)
    return log


@pytest.mark.parametrize("complete", [True, False])
def test_a_bundle_is_proven_by_one_signature_a_round(tmp_path: Path, *, complete: bool) -> None:
    log, _ = proven_log()
    assert all(note.count("\u2014 ") == 1 for _, note in log.notes)
    report = judged(tmp_path, log.complete() if complete else log.filtered([0, 7, 23]))
    assert report.ok, convicted(report)
    signed = (
        f"checkpoints: 4 signed by '{KEY.name}', 4 of them with the log of all checkpoints, sizes 6 to 24, consistent"
    )
    assert signed in said(report, Kind.OK)


def test_signed_checkpoints_of_before_stand_beside_proven_ones(tmp_path: Path) -> None:
    log, _ = proven_log()
    signed = example_log()
    signed.extends = log.extends
    signed.envelopes, signed.texts, signed.frontier, signed.nodes = log.envelopes, log.texts, log.frontier, log.nodes
    signed.notes = [(size, sign_checkpoint(head_of(note), KEY)) for size, note in log.notes]
    signed.notes[2:] = log.notes[2:]
    report = judged(tmp_path, signed.complete())
    assert report.ok, convicted(report)
    assert any("4 signed by 'affidavit.example', 2 of them with" in line for line in said(report, Kind.OK))


def test_the_first_version_of_bundles_verifies_and_is_written_where_every_checkpoint_is_signed(tmp_path: Path) -> None:
    signed, mixed = example_log(), proven_log()[0].complete()
    assert [json.loads(contents(each)["manifest.json"])["schema"] for each in (signed.complete(), mixed)] == [
        "affidavit-bundle/1",
        "affidavit-bundle/2",
    ]
    assert judged(tmp_path, signed.complete()).ok
    second = {"manifest.json": lambda old: old.replace(b"affidavit-bundle/1", b"affidavit-bundle/2")}
    assert judged(tmp_path, rewritten(signed.complete(), second)).ok
    later = {"manifest.json": lambda old: old.replace(b"affidavit-bundle/2", b"affidavit-bundle/3")}
    assert "the schema is neither" in str(convicted(judged(tmp_path, rewritten(mixed, later))))


def _grown_elsewhere(log: SmallLog, all_logs: AllLogs) -> SmallLog:
    """Proves the last checkpoint by a log of all that begins alike, is larger, and has another history between."""
    head, other = head_of(log.notes[-1][1]), AllLogs()
    other.seal(*(hidden(foreign(tenant, head.time)) for tenant in OTHERS * 5), time=head.time)
    note = other.seal(hidden(head), time=head.time).proven[0]
    log.extends = lambda before, after: (other if after == note else all_logs).extends(before, after)
    return with_note(log, 3, note)


def test_the_log_of_all_checkpoints_only_grew_between_those_of_a_bundle(tmp_path: Path) -> None:
    log, all_logs = proven_log()
    grown = "checkpoints: the log of all checkpoints only grew, from 3 to 18"
    assert [head_of(each.signed).size for each in all_logs.rounds] == [3, 7, 12, 18]
    for bundle in (log.complete(), log.filtered([0, 7, 23]), log.complete(range(6, 18))):
        assert grown in said(judged(tmp_path, bundle), Kind.OK)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (_grown_elsewhere, "checkpoint 4: of size 24 is proven by a log of all checkpoints that, at size 26, does not extend that of size 12"),
        (
            lambda log, all_logs: with_note(log, 3, _resealed(log.notes[3][1], all_logs)),
            "checkpoint 4: of size 24 is proven by the log of all checkpoints at size 2, the one before at 12",
        ),
        (
            lambda log, all_logs: with_note(log, 3, _resealed(log.notes[3][1], all_logs, first=None)),
            "checkpoint 4: of size 24 is proven by a log of all checkpoints that does not say which it is",
        ),
    ],
    ids=["another history", "a smaller log", "a log without a name"],
)  # fmt: skip
def test_a_second_history_of_all_checkpoints_convicts_at_any_size(
    tmp_path: Path, change: Callable[[SmallLog, AllLogs], SmallLog], finding: str
) -> None:
    """Nobody kept anything, no two were signed at one size, and the tenant's own log is as it was."""
    report = judged(tmp_path, change(*proven_log()).complete())
    assert finding in convicted(report)


def _lines(change: Callable[[list[dict[str, object]]], None]) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        lines = [json.loads(line) for line in content.splitlines()]
        change(lines)
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    return changed


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda lines: lines[2].pop("extends"), "checkpoints: 1 checkpoints do not prove that the log of all checkpoints extends what it was at the one before"),
        (lambda lines: lines[2].update(extends=[]), "checkpoint 3: of size 18 is proven by a log of all checkpoints that, at size 12, does not extend that of size 7"),
        (lambda lines: lines[2].update(extends=lines[3]["extends"]), "checkpoint 3: of size 18 is proven by a log of all checkpoints that, at size 12, does not extend that of size 7"),
        (lambda lines: lines[0].update(extends=["00" * 32]), "checkpoint 1: of size 6 has a proof of the log of all checkpoints where none can be"),
        (lambda lines: lines[2].update(extends="no list"), "bundle: checkpoint 3 cannot be read"),
    ],
    ids=["left out", "empty", "of another step", "of the first", "no list"],
)  # fmt: skip
def test_what_does_not_prove_that_the_log_of_all_only_grew_is_named(
    tmp_path: Path, change: Callable[[list[dict[str, object]]], None], finding: str
) -> None:
    report = judged(tmp_path, rewritten(proven_log()[0].complete(), {"checkpoints.ndjson": _lines(change)}))
    assert any(line.startswith(finding) for line in convicted(report)), convicted(report)


def test_only_the_cell_that_exports_must_prove_its_log_of_all_checkpoints(tmp_path: Path) -> None:
    """A tenant came from another cell after its second checkpoint, and the step in that cell's log is not proven here."""
    log, _ = proven_log()
    here = AllLogs(first=b"h" * 32)
    for place in (2, 3):
        head = head_of(log.notes[place][1])
        log.notes[place] = (head.size, here.seal(hidden(head), time=head.time).proven[0])
    log.extends = here.extends
    report = judged(tmp_path, log.complete())
    assert report.ok, convicted(report)
    (note,) = (line for line in said(report, Kind.NOTE) if line.startswith("checkpoints: "))
    assert note.startswith("checkpoints: 1 steps of 'affidavit.example/checkpoints', begun with 'ZmZm")
    assert "checkpoints: the log of all checkpoints only grew, from 1 to 2" in said(report, Kind.OK)
    log.extends = lambda *_: None
    assert "checkpoints: 1 checkpoints do not prove that" in str(convicted(judged(tmp_path, log.complete())))


def _other_hash(note: str, all_logs: AllLogs) -> str:
    """Puts the root of the log of the tenant where the first hash of the proof stands."""
    del all_logs
    lines = note.split("\n")
    place = next(number for number, line in enumerate(lines) if line.startswith("index ")) + 1
    lines[place] = lines[2]
    return "\n".join(lines)


def _resealed(note: str, all_logs: AllLogs, **changed: object) -> str:
    """Seals what a note says once more, in a log of all checkpoints of its own."""
    del all_logs
    head = head_of(note)
    other = AllLogs(**changed)  # type: ignore[arg-type]
    return other.seal(hidden(foreign(OTHERS[0], head.time)), hidden(head), time=head.time).proven[1]


def head_line(note: str) -> str:
    return note.partition("\n\n")[0] + "\n"


def _from_older(note: str, all_logs: AllLogs) -> str:
    """Keeps text and proof, and puts the signed checkpoint of the round before below them."""
    return "\n\n".join([*note.split("\n\n")[:2], all_logs.rounds[0].signed])


def _never_sealed(note: str, all_logs: AllLogs) -> str:
    """Puts another root under the proof of the true one: of a leaf that is not there."""
    del all_logs
    head = head_of(note)
    forged = hidden(replace(head, root=bytes(32)))
    return note.replace(head_line(note), forged)


def _dated_back(note: str, all_logs: AllLogs) -> str:
    """Seals now what is dated an hour before."""
    head = head_of(note)
    return all_logs.seal(hidden(replace(head, time=head.time - 3_600_000)), time=head.time).proven[0]


def _second_history(note: str, all_logs: AllLogs) -> str:
    """Proves the same checkpoint in another log of as many leaves as the first round's, under the same key."""
    assert head_of(all_logs.rounds[0].signed).size == 3
    head = head_of(note)
    other = [hidden(foreign(tenant, head.time)) for tenant in OTHERS[:2]]
    return AllLogs().seal(hidden(head), *other, time=head.time).proven[0]


TAMPERINGS: dict[str, tuple[Callable[[str, AllLogs], str], str]] = {
    "a forged inclusion": (_other_hash, "of size 12 is not in the log of all checkpoints that was signed at size 7"),
    "a proof cut short": (
        lambda note, _: "\n".join(line for number, line in enumerate(note.split("\n")) if number != 8),
        "of size 12 is not in the log of all checkpoints that was signed at size 7",
    ),
    "another leaf's place": (
        lambda note, _: note.replace("index 4\n", "index 5\n"),
        "of size 12 is not in the log of all checkpoints that was signed at size 7",
    ),
    "another tenant's leaf": (
        lambda _, all_logs: all_logs.rounds[1].proven[0],
        f"is of the log 'affidavit.example/{OTHERS[0]}', not of this tenant's",
    ),
    "an older log of all checkpoints": (_from_older, "is not in the log of all checkpoints that was signed at size 3"),
    "a leaf that was never sealed": (_never_sealed, "is not in the log of all checkpoints that was signed at size 7"),
    "a date of before": (_dated_back, "is dated 2026-10-31T23:00:14.000Z, but was signed at 2026-11-01T00:00:14.000Z"),
    "a stranger's log": (
        lambda note, all_logs: _resealed(note, all_logs, key=THIEF),
        "is proven by a log that is not signed by the given key",
    ),
    "a log that is not of checkpoints": (
        lambda note, all_logs: _resealed(note, all_logs, name=TENANT),
        f"is proven by the log 'affidavit.example/{TENANT}', not by that of all checkpoints",
    ),
    "no signature": (
        lambda note, _: note.rpartition("\n\n")[0] + "\n\n\u2014 witness.example " + "A" * 92 + "\n",
        "is proven by a log that is not signed by the given key",
    ),
    "a second history of all checkpoints": (
        _second_history,
        "history: forks: the log of all checkpoints was signed with two roots at size 3",
    ),
    "a round": (lambda _, all_logs: all_logs.rounds[1].whole, "one checkpoint is expected, not a round of them"),
    "a proof of two": (
        lambda note, all_logs: all_logs.rounds[1].proven[0].partition("\n\n")[0] + "\n\n" + note,
        "the proof of a checkpoint is malformed",
    ),
    "a proof of another kind": (
        lambda note, _: note.replace("tlog-proof@v1", "tlog-proof@v2"), "the proof of a checkpoint is malformed",
    ),
    "a hash that is none": (
        lambda note, _: note.replace("index 4\n", "index 4\nAAAA\n"), "a hash in the proof of a checkpoint is malformed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_does_not_prove_a_checkpoint_is_named(tmp_path: Path, name: str) -> None:
    change, finding = TAMPERINGS[name]
    log, all_logs = proven_log()
    changed = change(log.notes[1][1], all_logs)
    assert changed != log.notes[1][1]
    report = judged(tmp_path, with_note(log, 1, changed).complete())
    assert not report.ok
    assert any(finding in line for line in convicted(report)), convicted(report)


def test_what_two_people_declared_lost_of_the_log_of_all_checkpoints_convicts_nobody(tmp_path: Path) -> None:
    log, all_logs = proven_log()
    moment = head_of(all_logs.rounds[0].signed).time
    gone = AllLogs()
    gone.seal(*(hidden(foreign(tenant, moment)) for tenant in OTHERS[:3]), time=moment)
    newest = head_of(gone.rounds[0].signed)
    left = Checkpoint(f"{KEY.name}/restored/checkpoints", 2, bytes(32), moment + 1)
    lost = f"lost {newest.size} {base64.b64encode(newest.root).decode()} {newest.time}\nreason disk failure\n"
    declared = sign_text(left.text + lost, KEY)
    assert convicted(judged(tmp_path, log.complete(), known=[gone.rounds[0].whole]))
    assert judged(tmp_path, log.complete(), known=[gone.rounds[0].whole, declared]).ok
    other = sign_text(left.text.replace("/checkpoints", f"/{OTHERS[0]}") + lost, KEY)
    assert convicted(judged(tmp_path, log.complete(), known=[gone.rounds[0].whole, other]))


def test_a_declaration_is_signed_by_itself(tmp_path: Path) -> None:
    """Or else whoever may add a leaf could explain what a restored database has lost."""
    log, all_logs = proven_log()
    left = Checkpoint(f"{KEY.name}/restored/{TENANT}", 2, bytes(32), head_of(log.notes[-1][1]).time)
    text = f"{left.text}lost 9 {'A' * 43}= {left.time}\nreason disk failure\n"
    member = json.dumps({"declaration": all_logs.seal(text, time=left.time).proven[0]}).encode() + b"\n"
    bundle = zipped([*contents(log.complete()).items(), ("declarations.ndjson", member)])
    (finding,) = convicted(judged(tmp_path, bundle))
    assert finding.startswith("declarations.ndjson: ")


def test_cells_that_sign_under_one_name_have_logs_of_their_own(tmp_path: Path) -> None:
    """What another cell signed of all its logs contradicts nothing of this cell's, nor does what version 0.1.0 signed."""
    log, all_logs = proven_log()
    moment = head_of(all_logs.rounds[0].signed).time
    others = [AllLogs(first=b"g" * 32), *(AllLogs(first=None) for _ in range(2)), AllLogs(key=THIEF, first=b"h" * 32)]
    kept = [
        each.seal(*(hidden(foreign(tenant, moment)) for tenant in OTHERS[:3]), time=moment).whole for each in others
    ]
    path = tmp_path / "bundle.zip"
    path.write_bytes(log.complete())
    report = verifier.verify(path, f"{PUBLIC}\n{THIEF.verifier_key}", known=kept)
    assert report.ok, convicted(report)


def test_a_proof_tells_nothing_of_other_tenants_but_hashes() -> None:
    _, all_logs = proven_log()
    for sealed in all_logs.rounds:
        own = sealed.proven[1]
        assert TENANT in own
        assert not any(tenant in own for tenant in OTHERS)
    # The same checkpoint has another hash each time, so that nobody can try out what a leaf may say.
    checkpoint = foreign(OTHERS[0], 1)
    assert hidden(checkpoint) != hidden(checkpoint)
    assert head_of(hidden(checkpoint) + "\n") == checkpoint
    assert len(hidden(checkpoint).split("nonce ")[1]) == 45


def test_a_stored_checkpoint_is_the_text_and_its_tlog_proof() -> None:
    note = "o\n1\n" + "A" * 43 + "=\ntime 2\n\n\u2014 k AAAAAAA=\n"
    assert proven("text\n", 5, [bytes(32), bytes(32)], note) == (
        f"text\n\nc2sp.org/tlog-proof@v1\nindex 5\n{'A' * 43}=\n{'A' * 43}=\n\n{note}"
    )


def test_the_service_and_the_verifier_read_the_same() -> None:
    log, all_logs = proven_log()
    for _, note in log.notes:
        theirs, ours = verifier.open_checkpoint(note, verifier.Keys(PUBLIC)), open_checkpoint(note, VERIFYING)
        assert (theirs.origin, theirs.size, theirs.root, theirs.time) == (ours.origin, ours.size, ours.root, ours.time)
        assert (theirs.signer, theirs.fault) == (KEY.name, "")
        assert entry_of(note).decode() == head_line(note)
    signed = all_logs.rounds[0].signed
    assert entry_of(signed) == signed.encode()
    kept = open_kept(all_logs.rounds[1].whole, VERIFYING)
    assert [one.origin.rpartition("/")[2] for one in kept] == [OTHERS[0], TENANT, *OTHERS[1:3], "checkpoints"]
    for wrong in (_never_sealed(log.notes[1][1], all_logs), _resealed(log.notes[1][1], all_logs, key=THIEF), "text"):
        with pytest.raises(InvalidNote):
            open_checkpoint(wrong, VERIFYING)
        with pytest.raises(InvalidNote):
            open_kept(wrong, VERIFYING)
