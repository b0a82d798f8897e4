"""Requests as they are spelled to OpenAI's door, and what of a refusal must be so."""

from typing import Any

import httpx

from tests.service import Service, Tenant

JSON = {"Content-Type": "application/json"}


async def post(
    service: Service, tenant: Tenant, path: str, body: bytes, user: str = "analyst", **headers: str | bytes
) -> httpx.Response:
    given: dict[str, Any] = {**JSON, **await service.as_user(tenant, user)}
    return await service.client.post(path, content=body, headers=given | headers)


async def recorded(service: Service, tenant: Tenant, answer: httpx.Response) -> list[str]:
    """Actions of the events of a request."""
    return [event["action"] for event in await service.events(tenant, request_id=answer.headers["x-request-id"])]


def told(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error of an answer, which has OpenAI's shape and says little."""
    error: dict[str, Any] = answer.json()["error"]
    assert (answer.status_code, set(error)) == (status, {"message", "type", "param", "code", "request_id"}), answer.text
    assert error["request_id"] == answer.headers["x-request-id"]
    assert len(answer.content) < 3_000
    return error


async def default_store(service: Service, tenant: Tenant) -> str:
    """The id of the vector store `default`."""
    stores = (await service.get("/v1/vector_stores", tenant, "editor")).json()["data"]
    return str(next(store["id"] for store in stores if store["name"] == "default"))
