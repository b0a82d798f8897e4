"""The MCP door, spoken to by the official client over a real socket."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from backend.identity.callers.permissions import Permission
from tests.conftest import Service, Tenant
from tests.gateways.listening import listening

pytestmark = pytest.mark.anyio

RULE = "Card disputes must be filed within 60 days of the statement date."


@pytest.fixture(scope="module")
async def address(service: Service) -> AsyncIterator[str]:
    async with listening(service) as url:
        yield url


@pytest.fixture(scope="module")
async def document(service: Service, tenant: Tenant) -> str:
    chunk = {"doc_id": "disputes", "chunk_text": RULE, "source_type": "policy"}
    answer = await service.post("/ingest", tenant, "editor", chunk)
    assert answer.status_code == 201, answer.text
    found = await service.get("/documents", tenant, "editor", doc_id="disputes")
    return str(found.json()["documents"][0]["id"])


@asynccontextmanager
async def connected(address: str, headers: dict[str, str], mode: Any = "auto") -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        transport = streamable_http_client(f"{address}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_searches_fetches_and_asks(
    service: Service, tenant: Tenant, address: str, document: str, mode: str
) -> None:
    async with connected(address, await service.as_user(tenant, "analyst"), mode) as client:
        found = (await client.call_tool("search", {"query": "How long for card disputes?"})).structured_content
        assert set(found["results"][0]) == {"id", "title", "url", "text", "metadata"}
        assert found["results"][0]["text"] == RULE
        assert found["results"][0]["url"].startswith("http")
        fetched = await client.call_tool("fetch", {"id": found["results"][0]["id"]})
        assert set(fetched.structured_content) == {"id", "title", "text", "url", "metadata"}
        assert fetched.structured_content["text"] == RULE
        assert json.loads(fetched.content[0].text) == fetched.structured_content  # type: ignore[union-attr]
        answered = (await client.call_tool("ask", {"question": "When must card disputes be filed?"})).structured_content
        assert "60 days" in answered["answer"]
    event = (await service.get(f"/audit/events/{answered['audit_event_id']}", tenant, "compliance")).json()
    assert event["event"]["door"]["kind"] == "mcp"


async def test_who_read_a_document_through_an_agent_is_on_record(
    service: Service, tenant: Tenant, address: str, document: str
) -> None:
    async with connected(address, await service.as_user(tenant, "approver")) as client:
        await client.read_resource(f"affidavit://documents/{document}/versions/1")
    newest = (await service.events(tenant, action="document:read", limit=1))[0]
    assert newest["principal_id"] == str(tenant.users["approver"])


async def test_tools_are_those_that_the_caller_may_call_and_only_read(
    service: Service, tenant: Tenant, address: str
) -> None:
    offered = {}
    for user in ("analyst", "compliance", "partner"):
        async with connected(address, await service.as_user(tenant, user)) as client:
            tools = (await client.list_tools()).tools
            assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
            assert all(tool.output_schema for tool in tools)
            offered[user] = {tool.name for tool in tools}
    assert {"search", "fetch", "ask", "compare_versions"} <= offered["analyst"]
    assert "find_events" not in offered["analyst"]
    assert "find_events" in offered["compliance"]
    assert "ask" not in offered["compliance"]
    assert offered["partner"] == {"search", "search_documents", "why_not_found"}


async def test_what_a_caller_may_not_is_an_error_of_the_tool_and_on_record(
    service: Service, tenant: Tenant, address: str
) -> None:
    async with connected(address, await service.as_user(tenant, "partner")) as client:
        refused = await client.call_tool("find_events", {})
    assert refused.is_error
    assert refused.structured_content["error"] == "forbidden"
    newest = (await service.events(tenant, action="access:denied", limit=1))[0]
    assert newest["event"]["request_id"] == refused.structured_content["request_id"]


async def test_a_wrong_argument_is_named(service: Service, tenant: Tenant, address: str) -> None:
    async with connected(address, await service.as_user(tenant, "analyst")) as client:
        refused = await client.call_tool("search_documents", {"query": "fees", "k": 500})
        assert refused.is_error
        assert refused.structured_content["detail"].startswith("k:")
        with pytest.raises(MCPError):
            await client.call_tool("approve_version", {})


async def test_another_tenants_document_is_not_there(
    service: Service, other_tenant: Tenant, address: str, document: str
) -> None:
    async with connected(address, await service.as_user(other_tenant, "analyst")) as client:
        refused = await client.call_tool("get_document", {"document_id": document})
        assert (refused.is_error, refused.structured_content["error"]) == (True, "not_found")
        with pytest.raises(MCPError):
            await client.read_resource(f"affidavit://documents/{document}/versions/1")


async def test_nobody_unknown_and_no_other_origin_gets_in(service: Service, tenant: Tenant, address: str) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accepted = {"Accept": "application/json, text/event-stream"}
    anonymous = await service.client.post("/mcp", json=message, headers=accepted)
    assert (anonymous.status_code, anonymous.headers["www-authenticate"][:6]) == (401, "Bearer")
    elsewhere = {**accepted, **await service.as_user(tenant, "analyst"), "Origin": "https://evil.example"}
    assert (await service.client.post("/mcp", json=message, headers=elsewhere)).status_code == 403


async def test_a_partner_names_its_end_user(service: Service, tenant: Tenant, address: str, document: str) -> None:
    headers = {**await service.as_user(tenant, "partner"), "X-On-Behalf-Of": "employee-7"}
    async with connected(address, headers) as client:
        await client.call_tool("search", {"query": "card disputes"})
    newest = (await service.events(tenant, action="retrieval:executed", limit=1))[0]
    assert newest["event"]["principal"]["on_behalf_of"]["subject"] == "employee-7"
    assert Permission.RETRIEVAL_QUERY in newest["event"]["principal"]["permissions"]
