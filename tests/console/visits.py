"""Somebody who has just signed in to the console, without a browser."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.service import PASSWORD, Service, Tenant


@asynccontextmanager
async def visiting(service: Service, tenant: Tenant, username: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        form = {"tenant": tenant.slug, "username": username, "password": PASSWORD}
        answer = await client.post("/console/sign-in", data=form)
        assert answer.status_code == 303, answer.text
        yield client


def form_token(page: httpx.Response) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', page.text)
    assert found is not None, page.text
    return found[1]


async def send(client: httpx.AsyncClient, page: str, action: str, **fields: Any) -> httpx.Response:
    """Opens a page, fills in a form of it, and sends that."""
    shown = await client.get(page)
    assert shown.status_code == 200, shown.text
    assert f'action="{action}"' in shown.text
    return await client.post(action, data={"form_token": form_token(shown), **fields})
