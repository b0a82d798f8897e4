"""The link that the demo prints: it signs in once, from this machine alone, within a few minutes, and that is on record."""

import hmac
import secrets
import time
from dataclasses import dataclass, field
from ipaddress import ip_address

from fastapi import FastAPI, Request
from fastapi.responses import Response

from backend.console.page import PREFIX
from backend.console.page import router as pages
from backend.console.pages.sign_in import entered
from backend.errors import NotFound
from backend.identity.callers.guard import origin_of
from backend.identity.sign_in.browsers import Browsers
from backend.provided import Provided

LASTS_SECONDS = 15 * 60
FIRST_QUESTION = f"{PREFIX}/ask?question=What+does+an+outgoing+domestic+wire+transfer+cost%3F"


@dataclass(slots=True)
class Entrance:
    """Lets in whoever opens its link first."""

    tenant: str
    username: str
    password: str
    _token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    _until: float = field(default_factory=lambda: time.monotonic() + LASTS_SECONDS)

    def path(self) -> str:
        """Returns the path of the link."""
        return f"{PREFIX}/enter/{self._token}"

    def install(self, app: FastAPI) -> None:
        """Adds the link's route to the application."""
        router = pages()

        @router.get("/enter/{token}")
        async def enter(request: Request, browsers: Provided[Browsers], token: str) -> Response:
            self._take(token, request.client.host if request.client else "")
            cookie = await browsers.open(self.tenant, self.username, self.password, origin_of(request))
            return entered(request, cookie, FIRST_QUESTION)

        app.include_router(router)

    def _take(self, token: str, address: str) -> None:
        """Raises NotFound unless this is the first time that the link is opened, in time and from this machine."""
        presented = hmac.compare_digest(token.encode(), self._token.encode())
        if not (presented and self._token and _is_loopback(address) and time.monotonic() < self._until):
            raise NotFound(
                "This link was used, or its time is over. Start the demo again for another.", reason="demo:link"
            )
        self._token = ""


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
