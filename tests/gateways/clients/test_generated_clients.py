"""Clients that are generated from the API's document: they compile strictly, and complete the README's recipe."""

import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.clients.environments import Environments
from tests.gateways.clients.test_official_clients import PROGRAMS, DoorAddress
from tests.listening import listening
from tests.service import PASSWORD, Service, Tenant

pytestmark = [pytest.mark.anyio, pytest.mark.doors]

PYTHON = ("openapi-python-client==0.29.1", "mypy==1.18.2", "ruff==0.14.5")
TYPESCRIPT = ("@hey-api/openapi-ts@0.99.0", "typescript@5.9.3", "@types/node@22")
SPECTRAL = "@stoplight/spectral-cli@6.16.3"
STRICTLY = {
    "compilerOptions": {
        "strict": True, "noUncheckedIndexedAccess": True, "module": "nodenext", "target": "es2022", "types": ["node"],
        "outDir": "dist", "rootDir": "src",
    },
    "include": ["src"],
}  # fmt: skip
SECONDS = 300  # for a generator or a compiler, on a busy machine
SEEN = ["Card disputes must be filed within 60 days of statement date.", "answer:returned", "forbidden"]


@pytest.fixture(scope="module")
async def door(service: Service, tenant: Tenant) -> AsyncIterator[DoorAddress]:
    async with listening(service) as address:
        yield DoorAddress(address, "", "")


@pytest.fixture(scope="module")
def described(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("openapi") / "openapi.json"
    file.write_text(json.dumps(service.app.openapi()))  # type: ignore[attr-defined]
    return file


def done(*command: str, folder: Path, path: str = os.environ["PATH"]) -> str:
    """Returns what a command printed; it succeeds, and in time."""
    try:
        ended = subprocess.run(
            command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
            timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.fail(f"not done within {SECONDS} seconds: {' '.join(command)}", pytrace=False)
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-4000:]
    return ended.stdout + ended.stderr


def completes(seen: Any) -> None:
    chunk, answer, action, refused = seen
    assert [chunk, action, refused] == SEEN
    assert answer.startswith(chunk)


async def test_a_python_client_is_generated_and_completes_the_recipe(
    door: DoorAddress, tenant: Tenant, described: Path, environments: Environments, tmp_path: Path
) -> None:
    python = environments.python(*PYTHON)
    programs = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
    into = ("--output-path", "affidavit_api", "--meta", "none")
    told = done(
        python,
        "-m",
        "openapi_python_client",
        "generate",
        "--path",
        str(described),
        *into,
        folder=tmp_path,
        path=programs,
    )
    # Nothing but the one picture is left out.
    assert told.count("Unsupported content_type") == told.count("image/png") / 2 == 1, told
    modules = sorted(
        ".".join(file.relative_to(tmp_path).with_suffix("").parts) for file in tmp_path.rglob("affidavit_api/**/*.py")
    )
    done(python, "-c", "\n".join(f"import {name.removesuffix('.__init__')}" for name in modules), folder=tmp_path)
    recipe = tmp_path / "recipe.py"
    recipe.write_text((PROGRAMS / "generated_client.py").read_text())
    done(python, "-m", "mypy", "--strict", "--follow-imports=silent", "recipe.py", folder=tmp_path)
    completes(await door.run(python, "recipe.py", door.address, tenant.slug, PASSWORD, folder=tmp_path))


async def test_a_typescript_client_is_generated_and_completes_the_recipe(
    door: DoorAddress, tenant: Tenant, described: Path, environments: Environments, tmp_path: Path
) -> None:
    path, modules = environments.path_of_node(), environments.node(*TYPESCRIPT) / "node_modules"
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "tsconfig.json").write_text(json.dumps(STRICTLY))
    asked = {
        "input": str(described), "output": {"path": "src/client", "importFileExtension": ".js"}, "plugins": ["@hey-api/client-fetch"],
    }  # fmt: skip
    (tmp_path / "asked.mjs").write_text(f"export default {json.dumps(asked)};")
    done("node", str(modules / ".bin/openapi-ts"), "-f", "asked.mjs", folder=tmp_path, path=path)
    (tmp_path / "src/recipe.ts").write_text((PROGRAMS / "generated_client.ts").read_text())
    done("node", str(modules / ".bin/tsc"), folder=tmp_path, path=path)
    completes(await door.run("node", "dist/recipe.js", door.address, tenant.slug, PASSWORD, folder=tmp_path, PATH=path))


async def test_spectral_finds_nothing(described: Path, environments: Environments, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("extends: spectral:oas\n")
    spectral = environments.node(SPECTRAL) / "node_modules/.bin/spectral"
    severity = ("--ruleset", "rules.yaml", "--fail-severity", "hint")
    found = done(
        "node", str(spectral), "lint", str(described), *severity, folder=tmp_path, path=environments.path_of_node()
    )
    assert "No results" in found
