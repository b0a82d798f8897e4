"""The official client of OpenAI's protocol, as a user of a tenant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai

from tests.service import Service, Tenant


@asynccontextmanager
async def client_of(
    service: Service, tenant: Tenant, user: str, address: str, **headers: str
) -> AsyncIterator[openai.AsyncOpenAI]:
    key = (await service.as_user(tenant, user))["Authorization"].removeprefix("Bearer ")
    async with openai.AsyncOpenAI(
        base_url=f"{address}/v1", api_key=key, _strict_response_validation=True, max_retries=0, default_headers=headers
    ) as client:
        yield client
