"""Changes modules of the trust path one place at a time, and tells which changes no test notices.

    make mutation MODULES="validity guard"

cosmic-ray knows what can be changed. A sample of it, which a seed makes repeatable, is tried: each change in a process of
its own, which imports the module as if the change were in its file, and runs the tests that are listed here. No file changes.
"""

import argparse
import contextlib
import importlib
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

import hypothesis
import pytest
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from hypothesis import Phase

ROOT = Path(__file__).resolve().parent.parent
BACKEND = ROOT / "backend"
LONGEST_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Module:
    """What is changed, below `backend`, and the tests that are to notice; those of the service run when the others pass."""

    paths: tuple[str, ...]
    tests: tuple[str, ...] = ()
    service_tests: tuple[str, ...] = ()


MODULES = {
    "validity": Module(("documents/versions/validity.py",), ("documents/test_validity.py",)),
    "addresses": Module(("identity/callers/addresses.py",), ("identity/test_addresses.py",)),
    "on_behalf_of": Module(("identity/callers/on_behalf_of.py",), ("identity/test_on_behalf_of.py",)),
    "tenancy": Module(("tenancy.py",), ("test_tenancy.py",), ("isolation/test_pool_safety.py",)),
    "caller": Module(
        ("identity/callers/caller.py", "identity/callers/rows.py"),
        ("identity/test_callers.py",),
        ("identity/test_keys.py",),
    ),
    "guard": Module(("identity/callers/guard.py",), (), ("identity/test_guard.py",)),
    "recorder": Module(("audit/recorder.py",), (), ("audit/test_recorder.py",)),
    "verifier": Module(
        ("ledger/verifier",), ("ledger/test_verifier*.py", "ledger/test_proven.py", "ledger/test_kept_rounds.py")
    ),
    "grounding": Module(
        ("answers/grounding",),
        (
            "answers/test_grounding_rules.py",
            "answers/test_judge.py",
            "answers/test_grounding.py",
            "answers/test_modality.py",
            "answers/test_falsehoods.py",
        ),
    ),
    "fusion": Module(
        ("retrieval/ranking/ordering.py", "retrieval/ranking/pages.py"),
        (),
        (
            "retrieval/test_pages.py",
            "retrieval/test_furniture.py",
            "retrieval/test_phrases.py",
            "retrieval/test_fusion.py",
        ),
    ),
    "sealer": Module(("ledger/sealer.py",), (), ("ledger/test_sealer_rounds.py", "ledger/test_sealer.py")),
}

# A union of types becomes none: the module cannot be imported, which says nothing of its tests.
_PASSED_OVER = "core/ReplaceBinaryOperator_BitOr_"
# Whether instances are frozen and have slots changes nothing that they do.
_OF_FORM = "@dataclass("

# Nothing that a test does not need: starting pytest would take longer than most of these tests.
# pytest-timeout is here because pyproject.toml sets its option; it is off, since it would take the alarm of the process.
_PYTEST = (
    "-x", "-q", "-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "anyio", "-p", "pytest_timeout", "--timeout=0",
    "--assert=plain",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One place of one file, and what is done to it."""

    path: Path
    operator: str
    occurrence: int
    line: int

    @property
    def source(self) -> str:
        """The file's text with the change."""
        changed: str = mutate_code(self.path.read_text(), get_operator(self.operator)(), self.occurrence)
        return changed

    def __str__(self) -> str:
        before, after = self.path.read_text().splitlines(), self.source.splitlines()
        told = next((new.strip() for old, new in zip(before, after, strict=False) if old != new), "a line less")
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.operator.removeprefix('core/')}: {told}"


def changes(paths: tuple[str, ...]) -> list[Change]:
    """Returns every change of these files and folders, in the order of the text."""
    files = [
        file for path in paths for file in ([BACKEND / path] if path.endswith(".py") else (BACKEND / path).glob("*.py"))
    ]
    found = []
    for file in sorted(files):
        nodes, lines = list(ast_nodes(get_ast_from_path(file))), file.read_text().splitlines()
        for name in operator_names():
            operator = get_operator(name)
            if name.startswith(_PASSED_OVER) or operator.arguments():
                continue
            places = [place for node in nodes for place in operator().mutation_positions(node)]
            found += [
                Change(file, name, number, place[0][0])
                for number, place in enumerate(places)
                if not lines[place[0][0] - 1].startswith(_OF_FORM)
            ]
    return found


