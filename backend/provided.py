"""How a route gets a collaborator: it names the type in its signature, as in `tenancy: Provided[Tenancy]`.

`backend/services.py` builds all collaborators once and hands them to the application here; nothing else touches `app.state`.
"""

from collections.abc import Callable, Coroutine
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeAlias, TypeVar

from fastapi import Depends, FastAPI, Request
from starlette.types import Scope

T = TypeVar("T")
_asked: set[object] = set()


class Collaborators(Protocol):
    """What an application has been given."""

    def collaborator(self, kind: object) -> Any:  # noqa: ANN401 - of the type that is asked for
        """Returns the collaborator of a type; raises KeyError."""


def provide(app: FastAPI, services: Collaborators) -> None:
    """Gives the application what its routes ask for."""
    app.state.services = services


def given_to(app: FastAPI) -> Collaborators:
    """Returns what an application was given."""
    services: Collaborators = app.state.services
    return services


def choose(scope: Scope, services: Collaborators) -> None:
    """Has a request served with these, where an application has those of several cells."""
    scope["affidavit.services"] = services


def attach(scope: Scope) -> None:
    """Carries the services of a request into its state, so that mounted applications see them too.

    An application of several cells has none that a request could fall back to.
    """
    chosen = scope.get("affidavit.services")
    scope["state"]["services"] = getattr(scope["app"].state, "services", None) if chosen is None else chosen


def of(request: Request, kind: type[T]) -> T:
    """Returns the collaborator of a type, for code that runs before dependencies are resolved."""
    services: Collaborators = request.state.services
    found: T = services.collaborator(kind)
    return found


def asked_for() -> frozenset[object]:
    """Returns the types that routes ask for, so that a start without one of them fails and not a request."""
    return frozenset(_asked)


@cache
def _provider(kind: object) -> Callable[[Request], Coroutine[Any, Any, object]]:
    async def provided(request: Request) -> object:  # a plain function would be run in a thread
        services: Collaborators = request.state.services
        return services.collaborator(kind)

    _asked.add(kind)
    return provided


if TYPE_CHECKING:
    Provided: TypeAlias = Annotated[T, None]
else:

    class Provided:
        """`Provided[Kind]` is `Annotated[Kind, Depends(…)]`."""

        def __class_getitem__(cls, kind: object) -> object:
            return Annotated[kind, Depends(_provider(kind))]
