"""A service that takes a provider on this machine for one of the internet, and a tenant that trusts it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.identity.federation.federated import PUBLIC_URL, create_tenant, trust
from tests.identity.federation.loopback_provider import LoopbackProvider
from tests.service import Database, Secrets, Service, Tenant, running, settings_for


@pytest.fixture
def loopback() -> Iterator[LoopbackProvider]:
    with LoopbackProvider().serving() as serving:
        yield serving


@pytest.fixture
def provider(loopback: LoopbackProvider) -> LoopbackProvider:
    """The tenant's provider of identities; a test of provisioning says more about it."""
    return loopback


@pytest.fixture(scope="module")
async def service(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    settings = settings_for(database, run_secrets, model_home, oidc_loopback_http=True, public_url=PUBLIC_URL)
    async with running(settings, database) as started:
        yield started


@pytest.fixture
async def tenant(service: Service, provider: LoopbackProvider) -> Tenant:
    """A tenant that trusts the provider."""
    created = await create_tenant(service)
    await trust(service, created, provider)
    return created
