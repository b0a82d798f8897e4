"""The front of a process that serves several cells: it finds out which of them has a request's tenant, and has that one serve it.

All cells share the routes, and nothing that belongs to a tenant: each has its own connections, keys and files. What a request
names only decides which cell looks first. That cell judges by the signed directory, as one that is served alone does, and
where the tenant is another's the request begins anew there, once.
"""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import metrics, provided
from backend.cells.directory import Directory
from backend.cells.homes import home_of
from backend.errors import Unavailable
from backend.front.naming import FORM, named_by_form, named_by_head
from backend.front.passing import Passing, was_passed_on
from backend.hand_over import may_hand_over
from backend.health import Probe
from backend.request_scope import PATIENCE_SECONDS, Refuse

_KEPT_BYTES = (
    64 * 1024
)  # of a body, for the case that another cell reads it once more; forms to sign in with are shorter
_OF_THE_PROCESS = ("/health", "/ready")


class ServedCells:
    """The cells that a process serves, filled when it starts."""

    def __init__(self) -> None:
        self.services: dict[str, provided.Collaborators] = {}
        self.directory: Directory | None = None
        self.passing: Passing | None = None

    def begin(
        self, services: Mapping[str, provided.Collaborators], directory: Directory, passing: Passing | None
    ) -> None:
        """Takes what was opened."""
        self.services, self.directory, self.passing = dict(services), directory, passing


class CellFront:
    """ASGI middleware in front of all others."""

    def __init__(self, app: ASGIApp, *, cells: ServedCells, passed_on: Collection[str]) -> None:
        """Requests of other cells are passed on to those of these regions."""
        self._app = app
        self._cells = cells
        self._passed_on = frozenset(passed_on)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request with the services of its tenant's cell."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive)
        passable = self._passable(scope)
        name = await self._cell_of(scope, body, passable)
        first = _own(scope)
        handing = may_hand_over(first, (passable | self._cells.services.keys()) - {name}, lambda: body.is_kept)
        await self._serve(name, first, body.from_its_beginning(), send)
        if handing.to is not None:
            await self._serve(handing.to, _own(scope), body.from_its_beginning(), send)

    def _passable(self, scope: Scope) -> frozenset[str]:
        """Returns the cells to whose processes a request may be passed on."""
        assert self._cells.directory is not None
        if not self._passed_on or was_passed_on(scope):
            return frozenset()
        present = self._cells.directory.present.values()
        return frozenset(cell.name for cell in present if cell.region in self._passed_on)

    async def _serve(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        services = self._cells.services.get(name)
        if services is None:
            await self._pass_on(name, scope, receive, send)
            return
        provided.choose(scope, services)
        with metrics.serving(name):
            await self._app(scope, receive, send)

    async def _pass_on(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._cells.directory is not None
        assert self._cells.passing is not None
        metrics.PASSED_ON.labels(name).inc()
        try:
            await self._cells.passing(self._cells.directory.cells[name].address, scope, receive, send)
        except Unavailable as error:
            metrics.refused(error.code, error.reason)
            body = {"error": error.code, "detail": error.detail, "request_id": ""}
            await JSONResponse(body, error.status, error.headers)(scope, receive, send)

    async def _cell_of(self, scope: Scope, body: "_Body", passable: Collection[str]) -> str:
        """Returns which cell looks first: the tenant's, or else the one whose address was called, or else the first."""
        directory = self._cells.directory
        assert directory is not None
        claims = named_by_head(scope)
        if claims is None and _is_form(scope):
            claims = named_by_form(await body.whole())
        home = None if claims is None else home_of(directory, claims)
        if home is not None and (home.cell in self._cells.services or home.cell in passable):
            return home.cell
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        for name in self._cells.services:
            cell = directory.cells.get(name)
            if cell is not None and urlsplit(cell.address).netloc == host:
                return name
        return next(iter(self._cells.services))


class SoundCells:
    """ASGI middleware: no cell serves whose database has not passed its self-check, or does so no longer."""

    def __init__(self, app: ASGIApp, *, refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or refuses it."""
        if scope["type"] == "http" and not scope["path"].startswith(_OF_THE_PROCESS):
            request = Request(scope)
            try:
                provided.of(request, Probe).refuse_unsound()
            except Unavailable as error:
                response = await self._refuse(request, error)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Body:
    """A request's body, of which the beginning is kept for whoever reads it next, in no more room than it has bytes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept = bytearray()
        self._bytes = 0
        self._complete = self._gone = False

    @property
    def is_kept(self) -> bool:
        """Whether all that was read can be read again."""
        return self._bytes <= _KEPT_BYTES

    async def whole(self) -> bytes:
        """Returns what a form holds: of one that is longer than is kept, or does not come, its beginning."""
        with suppress(TimeoutError):  # whoever reads on says so
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self.is_kept and not (self._complete or self._gone):
                    await self._next()
        return bytes(self._kept)

    def from_its_beginning(self) -> Receive:
        """Returns what reads it, beginning with what was read before."""
        begun = False

        async def receive() -> Message:
            nonlocal begun
            if not begun:
                begun = True
                if self._kept or self._complete:
                    return {"type": "http.request", "body": bytes(self._kept), "more_body": not self._complete}
            return await self._next()

        return receive

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._gone = True
            return message
        body = message.get("body", b"")
        if self.is_kept:
            self._kept += body
        self._bytes += len(body)
        self._complete = not message.get("more_body", False)
        return message


def _own(scope: Scope) -> Scope:
    """Returns a scope for one attempt at a request, of which the next one finds nothing."""
    return {**scope, "state": dict(scope.get("state", {}))}


def _is_form(scope: Scope) -> bool:
    declared = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return scope["method"] == "POST" and declared.lower().startswith(FORM)
