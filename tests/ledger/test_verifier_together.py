"""Several bundles of one log: events that left for an archive, and the parts of an export."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from backend.ledger.bundle import BundleWriter
from backend.ledger.checkpoints import Checkpoint
from backend.ledger.merkle import leaf_hash
from backend.ledger.verifier import Kind, Report, verify, verify_together
from tests.ledger.small_log import PUBLIC, SmallLog, at, convicted, example_log, said

YEAR = 365 * 86_400.0


def archived(log: SmallLog, end: int, **said_of_it: Any) -> bytes:
    """Bundles the first leaves as an archive, and records that they left."""
    bundle = log.complete(range(end), end=at(14))  # when twelve events were sealed
    facts = {"first_leaf": 0, "end_leaf": end, "month": "2026-11", "sha256": sha256(bundle).hexdigest()}
    log.append("audit:archived", archive=facts | said_of_it)
    log.seal()
    return bundle


def without_events(log: SmallLog, gone: range, *, outside: bool = False) -> bytes:
    """Bundles the log as it is after events are gone; `outside` leaves the archiving for erasures.ndjson."""
    stream, (end, note) = BytesIO(), log.notes[-2 if outside else -1]
    until = datetime.fromtimestamp(Checkpoint.parse(note.partition("\n\n")[0] + "\n").time / 1000, UTC)
    with BundleWriter(stream, log.scope(range(end), revealed=False, end=until)) as bundle:
        for leaf in range(end):
            sealed = leaf_hash(log.envelopes[leaf].encode())
            if leaf in gone:
                bundle.add_missing(leaf, sealed)
            else:
                bundle.add_event(leaf, log.envelopes[leaf], sealed_hash=sealed)
        for size, note in log.notes:
            bundle.add_checkpoint(note, log.consistency(end, size) if size > end else None)
        if outside:
            size = log.notes[-1][0]
            bundle.add_erasure(size - 1, log.envelopes[-1], log.inclusion(size - 1, size))
    return stream.getvalue()


def files(tmp_path: Path, bundles: Mapping[str, bytes]) -> list[Path]:
    for name, content in bundles.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in bundles]


def together(tmp_path: Path, bundles: Mapping[str, bytes]) -> Report:
    return verify_together(files(tmp_path, bundles), PUBLIC)


@pytest.mark.parametrize("outside", [False, True])
def test_leaves_that_left_for_an_archive_are_said_to_and_convict_nobody(tmp_path: Path, *, outside: bool) -> None:
    log = example_log()
    log.clock += YEAR
    archive = archived(log, 12)
    later = without_events(log, range(12), outside=outside)
    report = verify(files(tmp_path, {"later": later})[0], PUBLIC)
    assert report.ok, convicted(report)
    [finding] = said(report, Kind.ARCHIVED)
    digest = sha256(archive).hexdigest()
    assert finding == f"leaves 0 to 11: left, as leaf 24 says, for the archive of '2026-11' with SHA-256 {digest}"
    both = together(tmp_path, {"archive": archive, "later": later})
    assert both.ok, convicted(both)
    assert f"together: the archive with SHA-256 {digest} is 'archive'" in said(both, Kind.OK)


def test_events_that_are_gone_without_or_beyond_an_archive_are_missing(tmp_path: Path) -> None:
    log = example_log()
    log.clock += YEAR
    without = verify(files(tmp_path, {"b": without_events(log, range(12))})[0], PUBLIC)
    assert said(without, Kind.MISSING)[:12] == [f"leaf {n}: was sealed, but its event is gone" for n in range(12)]
    archived(log, 12)
    beyond = verify(files(tmp_path, {"b": without_events(log, range(14))})[0], PUBLIC)
    assert said(beyond, Kind.MISSING) == [f"leaf {n}: was sealed, but its event is gone" for n in (12, 13)]
    assert not beyond.ok


def test_an_archive_cannot_account_for_what_is_younger_than_a_year_or_not_sealed_yet(tmp_path: Path) -> None:
    young, early = example_log(), example_log()
    young.clock += YEAR - 60
    archived(young, 12)
    report = verify(files(tmp_path, {"b": without_events(young, range(12))})[0], PUBLIC)
    assert len(said(report, Kind.MISSING)) == 12
    early.clock += YEAR
    archived(early, 12, end_leaf=26)
    report = verify(files(tmp_path, {"b": without_events(early, range(12))})[0], PUBLIC)
    assert "leaf 24: leaves were archived that were not sealed before" in said(report, Kind.INVALID)
    assert len(said(report, Kind.MISSING)) == 12


@pytest.mark.parametrize("facts", [{"first_leaf": "0"}, {"end_leaf": True}, {"sha256": "x"}, {"first_leaf": -1}])
def test_a_malformed_archiving_accounts_for_nothing(tmp_path: Path, facts: dict[str, Any]) -> None:
    log = example_log()
    log.clock += YEAR
    archived(log, 12, **facts)
    report = verify(files(tmp_path, {"b": without_events(log, range(12))})[0], PUBLIC)
    assert len(said(report, Kind.MISSING)) == 12
    assert any(line.startswith("leaf 24:") for line in said(report, Kind.INVALID))


def test_an_answer_whose_prompt_was_archived_is_no_answer_without_a_prompt(tmp_path: Path) -> None:
    log = example_log()
    log.clock += YEAR
    archived(log, 11)  # the prompt at leaf 10, and not its answer at leaf 11
    report = verify(files(tmp_path, {"b": without_events(log, range(11))})[0], PUBLIC)
    assert report.ok, convicted(report)


def test_an_exchanged_archive_is_not_the_one_that_was_recorded(tmp_path: Path) -> None:
    log = example_log()
    log.clock += YEAR
    archived(log, 12)
    other = log.complete(range(12), revealed=False)
    report = together(tmp_path, {"archive": other, "later": without_events(log, range(12))})
    assert any("is not among the bundles" in line for line in said(report, Kind.NOTE))


def test_parts_verify_each_and_together_and_a_part_that_lacks_is_a_gap(tmp_path: Path) -> None:
    log = example_log()
    signed = {0: at(0), 6: at(7), 12: at(14), 18: at(21), 24: at(28)}
    parts = {
        str(size): log.complete(range(size, size + 6), begin=signed[size], end=signed[size + 6])
        for size in (0, 6, 12, 18)
    }
    for path in files(tmp_path, parts):
        assert verify(path, PUBLIC).ok, convicted(verify(path, PUBLIC))
    report = together(tmp_path, parts)
    assert report.ok, convicted(report)
    del parts["12"]
    assert said(together(tmp_path, parts), Kind.GAP) == ["together: leaves 12 to 17 are in none of the bundles"]


def test_parts_of_two_histories_or_of_two_tenants_do_not_fit_together(tmp_path: Path) -> None:
    log, forked = example_log(), SmallLog()
    for _ in range(6):
        forked.append("audit:read")
    forked.seal()
    report = together(tmp_path, {"a": log.complete(), "b": forked.complete()})
    assert any("forks" in line for line in said(report, Kind.INVALID))
    stranger = example_log()
    stranger.tenant = log.tenant[:-1] + "b"
    report = together(tmp_path, {"a": log.complete(), "b": stranger.complete()})
    assert "together: the bundles are not of one log" in said(report, Kind.INVALID)


def test_bundles_that_cannot_be_read_are_invalid_and_never_a_stack_trace(tmp_path: Path) -> None:
    good = example_log().complete()
    report = together(tmp_path, {"good": good, "not a zip": b"x", "cut": good[: len(good) // 2]})
    assert not report.ok
    assert verify_together([tmp_path / "good", tmp_path / "nowhere"], PUBLIC).ok is False
