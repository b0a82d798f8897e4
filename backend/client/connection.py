"""The way to the service: signs in, refreshes, waits while it is busy, and turns refusals into exceptions."""

import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import httpx

from .errors import Refused, Unreachable

_ATTEMPTS = 8
_REFRESH_SECONDS = 30.0  # so long before its end a token is replaced, so that no long upload is sent in vain


class KeyAuth(httpx.Auth):
    """Sends an API key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Adds the key to a request."""
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


class UserAuth(httpx.Auth):
    """Signs a user in when it is first needed, and keeps the session alive; threads share it."""

    def __init__(self, base_url: str, tenant: str, username: str, password: str, otp: str | None) -> None:
        self._url = f"{base_url}/auth/token"
        self._form = {"client_id": tenant, "username": username, "password": password}
        self._otp = otp
        self._lock = threading.Lock()
        self._access, self._refresh, self._ends = "", "", 0.0

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Adds an access token, a new one if the one at hand has run out or is refused."""
        with self._lock:
            if monotonic() > self._ends - _REFRESH_SECONDS:
                yield from self._renew()
            used = self._access
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        with self._lock:
            if self._access == used:  # no other thread has renewed it meanwhile
                yield from self._renew()
            request.headers["Authorization"] = f"Bearer {self._access}"
        yield request

    def _renew(self) -> Generator[httpx.Request, httpx.Response]:
        refused: Refused | None = None
        for form in self._forms():
            response = yield httpx.Request("POST", self._url, data=form)
            response.read()
            if response.is_success:
                told = response.json()
                self._access, self._refresh = told["access_token"], told["refresh_token"]
                self._ends = monotonic() + told["expires_in"]
                return
            refused = Refused.by(response)
        assert refused is not None
        raise refused

    def _forms(self) -> Iterator[dict[str, str]]:
        """Yields what to sign in with: the refresh token, which works once, and then the password."""
        if self._refresh:
            token, self._refresh = self._refresh, ""
            yield {"grant_type": "refresh_token", "refresh_token": token}
        otp, self._otp = self._otp, None
        yield self._form | ({"otp": otp} if otp else {})


class Connection:
    """Sends requests as one caller."""

    def __init__(self, client: httpx.Client, headers: Mapping[str, str]) -> None:
        self._client = client
        self._headers = dict(headers)
        self._reached = False

    def with_headers(self, headers: Mapping[str, str]) -> "Connection":
        """Returns the same way to the service with more headers on each request."""
        return Connection(self._client, {**self._headers, **headers})

    def close(self) -> None:
        """Closes the sockets."""
        self._client.close()

    def get(self, path: str, **params: str | int) -> Any:  # noqa: ANN401 - any JSON
        """Returns the JSON that is at a path; raises Refused, Unreachable."""
        return self.send("GET", path, params=params).json()

    def post(self, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Returns what a JSON body is answered with; raises Refused, Unreachable."""
        return self.send("POST", path, json=body).json()

    def send(self, method: str, path: str, *, once: bool = False, **more: Any) -> httpx.Response:  # noqa: ANN401 - what httpx takes
        """Sends a request, again while the service is busy or away, and returns a success.

        `once` is for a question, which a second try could put on record twice: it is sent again only after 429, which comes
        before the record. Raises Refused, and Unreachable at once where the service has never been reached.
        """
        failed: Unreachable | None = None
        for attempt in range(_ATTEMPTS):
            try:
                response = self._client.request(method, path, headers=self._headers, **more)
            except httpx.TransportError as error:
                failed = self._unreachable(error)
                if once or not self._reached:
                    raise failed from error
                sleep(2**attempt / 4)
                continue
            self._reached = True
            if response.is_success:
                return response
            if not _is_busy(response, once=once) or attempt + 1 == _ATTEMPTS:
                raise Refused.by(response)
            sleep(float(response.headers.get("retry-after", 1)))
        assert failed is not None
        raise failed

    @contextmanager
    def stream(self, method: str, path: str, **more: Any) -> Iterator[httpx.Response]:  # noqa: ANN401 - what httpx takes
        """Yields a success whose body is still to be read; raises Refused, and Unreachable also where the body breaks off."""
        try:
            with self._client.stream(method, path, headers=self._headers, **more) as response:
                if not response.is_success:
                    raise Refused.by(response)
                yield response
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.TransportError) -> Unreachable:
        return Unreachable(f"the service at {self._client.base_url} cannot be reached ({type(error).__name__})")


def _is_busy(response: httpx.Response, *, once: bool) -> bool:
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return "retry-after" in response.headers  # a budget that is used up says no time
    return response.status_code == httpx.codes.SERVICE_UNAVAILABLE and not once