def survives(change: Change | None, module: Module, server: Path) -> bool:
    """Tells whether the tests of a module pass with a change."""
    return _passes(change, module.tests, None) and _passes(change, module.service_tests, server)


def _passes(change: Change | None, tests: tuple[str, ...], server: Path | None) -> bool:
    """Tells whether tests pass with a change, in a process of their own, with a server or without conftest.py."""
    if not tests:
        return True
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(LONGEST_SECONDS)
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            if change is not None:
                _import_as(change)
            if server is not None:
                _use_server(server)
            hypothesis.settings.register_profile("mutation", phases=[Phase.explicit, Phase.generate], deadline=None)
            hypothesis.settings.load_profile("mutation")
            options = ("--noconftest",) if server is None else ()
            status = int(pytest.main([*_PYTEST, *options, *expanded(tests)]))
        except BaseException:  # noqa: BLE001 - whatever it is, the process ends
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    return ended == 0


def _import_as(change: Change) -> None:
    """Has this process import the changed text in place of the file."""
    unchanged, source = SourceFileLoader.get_code, change.source

    def code_of(loader: SourceFileLoader, name: str) -> CodeType | None:
        if Path(loader.path) == change.path:
            return compile(source, loader.path, "exec")
        return unchanged(loader, name)

    SourceFileLoader.get_code = code_of  # type: ignore[method-assign]


def _use_server(described: Path) -> None:
    """Has the fixtures of this process give the server that runs already."""
    from tests import conftest  # noqa: PLC0415 - with the change, which is not in this program itself

    kept_secrets, kept_server = pickle.loads(described.read_bytes())
    conftest.run_secrets = pytest.fixture(scope="session")(lambda: kept_secrets)
    conftest.postgres = pytest.fixture(scope="session")(lambda: kept_server)


@contextlib.contextmanager
def one_server() -> Iterator[Path]:
    """Starts a migrated server, which the tests of every change use; yields the file that describes it."""
    told = Path(tempfile.mkdtemp(prefix="affidavit-mutation-")) / "server"
    program = (
        "import pickle, sys, pathlib; from tests.conftest import Secrets, postgres\n"
        "secrets = Secrets(); serving = postgres.__wrapped__(secrets); server = next(serving)\n"
        f"pathlib.Path({str(told)!r}).write_bytes(pickle.dumps((secrets, server)))\n"
        "print('ready', flush=True); sys.stdin.read(); next(serving, None)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, cwd=ROOT) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        yield told
        holder.stdin.close()


def import_what_is_of_others() -> None:
    """Imports here, once, what every process of a change needs and no change touches."""
    program = "import json, sys, tests.conftest, anyio.pytest_plugin; print(json.dumps([n for n in sys.modules if n[:5] not in ('tests', 'backe')]))"
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT).stdout
    for name in json.loads(listed):
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def expanded(tests: tuple[str, ...]) -> list[str]:
    """Returns the test files that the patterns name."""
    return [str(path) for pattern in tests for path in sorted((ROOT / "tests").glob(pattern))]


def main() -> None:
    """Tries a sample of the changes of each module, and prints those that no test noticed, and the shares."""
    options = argparse.ArgumentParser()
    options.add_argument("modules", nargs="*", default=list(MODULES))
    options.add_argument("--sample", type=int, default=40)
    options.add_argument("--seed", type=int, default=10)
    asked = options.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import_what_is_of_others()
    needed = any(MODULES[name].service_tests for name in asked.modules)
    with one_server() if needed else contextlib.nullcontext(Path(os.devnull)) as server:
        for name in asked.modules:
            module = MODULES[name]
            every = changes(module.paths)
            if not survives(None, module, server):
                print(f"{name}: its tests fail without a change", flush=True)
                continue
            sample = random.Random(asked.seed).sample(every, min(asked.sample, len(every)))
            survivors = []
            for change in sample:
                if survives(change, module, server):
                    survivors.append(change)
                    print(f"  survived: {change}", flush=True)
            noticed = len(sample) - len(survivors)
            print(f"{name}: {noticed} of {len(sample)} noticed, of {len(every)} possible changes", flush=True)


if __name__ == "__main__":
    main()
