"""The house stands: a room imports only from floors below its own."""

import ast
from collections.abc import Iterator
from pathlib import Path

BACKEND = Path(__file__).resolve().parent.parent / "backend"

# From the ground up, as the README draws it. Rooms of one floor do not import each other.
FLOORS = (
    {
        "database", "embedded_postgres", "errors", "http_server", "logging", "manifest", "migration", "policies", "provenance", "provided",
        "request_scope", "schema", "self_check", "settings", "shipped", "tenancy",
    },
    {"language"},
    {"audit"},
    {"ledger"},
    {"identity"},
    {"jobs", "storage"},
    {"documents"},
    {"retrieval"},
    {"answers"},
    {"review"},
    {"operation"},
    {"gateways"},
    {"console"},
    {"client"},
    {"__main__", "app", "cli", "demo", "health", "openapi", "services", "worker"},
)  # fmt: skip
GROUND, TOP = FLOORS[0], FLOORS[-1]


def rooms() -> set[str]:
    """Returns the rooms that hold code: folders and files directly in backend/."""
    found = {path.relative_to(BACKEND).parts[0].removesuffix(".py") for path in BACKEND.rglob("*.py")}
    return found - {"__init__"}


def imports() -> Iterator[tuple[str, str, str]]:
    """Yields file, its room, and the room of each import of the project's own."""
    for path in sorted(BACKEND.rglob("*.py")):
        place = path.relative_to(BACKEND)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for module in _imported(node):
                if module.startswith("backend."):
                    yield place.as_posix(), place.parts[0].removesuffix(".py"), module.split(".")[1]


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


def test_no_domain_reads_statements_of_another() -> None:
    foreign = [
        f"{path.relative_to(BACKEND)}: {node.module}"
        for path in sorted(BACKEND.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("backend.")
        and any(alias.name == "queries" for alias in node.names)
        and (node.module or "").split(".")[1] != path.relative_to(BACKEND).parts[0]
    ]
    assert not foreign, "\n".join(foreign)
