"""Several bundles of one log."""

import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import file_digest
from pathlib import Path

from backend.ledger.verifier.archive import notes_in
from backend.ledger.verifier.bundle_format import MAX_SHOWN
from backend.ledger.verifier.findings import GAP, INVALID, NOTE, OK, Report, shown
from backend.ledger.verifier.verification import verify


def verify_together(
    bundles: Sequence[Path], keys: str, *, known: Iterable[str] = (), progress: Callable[[float], None] = lambda _: None
) -> Report:
    """Verifies bundles of one log, each by itself and against the checkpoints of the others.

    They are the parts of one export, or an export and its archives; what lies between two of them is a GAP.
    """
    whole, known, reports = Report(), list(known), dict[Path, Report]()
    for number, bundle in enumerate(bundles):
        others = [note for other in bundles if other != bundle for note in _notes_of(other)]
        share = partial(_progress_of, progress, number, len(bundles))
        report = reports[bundle] = verify(bundle, keys, known=[*known, *others], progress=share)
        for finding in report.findings:
            whole.add(finding.kind, f"{ascii(bundle.name)[1:-1]}: {finding.subject}", finding.detail)
        whole.counts.update({kind: max(0, count - MAX_SHOWN) for kind, count in report.counts.items()})
        whole.events += report.events
    _report_coverage(reports, whole)
    return whole


def _progress_of(progress: Callable[[float], None], number: int, count: int, share: float) -> None:
    progress((number + share) / count)


def _report_coverage(reports: dict[Path, Report], whole: Report) -> None:
    """Reports which leaves are in none of the bundles, and which archives are among them."""
    if len({report.tenant for report in reports.values()}) > 1:
        whole.add(INVALID, "together", "the bundles are not of one log")
    in_order = sorted(reports.values(), key=lambda report: report.leaves.start)
    end = in_order[0].leaves.start
    for report in in_order:
        if report.leaves.start > end:
            whole.add(GAP, "together", f"leaves {end} to {report.leaves.start - 1} are in none of the bundles")
        end = max(end, report.leaves.stop)
    given = {sha256_of(bundle): bundle.name for bundle in reports if bundle.is_file()}
    for digest in sorted({digest for report in reports.values() for digest in report.archives}):
        if digest in given:
            whole.add(OK, "together", f"the archive with SHA-256 {digest} is {shown(given[digest])}")
        else:
            whole.add(NOTE, "together", f"the archive with SHA-256 {digest} is not among the bundles")


def sha256_of(path: Path) -> str:
    """Returns the hex SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _notes_of(bundle: Path) -> list[str]:
    """Returns the checkpoints in a bundle; none of one that cannot be read, which its own verification says."""
    try:
        return list(notes_in(bundle)) if zipfile.is_zipfile(bundle) else []
    except Exception:  # noqa: BLE001 - hostile archives make zipfile and zlib raise almost anything.
        return []
