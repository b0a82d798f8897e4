"""What a front door is. Every folder beside this file is one, and its own `front_door.py` describes it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from backend import gateways
from backend.errors import ServiceError
from backend.identity.callers.admission import LaneName

WrongFields: TypeAlias = Sequence[Mapping[str, str]]
ErrorResponse: TypeAlias = Callable[[Request, ServiceError, WrongFields], Response]


class DoorRouter(APIRouter):
    """Routes through which no request is led that begins otherwise: the framework compares one path after another."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tells whether one of the routes is meant."""
        return super().matches(scope) if scope["path"].startswith(self._beginnings) else (Match.NONE, {})

    @cached_property
    def _beginnings(self) -> tuple[str, ...]:
        """What stands before the first parameter of each path, once all routes are there."""
        fixed = {(context.path_format or "").partition("{")[0] for context in iter_route_contexts(self.routes)}
        return tuple(one for one in fixed if not any(one != other and one.startswith(other) for other in fixed))


@dataclass(frozen=True, kw_only=True)
class FrontDoor:
    """A protocol by which the same callers reach the same services, and what the rest of the service must know of it."""

    prefix: str  # of the paths whose errors have the protocol's shape
    protocol: str | None = None  # as the description of the API calls it
    tags: Mapping[str, str] = field(default_factory=dict)  # of its routes, and what they mean
    routers: Sequence[APIRouter] = ()
    routes: Sequence[BaseRoute] = ()  # what is no router of the framework, such as an application for one path
    error_response: ErrorResponse | None = None  # unset: errors look as they do everywhere
    lanes: Mapping[str, LaneName] = field(default_factory=dict)  # of paths whose requests are not like most
    for_other_origins: bool = True  # whether pages of other sites may call at all
    running: Callable[[], AbstractAsyncContextManager[None]] = nullcontext  # as long as the service does

    def leads_to(self, path: str) -> bool:
        """Tells whether a path is one of this door's."""
        return path == self.prefix or path.startswith(f"{self.prefix}/")

    @property
    def uploads(self) -> list[str]:
        """The paths that take files in."""
        return [path for path, lane in self.lanes.items() if lane is LaneName.TRANSFER]


def front_doors() -> list[FrontDoor]:
    """Returns the doors in this room, made anew for each application."""
    folders = [found.name for found in iter_modules(gateways.__path__) if found.ispkg]
    return [import_module(f"{gateways.__name__}.{folder}.front_door").front_door() for folder in folders]
