"""The command line."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from backend.ledger.verifier.archive import notes_in
from backend.ledger.verifier.findings import Report, shown
from backend.ledger.verifier.together import verify_together
from backend.ledger.verifier.verification import verify


class ProgressBar:
    """Draws a bar on stderr while a terminal watches."""

    def __init__(self) -> None:
        self._drawn, self._watched = 0.0, sys.stderr.isatty()

    def draw(self, share: float) -> None:
        """Draws the share that is done, from 0 to 1, at most ten times a second."""
        if self._watched and time.monotonic() - self._drawn > 0.1:
            self._drawn = time.monotonic()
            sys.stderr.write(f"\r[{'#' * int(share * 40):40}] {share:4.0%} ")
            sys.stderr.flush()

    def clear(self) -> None:
        """Takes the bar away."""
        if self._watched:
            sys.stderr.write("\r\x1b[K")


class NotReadable(Exception):
    """The key or the kept checkpoints cannot be read; the message is fit for a terminal."""


def report_on(bundles: Sequence[Path], key: str, checkpoints: Path | None, bar: ProgressBar) -> Report:
    """Verifies bundles together, with a key or a file of it; raises NotReadable."""
    try:
        keys = Path(key).read_text(encoding="utf-8") if Path(key).exists() else key
        known = list(notes_in(checkpoints)) if checkpoints else []
        if len(bundles) == 1:
            return verify(bundles[0], keys, known=known, progress=bar.draw)
        return verify_together(bundles, keys, known=known, progress=bar.draw)
    except Exception as error:  # the kept checkpoints may come from a hostile bundle as well
        raise NotReadable(f"key or checkpoints cannot be read: {type(error).__name__}: {shown(str(error))}") from error
    finally:
        bar.clear()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line per finding, or all as JSON; returns 0 if nothing convicts the bundle, else 1."""
    parser = argparse.ArgumentParser(
        description="Verifies an exported audit log offline.",
        epilog="INVALID, MISSING and GAP convict; LOST is what the operator declared that a restored database has lost.",
    )
    parser.add_argument("bundle", type=Path, nargs="+", help="a bundle; or parts of an export, or it and its archives")
    parser.add_argument("--key", required=True, help="file with the public key, or the key itself")
    parser.add_argument("--checkpoints", type=Path, help="kept checkpoints: a file, a directory, another bundle")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    try:
        report = report_on(options.bundle, options.key, options.checkpoints, ProgressBar())
    except NotReadable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    lines = [json.dumps(report.facts())] if options.json else report.lines()
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0 if report.ok else 1
