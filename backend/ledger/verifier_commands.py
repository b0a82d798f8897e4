"""`affidavit audit verifier` and `affidavit audit verify`: what a reviewer does offline, with an export and a public key."""

from pathlib import Path
from typing import Annotated

import typer

from backend.command_output import CommandFailed, CommandResult


def audit_verifier(
    file: Annotated[Path, typer.Argument(help="Where to write it.", dir_okay=False, writable=True)],
) -> CommandResult:
    """Write the offline verifier as one file for an auditor, who needs nothing else than Python and `cryptography`.

    Example: affidavit audit verifier verifier.py && python verifier.py export.zip --key checkpoint-key.pub
    """
    from backend.ledger.verifier.single_file import single_file  # noqa: PLC0415

    file.write_text(single_file(), encoding="utf-8")
    return CommandResult({"file": file}, f"Wrote {file}.")


def audit_verify(
    bundles: Annotated[list[Path], typer.Argument(help="A bundle; or the parts of an export, or it and its archives.")],
    key: Annotated[str, typer.Option(help="File with the public key, or the key itself.")],
    checkpoints: Annotated[
        Path | None, typer.Option(help="Checkpoints that you kept: a file, a folder, or another bundle.")
    ] = None,
) -> CommandResult:
    """Verify bundles offline; exit 0 only if nothing was changed, lost or forged. One line per finding.

    INVALID, MISSING and GAP convict. OK was proved. ERASED and ARCHIVED are accounted for by events of the log. LOST is what
    two people of the operator declared that a restored database has lost (affidavit audit restore): it does not convict, and
    names the leaves. NOTE says what is not proved.

    Example: affidavit audit verify export.zip --key checkpoint-key.pub --checkpoints kept/
    """
    from backend.ledger import verifier  # noqa: PLC0415

    try:
        report = verifier.report_on(bundles, key, checkpoints, verifier.ProgressBar())
    except verifier.NotReadable as error:
        raise CommandFailed(str(error)) from None
    return CommandResult(report.facts(), list(report.lines()), status=0 if report.ok else 1)
