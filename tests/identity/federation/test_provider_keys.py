"""What a provider publishes: keys are fetched when they are new, believed for a while, and never when they are unfit."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from backend.errors import Unavailable
from backend.identity.sign_in.providers import MAX_AGE_SECONDS, MAX_BYTES, MIN_INTERVAL_SECONDS, Providers
from tests.identity.federation.federated import (
    exchange,
)
from tests.identity.federation.loopback_provider import DISCOVERY, JWKS, LoopbackProvider, new_key
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


class MovedClock:
    """A clock that tests move on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def providers(clock: MovedClock) -> AsyncIterator[Providers]:
    async with httpx.AsyncClient(timeout=60) as client:
        yield Providers(client, loopback_http=True, clock=clock)


async def test_a_new_key_is_fetched_when_a_token_names_it_and_not_more_often_than_allowed(
    provider: LoopbackProvider, providers: Providers, clock: MovedClock
) -> None:
    assert await providers.key(provider.issuer, "first") is not None
    provider.keys = [new_key("second", "RS256")]
    assert await providers.key(provider.issuer, "second") is None
    clock.now += MIN_INTERVAL_SECONDS + 1
    assert await providers.key(provider.issuer, "second") is not None
    assert await providers.key(provider.issuer, "first") is None
    for _ in range(20):
        assert await providers.key(provider.issuer, "invented") is None
    assert provider.count(JWKS) == 2


async def test_keys_are_not_believed_beyond_their_age_when_the_provider_is_away(
    provider: LoopbackProvider, providers: Providers, clock: MovedClock
) -> None:
    assert await providers.key(provider.issuer, "first") is not None
    provider.answers[DISCOVERY] = lambda: (503, b"{}")
    clock.now += MAX_AGE_SECONDS - 1
    assert await providers.key(provider.issuer, "first") is not None
    clock.now += 2
    for _ in range(5):
        with pytest.raises(Unavailable):
            await providers.key(provider.issuer, "first")
    assert provider.count(DISCOVERY) == 2
    del provider.answers[DISCOVERY]
    clock.now += MIN_INTERVAL_SECONDS + 1
    assert await providers.key(provider.issuer, "first") is not None


def published_keys(*keys: dict[str, Any]) -> Callable[[], tuple[int, bytes]]:
    return lambda: (200, json.dumps({"keys": list(keys)}).encode())


BROKEN: dict[str, Callable[[LoopbackProvider], tuple[str, Callable[[], tuple[int, bytes]]]]] = {
    "not JSON": lambda _: (DISCOVERY, lambda: (200, b"<html>")),
    "a list": lambda _: (DISCOVERY, lambda: (200, b"[]")),
    "a redirect": lambda p: (DISCOVERY, lambda: (302, json.dumps(p.metadata()).encode())),
    "another issuer": lambda p: (
        DISCOVERY,
        lambda: (200, json.dumps({**p.metadata(), "issuer": "https://x.example"}).encode()),
    ),
    "keys over http elsewhere": lambda p: (
        DISCOVERY,
        lambda: (200, json.dumps({**p.metadata(), "jwks_uri": "http://192.0.2.1/jwks"}).encode()),
    ),
    "keys in a file": lambda p: (
        DISCOVERY,
        lambda: (200, json.dumps({**p.metadata(), "jwks_uri": "file:///etc/passwd"}).encode()),
    ),
    "too large": lambda _: (JWKS, lambda: (200, b'{"keys": [' + b" " * MAX_BYTES + b"]}")),
    "too many keys": lambda p: (JWKS, published_keys(*[p.keys[0].as_dict(private=False)] * 51)),
    "two keys of one id": lambda p: (
        JWKS,
        published_keys(p.keys[0].as_dict(private=False), new_key("first").as_dict(private=False)),
    ),
    "a private key": lambda p: (JWKS, published_keys(p.keys[0].as_dict(private=True))),
    "a symmetric key": lambda _: (JWKS, published_keys({"kty": "oct", "k": "c2VjcmV0", "kid": "first"})),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_provider_that_publishes_what_it_must_not_opens_nothing(
    service: Service, provider: LoopbackProvider, tenant: Tenant, name: str
) -> None:
    path, answer = BROKEN[name](provider)
    provider.answers[path] = answer
    refused = await exchange(service, tenant, provider.token())
    assert refused.status_code == 503
    assert refused.json()["error"] == "unavailable"
    assert "/elsewhere" not in provider.asked


async def test_http_is_for_this_machine_only_and_only_where_it_is_asked_for(provider: LoopbackProvider) -> None:
    async with httpx.AsyncClient(timeout=60) as client:
        strict = Providers(client, loopback_http=False)
        with pytest.raises(Unavailable):
            await strict.published(provider.issuer)
    assert provider.asked == []


@pytest.mark.parametrize(
    "changed",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"alg": "ES384"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"crv": "secp256k1"},
        {"kty": "OKP"},
        {"x": "AA"},
    ],
)
async def test_a_key_that_is_not_for_signatures_verifies_none(
    provider: LoopbackProvider, providers: Providers, changed: dict[str, Any]
) -> None:
    provider.answers[JWKS] = published_keys({**provider.keys[0].as_dict(private=False), **changed})
    assert await providers.key(provider.issuer, "first") is None
