"""Puts the offline verifier, as one file, into the wheel of the client."""

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class VerifierHook(BuildHookInterface[Any]):
    """Writes the verifier as `affidavit audit verifier` does, by that command's own code."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Adds the file before the wheel is written."""
        writer = runpy.run_path(str(Path(self.root).parent / "ledger" / "verifier" / "single_file.py"))
        self._folder = tempfile.TemporaryDirectory(prefix="affidavit-client-")
        file = Path(self._folder.name) / "verifier.py"
        file.write_text(writer["single_file"](), encoding="utf-8")
        build_data["force_include"][str(file)] = "verifier.py"  # below affidavit_client/, like all of it

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's signature
        """Takes the file away again."""
        self._folder.cleanup()
