"""The routes of the console, and a request to each that its form would send."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlencode
from uuid import uuid4

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from backend.console.front_door import front_door

# What the forms of these pages hold, where a type alone does not say what is right.
_TYPED = {
    "rating": "wrong", "status": "disabled", "content_sha256": "0" * 64, "reason": "It is due.", "begin": "2026-01-01", "end": "2026-02-01",
    "filters": "action=answer:returned", "url": "https://receiver.example/hook", "decision": "refuse", "before": "1", "after": "2",
    "address": "https://localhost/a.md",
}  # fmt: skip
_DATES = {"begin", "end"}  # in pages of review; in a version's address, `end` is where a quotation ends


@dataclass(frozen=True)
class PageRoute:
    """A method and a path, what its path names, what may stand in its address, and what its form holds."""

    method: str
    path: str
    names: tuple[str, ...]
    asked: tuple[str, ...]
    form: dict[str, Any]
    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.method:4} {self.path}"

    def url(self, ids: dict[str, str] | None = None) -> str:
        """Its address, with ids that are given and else nobody's."""
        known = _TYPED.keys() if "/review/" in self.path else _TYPED.keys() - _DATES
        needed = urlencode({name: _TYPED[name] for name in self.asked if name in known})
        nobodys = {name: "1" if name in {"number", "at", "version"} else str(uuid4()) for name in self.names}
        return self.path.replace(":uuid", "").format(**{**nobodys, **(ids or {})}) + (f"?{needed}" if needed else "")


def page_routes() -> Iterator[PageRoute]:
    """Yields every route of the console."""
    for router in front_door().routers:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods):
                yield _described(method, route)


def _described(method: str, route: APIRoute) -> PageRoute:
    form = {each.alias: each.field_info for each in _all(route.dependant, "body_params")}
    return PageRoute(
        method, route.path, tuple(each.alias for each in _all(route.dependant, "path_params")),
        tuple(each.alias for each in _all(route.dependant, "query_params")),
        {name: _example(name, info.annotation) for name, info in form.items() if info.is_required() or name in _TYPED}, tuple(form),
    )  # fmt: skip


def _all(dependant: Dependant, kind: str) -> list[Any]:
    below = [each for inner in dependant.dependencies for each in _all(inner, kind)]
    return [*getattr(dependant, kind), *below]


def _example(name: str, kind: Any) -> Any:
    if get_origin(kind) is list:
        return [_example(name, get_args(kind)[0])]
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind)).value
    return _TYPED.get(name) or {int: "1", date: "2026-01-01"}.get(kind, "example")
