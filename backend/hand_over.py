"""A request that turns out to be another cell's, in a process that serves that cell too.

Nothing is answered then, and it begins anew there.
"""

from collections.abc import Callable

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from backend.errors import Misdirected, ServiceError

_KEY = "affidavit.hand_over"


class HandOver(Response):
    """The response that says nothing, and keeps where the request goes on."""

    def __init__(self, cells: frozenset[str], can_begin_anew: Callable[[], bool]) -> None:
        """`cells` are those that a request may go on to, while it can still be read from its beginning."""
        super().__init__()
        self._cells = cells
        self._can_begin_anew = can_begin_anew
        self.to: str | None = None

    def take(self, error: Misdirected) -> bool:
        """Keeps the cell of the tenant, and tells whether the request can go on there."""
        if error.cell not in self._cells or not self._can_begin_anew():
            return False
        self.to = error.cell
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends nothing."""


def may_hand_over(scope: Scope, cells: frozenset[str], can_begin_anew: Callable[[], bool]) -> HandOver:
    """Lets a request be handed over to other cells of the process."""
    scope[_KEY] = handing = HandOver(cells, can_begin_anew)
    return handing


def handed_over(request: Request, error: ServiceError) -> HandOver | None:
    """Returns what ends this attempt at a request, where another cell of this process goes on with it."""
    handing: HandOver | None = request.scope.get(_KEY)
    return handing if handing is not None and isinstance(error, Misdirected) and handing.take(error) else None


def is_handed_over(scope: Scope) -> bool:
    """Tells whether an attempt ended so."""
    return _KEY in scope and scope[_KEY].to is not None
