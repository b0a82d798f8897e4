"""The image: what it is made of, by whom it is run, and that the same sources give the same bytes."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from hashlib import sha256
from pathlib import Path

import yaml

from tests.serving import ROOT

INFRA = ROOT / "infra"
INSTALLATION = "uv pip install --no-cache --compile-bytecode --no-index --no-deps --find-links /wheel --python /opt/affidavit/bin/python affidavit \\"


def test_hadolint_warns_of_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    command = [str(hadolint), "--no-color", "--failure-threshold", "warning", str(INFRA / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_image_runs_without_root_tools_or_unlocked_packages() -> None:
    build, last_stage = (INFRA / "Dockerfile").read_text().rsplit("\nFROM ", 1)
    assert re.search(r"^USER 10001:10001$", last_stage, re.MULTILINE)
    assert not re.search(r"\b(apt-get|gcc|uv|pip install|build-essential)\b", last_stage)
    installing = re.findall(r"(?:uv )?pip (?:install|sync) .*", build)
    assert len(installing) == 3
    assert [line for line in installing if "--require-hashes" not in line] == [INSTALLATION]
    assert "--no-index --no-deps --find-links /wheel" in INSTALLATION
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", build, re.MULTILINE):
        assert [name for name in source.split() if not (ROOT / name).exists()] == []


def test_what_the_handbook_gives_the_build_is_asked_for() -> None:
    dockerfile, handbook = (INFRA / "Dockerfile").read_text(), (INFRA / "README.md").read_text()
    given = set(re.findall(r"--build-arg\s+(\w+)=", handbook))
    assert given == {"PYTHON", "PACKAGES"}
    assert given <= set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))
    named = set(re.findall(r"PACKAGES=(requirements\S+\.lock)", handbook + dockerfile))
    assert [name for name in named if not (ROOT / name).exists() or name not in dockerfile] == []


def test_the_image_installs_with_the_uv_that_its_sources_are_developed_with() -> None:
    (locked,) = re.findall(r"^uv==(\S+) \\$", (ROOT / "requirements-image.lock").read_text(), re.MULTILINE)
    assert f"UV_VERSION := {locked}\n" in (ROOT / "Makefile").read_text()


def test_the_first_process_of_the_image_is_an_init() -> None:
    last_stage = (INFRA / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", last_stage, re.MULTILINE)
    assert json.loads(entry) == ["dumb-init", "--single-child", "--", "affidavit"]
    assert "init" not in yaml.safe_load((INFRA / "compose.yaml").read_text())["x-affidavit"], (
        "two would be one too many"
    )
    assert re.search(r"^dumb-init==\S+ \\$", (ROOT / "requirements-image.lock").read_text(), re.MULTILINE)


def installed_as_in_the_image(folder: Path) -> dict[str, str]:
    """Does what the image does with this repository in a folder; returns the hash of each file that is installed there."""
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder / "venv", symlinks=True)
    made = {
        "/wheel": folder / "wheel",
        "python -m hatchling": f"{sys.executable} -m hatchling",
        "/opt/affidavit": folder / "venv",
    }
    (line,) = re.findall(r"^RUN (\S+ -m hatchling (?:.*\\\n)*.*)$", (INFRA / "Dockerfile").read_text(), re.MULTILINE)
    for path, here in made.items():
        line = line.replace(path, str(here))
    line = line.replace("uv pip", f"{sys.executable} -m uv pip")
    subprocess.run(
        ["sh", "-c", line], cwd=ROOT, env={**os.environ, "SOURCE_DATE_EPOCH": "0"}, check=True, capture_output=True
    )
    (site,) = (folder / "venv").glob("lib/python3*/site-packages")
    return {
        path.relative_to(site).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in [*(site / "backend").rglob("*"), *site.glob("affidavit-*/*")]
        if path.is_file()
    }


def test_the_image_installs_the_wheel_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    first = installed_as_in_the_image(tmp_path / "image")
    assert {"backend/cli.py", "backend/_shipped/infra/roles.sql"} <= first.keys()
    assert any(name.startswith("backend/__pycache__/cli.") for name in first)
    assert installed_as_in_the_image(tmp_path / "image") == first
