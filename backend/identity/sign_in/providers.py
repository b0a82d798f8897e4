"""What OpenID providers publish about themselves, fetched within bounds, cached, and never believed beyond its age.

Keys are fetched anew when they are ten minutes old, and when a token names one that is not among them, but then at most
every thirty seconds: nobody makes us call a provider as often as they like. A provider that cannot be reached, or answers
with anything else than it should, opens nothing.

The operator alone says which issuers a tenant trusts, as with a model server; so these may be internal, unlike what tenants name.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
import orjson

from backend.errors import Unavailable
from backend.identity.sign_in.foreign_jws import ForeignKey
from backend.identity.sign_in.provider_keys import read_key_set

MAX_AGE_SECONDS = 600
MIN_INTERVAL_SECONDS = 30
TIMEOUT_SECONDS = 5
MAX_BYTES = 256 * 1024


class ProviderError(ValueError):
    """A provider answers what cannot be used."""


@dataclass(frozen=True, slots=True)
class Published:
    """Where a provider's endpoints are, and its keys by `kid`."""

    authorization_endpoint: str
    token_endpoint: str
    secret_in_body: bool  # whether clients send their secret in the form instead of the header
    keys: Mapping[str, ForeignKey]


@dataclass(slots=True)
class _KnownProvider:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    published: Published | None = None
    fetched_at: float = float("-inf")
    tried_at: float = float("-inf")


class Providers:
    """Fetches and caches what providers publish; one for the process."""

    def __init__(
        self, client: httpx.AsyncClient, *, loopback_http: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Allows http instead of https only to this machine, and only with `loopback_http`."""
        self._client = client
        self._loopback_http = loopback_http
        self._clock = clock
        self._known: dict[str, _KnownProvider] = {}

    async def published(self, issuer: str) -> Published:
        """Returns what an issuer publishes, not older than ten minutes; raises Unavailable."""
        known = self._known.setdefault(issuer, _KnownProvider())
        async with known.lock:
            if known.published is None or self._clock() - known.fetched_at > MAX_AGE_SECONDS:
                known.published = None
                await self._refresh(issuer, known)
            assert known.published is not None
            return known.published

    async def key(self, issuer: str, kid: str) -> ForeignKey | None:
        """Returns an issuer's key, None when it has no such key (any more, or yet); raises Unavailable."""
        published = await self.published(issuer)
        if kid in published.keys:
            return published.keys[kid]
        known = self._known[issuer]
        async with known.lock:
            if known.published is published and self._clock() - known.tried_at > MIN_INTERVAL_SECONDS:
                await self._refresh(issuer, known)
            return known.published.keys.get(kid) if known.published is not None else None

    async def exchange_code(self, issuer: str, form: Mapping[str, str], secret: tuple[str, str] | None) -> str | None:
        """Returns the ID token that a provider gives for a code, None when it gives none; raises Unavailable."""
        published = await self.published(issuer)
        try:
            request = _with_secret(dict(form), secret, in_body=published.secret_in_body)
            status, document = await self._fetch("POST", published.token_endpoint, **request)
        except (httpx.HTTPError, ProviderError, TimeoutError) as error:
            raise Unavailable("The identity provider does not answer.", reason="provider:token") from error
        token = document.get("id_token")
        return token if status == httpx.codes.OK and isinstance(token, str) else None

    async def _refresh(self, issuer: str, known: _KnownProvider) -> None:
        """Fetches once, and not again for the minimum interval when that fails."""
        if known.published is None and self._clock() - known.tried_at <= MIN_INTERVAL_SECONDS:
            raise Unavailable("The identity provider did not answer.", reason="provider:waiting")
        known.tried_at = self._clock()
        try:
            known.published = await self._discover(issuer)
        except (httpx.HTTPError, ValueError, TimeoutError) as error:
            raise Unavailable("The identity provider does not answer.", reason="provider:discovery") from error
        known.fetched_at = self._clock()

    async def _discover(self, issuer: str) -> Published:
        """Follows OpenID Connect Discovery 1.0, section 4."""
        metadata = await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if metadata.get("issuer") != issuer:
            raise ProviderError("The provider names another issuer.")
        authorization, token = (self._checked(metadata.get(f"{name}_endpoint")) for name in ("authorization", "token"))
        keys = read_key_set(await self._get(self._checked(metadata.get("jwks_uri"))))
        return Published(authorization, token, _sends_secret_in_body(metadata), keys)

    async def _get(self, url: str) -> dict[str, Any]:
        status, document = await self._fetch("GET", self._checked(url))
        if status != httpx.codes.OK:
            raise ProviderError(f"The provider answers {status}.")
        return document

    async def _fetch(self, method: str, url: str, **request: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401 - of httpx
        """Returns status and JSON object; follows no redirect, and reads no longer and no more than the bounds."""
        received = bytearray()
        async with asyncio.timeout(TIMEOUT_SECONDS), self._client.stream(method, url, **request) as response:
            async for part in response.aiter_bytes():
                received += part
                if len(received) > MAX_BYTES:
                    raise ProviderError("The provider's answer is too large.")
        document = orjson.loads(bytes(received))
        if not isinstance(document, dict):
            raise ProviderError("The provider's answer is no JSON object.")
        return response.status_code, document

    def _checked(self, url: object) -> str:
        """Returns an address that may be called; raises ProviderError."""
        if not isinstance(url, str):
            raise ProviderError("The provider names no address.")
        parts = urlsplit(url)
        plain = parts.scheme == "http" and self._loopback_http and _is_loopback(parts.hostname)
        if not (parts.scheme == "https" or plain) or not parts.hostname or parts.username is not None or parts.fragment:
            raise ProviderError("The provider's address is not https.")
        return url


def _sends_secret_in_body(metadata: Mapping[str, Any]) -> bool:
    """Reads how clients prove themselves; by default in the header (OpenID Connect Discovery 1.0, section 3)."""
    announced = metadata.get("token_endpoint_auth_methods_supported")
    methods = announced if isinstance(announced, list) else ["client_secret_basic"]
    return "client_secret_basic" not in methods and "client_secret_post" in methods


def _with_secret(form: dict[str, str], secret: tuple[str, str] | None, *, in_body: bool) -> dict[str, Any]:
    """Returns a form with the client's id and secret; in the header both are form-encoded first (RFC 6749, section 2.3.1)."""
    if secret is None:
        return {"data": form}
    if in_body:
        return {"data": {**form, "client_secret": secret[1]}}
    return {"data": form, "auth": (quote_plus(secret[0]), quote_plus(secret[1]))}


def _is_loopback(host: str | None) -> bool:
    try:
        return host is not None and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
