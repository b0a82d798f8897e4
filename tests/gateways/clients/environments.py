"""Environments of their own for programs that others wrote, out of the package registries.

Versions are exact and stand with the tests that ask for them; what they depend on is resolved anew each time.
"""

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NODE = "node@22"
INSTALL_SECONDS = 400  # for the largest, Open WebUI, of which a quiet machine needs half
RUN_SECONDS = 240  # for a program with a handful of questions, on a busy machine
# What the installers say when there is no way to a registry; anything else they say is a failure.
_NO_WAY = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|dns error|error sending request|Connect|timed out"
)


class Environments:
    """Makes each environment once, below one folder; skips the test, with the reason, only where no registry can be reached."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def python(self, *requirements: str, without: tuple[str, ...] = ()) -> str:
        """Returns the interpreter of an environment with these packages, and `without` some of what they ask for."""
        place, uv = self._place("python", (*requirements, *without)), [sys.executable, "-m", "uv"]
        interpreter = str(place / "bin" / "python")
        if not (place / "whole").exists():
            _run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)], self._folder)
            left_out = place / "left-out.txt"
            left_out.write_text("".join(f"{package} ; sys_platform == 'none'\n" for package in without))
            install = [*uv, "pip", "install", "--quiet", "--python", interpreter, "--override", str(left_out)]
            _run([*install, *requirements], self._folder)
            (place / "whole").touch()
        return interpreter

    def node(self, *packages: str) -> Path:
        """Returns a folder with these packages in its `node_modules`."""
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        place = self._place("node", packages)
        if not (place / "whole").exists():
            place.mkdir(parents=True, exist_ok=True)
            _run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", *packages], place)
            (place / "whole").touch()
        return place

    def path_of_node(self) -> str:
        """Returns PATH with the Node before all others that official clients need."""
        return f"{self.node(NODE) / 'node_modules/node/bin'}{os.pathsep}{os.environ['PATH']}"

    def _place(self, kind: str, packages: tuple[str, ...]) -> Path:
        self._folder.mkdir(exist_ok=True)
        return self._folder / f"{kind}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}"


async def ended(running: asyncio.subprocess.Process, program: str) -> tuple[bytes, bytes | None]:
    """Returns what a program wrote; one that takes too long is ended, and the test fails."""
    try:
        return await asyncio.wait_for(running.communicate(), RUN_SECONDS)
    except TimeoutError:
        running.kill()
        await running.wait()
        pytest.fail(f"not done within {RUN_SECONDS} seconds: {program}", pytrace=False)


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.fail(f"not installed within {INSTALL_SECONDS} seconds: {' '.join(command)}", pytrace=False)
    if done.returncode and _NO_WAY.search(done.stderr):
        pytest.skip(f"the registry cannot be reached: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr[-3000:]
