"""The house stands: a room imports only from floors below its own."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

TESTS = Path(__file__).resolve().parent
BACKEND = TESTS.parent / "backend"

# From the ground up, as the README draws it. Rooms of one floor do not import each other.
FLOORS = (
    {
        "bounded_http", "client", "command_output", "database", "database_url", "egress", "embedded_postgres", "errors", "exemplars", "hand_over", "http_server", "logging", "manifest", "metrics", "migration", "policies", "precedence", "priority", "provenance", "provided",
        "request_scope", "schema", "secret_files", "self_check", "settings", "shipped", "stopping", "tenancy", "tls", "tracing",
    },
    {"language", "personal_data"},
    {"audit"},
    {"ledger"},
    {"cells"},
    {"identity"},
    {"jobs", "storage"},
    {"documents", "webhooks"},
    {"retrieval", "sources"},
    {"answers"},
    {"evaluation"},
    {"review"},
    {"operation"},
    {"gateways"},
    {"console"},
    {"__main__", "app", "cli", "demo", "error_handlers", "front", "health", "openapi", "sealer", "services", "worker"},
)  # fmt: skip
GROUND, TOP = FLOORS[0], FLOORS[-1]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", autouse=True)
def parsed_once() -> Iterator[None]:
    """Lets these tests read each file once, and gives back the memory that a thousand of them take."""
    yield
    parsed.cache_clear()


def rooms() -> set[str]:
    """Returns the rooms that hold code: folders and files directly in backend/."""
    found = {path.relative_to(BACKEND).parts[0].removesuffix(".py") for path in BACKEND.rglob("*.py")}
    return found - {"__init__"}


def modules() -> Iterator[tuple[str, str]]:
    """Yields each file and each module of the project's own that it imports."""
    for path in sorted(BACKEND.rglob("*.py")):
        for node in ast.walk(parsed(path)):
            for module in _imported(node):
                if module.startswith("backend."):
                    yield path.relative_to(BACKEND).as_posix(), module


def imports() -> Iterator[tuple[str, str, str]]:
    """Yields file, its room, and the room of each import of the project's own."""
    for file, module in modules():
        yield file, Path(file).parts[0].removesuffix(".py"), module.split(".")[1]


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module == "backend":
        return [f"backend.{alias.name}" for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module]
    return []


def floor(room: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if room in floor)


def test_every_room_stands_on_a_floor() -> None:
    placed = set().union(*FLOORS)
    assert rooms() <= placed, f"say on which floor these stand: {sorted(rooms() - placed)}"


def test_a_room_imports_only_from_floors_below_its_own() -> None:
    upward = [
        f"{file} imports {target}"
        for file, room, target in imports()
        if room != target and not (floor(target) < floor(room) or (floor(target) == floor(room) and {room, target} <= GROUND | TOP))
    ]  # fmt: skip
    assert not upward, "\n".join(upward)


def test_who_is_no_front_door_knows_none() -> None:
    """What must be known of one stands in its description, so that a new door is its folder and a word of the log."""
    known = [
        f"{file} imports {module}"
        for file, module in modules()
        if module.startswith("backend.gateways.") and module != "backend.gateways.front_door" and not file.startswith("gateways/")
    ]  # fmt: skip
    assert known == []


def test_only_the_wiring_touches_what_an_application_carries_untyped() -> None:
    """Everything else names a type, which mypy holds. The one cast is of a stream of the standard library."""
    untyped = re.compile(r"\bapp\.state\b|\.state\.services\b|from typing import .*\bcast\b")
    users = {
        path.relative_to(BACKEND).as_posix()
        for path in BACKEND.rglob("*.py")
        if untyped.search(path.read_text(encoding="utf-8"))
    }
    assert users == {"provided.py", "ledger/bundle.py"}


def test_each_of_these_libraries_stays_in_one_module() -> None:
    """What those for signed tokens accept beyond the standards is dealt with there; all stems are made alike."""
    users = {
        library: {
            path.relative_to(BACKEND).as_posix()
            for path in sorted(BACKEND.rglob("*.py"))
            for node in parsed(path).body
            if any(module.split(".")[0] == library for module in _imported(node))
        }
        for library in ("jose", "joserfc", "Stemmer")
    }
    assert users == {
        "jose": {"identity/sign_in/tokens.py"}, "joserfc": {"identity/sign_in/foreign_jws.py"},
        "Stemmer": {"language/stemming.py"},
    }  # fmt: skip


def test_the_client_imports_nothing_of_the_service() -> None:
    assert [target for _, room, target in imports() if room == "client"] == []


def test_no_domain_reads_statements_of_another() -> None:
    foreign = [
        f"{path.relative_to(BACKEND)}: {node.module}"
        for path in sorted(BACKEND.rglob("*.py"))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("backend.")
        and any(alias.name == "queries" for alias in node.names)
        and (node.module or "").split(".")[1] != path.relative_to(BACKEND).parts[0]
    ]
    assert not foreign, "\n".join(foreign)


Definition: TypeAlias = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(*folders: Path) -> Iterator[tuple[Path, Definition]]:
    """Yields each class and function of these folders, with its file."""
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def test_a_class_has_a_name_of_its_own() -> None:
    """Also among tests. Those of the typed client are called as the bodies that they are of; it is a package for other programs."""
    found: dict[str, list[str]] = {}
    for path, node in definitions(BACKEND, TESTS):
        if isinstance(node, ast.ClassDef) and BACKEND / "client" not in path.parents:
            found.setdefault(node.name, []).append(str(path.relative_to(BACKEND.parent)))
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def _is_record(node: ast.AST) -> bool:
    """Tells whether an annotation names `asyncpg.Record`, also between quotes."""
    said = (
        f"{getattr(node.value, 'id', '')}.{node.attr}"
        if isinstance(node, ast.Attribute)
        else getattr(node, "value", "")
    )
    return isinstance(said, str) and "asyncpg.Record" in said


def test_rows_travel_between_functions_as_typed_ones() -> None:
    """What is only private to a module may still make a typed row of a record, in the place that runs the statement."""
    untyped = [
        f"{path.relative_to(BACKEND)}: {node.name}"
        for path, node in definitions(BACKEND)
        if not isinstance(node, ast.ClassDef) and not node.name.startswith("_") and path.name != "database.py"
        if any(map(_is_record, [*ast.walk(node.args), *(ast.walk(node.returns) if node.returns else ())]))
    ]
    assert untyped == []


def test_docstrings_of_functions_say_what_they_do_in_the_third_person() -> None:
    """Commands are described to whoever types them, and so in the imperative."""
    wrong = []
    for path, node in definitions(BACKEND):
        said = "" if isinstance(node, ast.ClassDef) else ast.get_docstring(node) or ""
        if said.startswith(("Return ", "Yield ", "Raise ", "Read ", "Write ", "Take ")) and not re.search(
            "command|^cli", path.name
        ):
            wrong.append(f"{path.relative_to(BACKEND)}: {said}")
    assert wrong == []
