"""Rounds that somebody kept, and what the log of the cells' logs holds: a bundle that says something else is convicted."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.ledger import verifier
from backend.ledger.checkpoints import (
    Checkpoint,
    SigningKey,
)
from backend.ledger.rounds import head_of, hidden
from backend.ledger.verifier import Kind
from backend.ledger.verifier.proven import OF_CELLS
from tests.ledger.proven_log import OTHERS, AllLogs, Round, foreign, proven_log
from tests.ledger.small_log import (
    KEY,
    TENANT,
    SmallLog,
    judged,
    said,
    saved,
)
from tests.ledger.test_proven import THIEF, convicted, head_line


def _kept_round(change: Callable[[Round, AllLogs], str], tmp_path: Path) -> verifier.Report:
    log, all_logs = proven_log()
    kept = [change(all_logs.rounds[1], all_logs), all_logs.rounds[0].whole, all_logs.rounds[3].signed]
    return judged(tmp_path, log.complete(), known=kept)


def test_kept_rounds_proofs_and_signed_checkpoints_agree_with_the_log(tmp_path: Path) -> None:
    log, all_logs = proven_log()
    for kept in (
        [each.whole for each in all_logs.rounds],
        [note for each in all_logs.rounds for note in each.proven],
    ):
        report = judged(tmp_path, log.complete(), known=[*kept, *(each.signed for each in all_logs.rounds)])
        assert report.ok, convicted(report)
        assert "history: agrees with 4 kept checkpoints" in said(report, Kind.OK)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda kept, _: kept.whole.replace(head_line(kept.proven[0]) + "\n", ""), "a kept checkpoint is not in the log of all"),
        (lambda kept, _: kept.whole.replace("\n12\n", "\n13\n"), "a kept checkpoint is not in the log of all checkpoints"),
        (lambda kept, _: kept.whole.replace("first 3\n", "first 4\n"), "a kept checkpoint cannot be read: the proof of a round is malformed"),
        (lambda kept, _: kept.whole.replace("affidavit-round@v1", "affidavit-round@v2"), "a kept checkpoint cannot be read: the proof of"),
        (
            lambda _, __: AllLogs(key=THIEF).seal(hidden(foreign(TENANT, 1)), time=1).whole,
            "a kept checkpoint is proven by a log that is not signed by the given key",
        ),
    ],
)  # fmt: skip
def test_a_kept_round_that_was_changed_is_named(
    tmp_path: Path, change: Callable[[Round, AllLogs], str], finding: str
) -> None:
    report = _kept_round(change, tmp_path)
    assert any(line.startswith(f"history: {finding}") for line in convicted(report)), convicted(report)


def test_a_history_of_all_checkpoints_that_was_shown_to_somebody_else_convicts(tmp_path: Path) -> None:
    log, all_logs = proven_log()
    # Nothing of this tenant is in it: only the log of all checkpoints tells that there are two histories.
    elsewhere = AllLogs()
    moment = head_of(all_logs.rounds[0].signed).time
    elsewhere.seal(*(hidden(foreign(tenant, moment)) for tenant in OTHERS[:3]), time=moment)
    elsewhere.seal(*(hidden(foreign(tenant, moment)) for tenant in OTHERS[:1]), time=moment)
    for kept in (
        elsewhere.rounds[0].signed,  # of the size of our first round
        elsewhere.rounds[0].whole,
        elsewhere.rounds[0].proven[0],
        elsewhere.rounds[1].whole,  # of another size, but it continues what was of that size
    ):
        report = judged(tmp_path, log.complete(), known=[kept])
        forked = "history: forks: the log of all checkpoints was signed with two roots at size 3"
        assert convicted(report) == [forked]


def test_a_log_of_all_checkpoints_that_was_rolled_back_convicts(tmp_path: Path) -> None:
    log, all_logs = proven_log()
    moment = head_of(all_logs.rounds[0].signed).time - 200_000
    grown = AllLogs()
    kept = grown.seal(*(hidden(foreign(OTHERS[0], moment)) for _ in range(50)), time=moment)
    (finding,) = convicted(judged(tmp_path, log.complete(), known=[kept.signed]))
    assert finding.startswith(
        "history: was rolled back: the log of all checkpoints had 50 leaves at 2026-10-31T23:56:47"
    )
    inside = grown.seal(hidden(foreign(OTHERS[0], moment)), time=head_of(all_logs.rounds[-1].signed).time + 1)
    assert judged(tmp_path, log.complete(), known=[inside.signed]).ok


def test_a_round_says_at_which_leaf_it_begins(tmp_path: Path) -> None:
    """The same hashes are the right edge of other sizes as well, and would have the same root."""
    log, _ = proven_log()
    moment, longer = head_of(log.notes[0][1]).time, AllLogs(first=None)
    longer.seal(*(hidden(foreign(tenant, moment)) for tenant in OTHERS[:4]), time=moment)
    kept = longer.seal(hidden(foreign(TENANT, moment)), time=moment).whole
    for first, finding in (
        (4, "forks: a kept checkpoint"),
        (8, "a kept checkpoint is not in the log of all checkpoints"),
    ):
        report = judged(tmp_path, log.complete(), known=[kept.replace("first 4\n", f"first {first}\n")])
        assert all(line.startswith(f"history: {finding}") for line in convicted(report)), convicted(report)
        assert convicted(report)


def _cells_log(all_logs: AllLogs, key: SigningKey, *, root: bytes | None = None, name: str = OF_CELLS) -> str:
    """What the operator's log of the cells' logs says of this one, with its proof."""
    text = all_logs.rounds[1].signed.partition("\n\n")[0] + "\ncell eu-1\n"
    if root is not None:
        lines = text.split("\n")
        lines[2] = base64.b64encode(root).decode()
        text = "\n".join(lines)
    when = Checkpoint.parse(text).time + 60_000
    return AllLogs(key=key, name=name, first=b"c" * 32).seal("another cell's\n", text, time=when).proven[1]


def test_what_the_log_of_the_cells_logs_holds_is_compared_with_what_the_bundle_says(tmp_path: Path) -> None:
    operator = SigningKey.generate("operator.example")
    log, all_logs = proven_log()
    keys = f"{KEY.verifier_key}\n{operator.verifier_key}"

    def found(kept: str, keys: str = keys) -> verifier.Report:
        return verifier.verify(saved(tmp_path, log.complete()), keys, known=[kept])

    assert found(_cells_log(all_logs, operator)).ok
    for kept, keys_given, finding in (
        (
            _cells_log(all_logs, operator, root=bytes(32)),
            keys,
            "forks: the log of all checkpoints was signed with two roots",
        ),
        (
            _cells_log(all_logs, operator),
            str(KEY.verifier_key),
            "is proven by a log that is not signed by the given key",
        ),
        (_cells_log(all_logs, operator, name="other"), keys, "is proven by the log 'operator.example/other'"),
        (_of_a_tenant(log, operator), keys, "which holds no checkpoint of a tenant"),
    ):
        report = found(kept, keys_given)
        assert not report.ok
        assert any(finding in line for line in convicted(report)), convicted(report)


def _of_a_tenant(log: SmallLog, operator: SigningKey) -> str:
    """The operator's key says what a tenant's log was, which only the cell's key may."""
    text = f"{log.notes[1][1].partition(chr(10) * 2)[0]}\n"
    return AllLogs(key=operator, name=OF_CELLS).seal(text, time=Checkpoint.parse(text).time).proven[0]
