"""An agent that was told to look further than its person may: whichever tool, address, header or version it tries, it learns nothing."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from backend.gateways.openai.ids import file_id
from tests import factories
from tests.gateways.test_mcp_hostile import HEADERS
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

SECRET = "Nightingale"
VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


@pytest.fixture(scope="module")
async def hidden(service: Service, tenant: Tenant, other_tenant: Tenant) -> dict[str, str]:
    """Documents that the analyst may not read, by why not."""
    await factories.create_collection(service, tenant)
    title = f"{SECRET} merger"
    for whose in (tenant, other_tenant):
        await factories.ingest(service, whose, "merger", f"{SECRET} buys Harbor.", collection="restricted")
    draft = await factories.submit(service, tenant, "draft-fees", f"{SECRET} fee of nine dollars.", title=title)
    found = {"never approved": draft["document_id"]}
    for why, whose in (("in a collection of others", tenant), ("of another tenant", other_tenant)):
        listed = (await service.get("/documents", whose, "editor", doc_id="merger")).json()["documents"]
        found[why] = listed[0]["id"]
    return found


def message(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return message("tools/call", name=tool, arguments=arguments)


async def ask(service: Service, headers: dict[str, str], body: Any, **more: str) -> httpx.Response:
    return await service.client.post("/mcp", content=json.dumps(body), headers={**HEADERS, **headers, **more})


def ways_to(document: str) -> list[dict[str, Any]]:
    """Everything that an agent can ask about a document whose id it knows, from a log or a colleague."""
    uri = f"affidavit://documents/{document}/versions/1"
    return [
        call("fetch", id=file_id(UUID(document), 1)), call("get_document", document_id=document),
        call("get_document", document_id=document, version=1),
        call("compare_versions", document_id=document, from_version=1, to_version=1),
        call("compare_versions", document_id=document, from_version=1, to_version=2),
        message("resources/read", uri=uri), message("resources/read", uri=f"{uri}/pages/1"),
    ]  # fmt: skip


def told(answer: httpx.Response, document: str) -> str:
    """What an answer says, without what differs in every one."""
    said = answer.json()
    result = said.get("result") or said["error"]
    for part in (result, result.get("structuredContent", {}), result.get("data", {})):
        part.pop("request_id", None)
    result.pop("content", None)  # the same again, as text
    return json.dumps(said).replace(document, "ID").replace(file_id(UUID(document), 1), "FILE")


@pytest.mark.parametrize("why", ["never approved", "in a collection of others", "of another tenant"])
async def test_what_is_hidden_answers_as_what_is_not_there_by_every_way(
    service: Service, tenant: Tenant, hidden: dict[str, str], why: str
) -> None:
    headers = await service.as_user(tenant, "analyst")
    document, nobodys = hidden[why], str(uuid4())
    for body, of_nobody in zip(ways_to(document), ways_to(nobodys), strict=True):
        answer, other = await ask(service, headers, body), await ask(service, headers, of_nobody)
        assert SECRET not in answer.text, body
        assert told(answer, document) == told(other, nobodys), body
        denied = await service.events(tenant, request_id=answer.headers["x-request-id"])
        assert [event["action"] for event in denied] == ["access:denied"], body
        assert denied[0]["event"]["door"]["kind"] == "mcp"


async def test_no_search_of_any_kind_shows_what_is_hidden(
    service: Service, tenant: Tenant, hidden: dict[str, str]
) -> None:
    assert hidden
    headers = await service.as_user(tenant, "analyst")
    question = f"Does {SECRET} buy Harbor for nine dollars?"
    for body in (
        call("search", query=question), call("ask", question=question), call("search_documents", query=question, k=50),
        call("search_documents", query=question, collections=["restricted"]),
        call("search_documents", query=question, filters={"or": [{"doc_id": "merger"}, {"x": {"ne": 1}}]}),
        call("search_documents", query=question, as_of="2030-01-01T00:00:00Z"),
        call("ask", question=question, collection="restricted"),
        call("why_not_found", question=question, doc_id="merger"),
        call("why_not_found", question=question, doc_id="draft-fees"), call("list_collections"),
    ):  # fmt: skip
        answer = await ask(service, headers, body)
        assert answer.status_code == 200
        shown = answer.text.replace(question, "").replace(json.dumps(question)[1:-1], "")
        assert f"{SECRET} merger" not in shown, body
        assert f"{SECRET} buys" not in shown, body
        assert f"{SECRET} fee" not in shown, body


@pytest.mark.parametrize(
    "uri",
    [
        "affidavit://documents/{0}/versions/01", "affidavit://documents/{0}/versions/1/", "affidavit://documents/{0}/versions/1\n",
        "affidavit://documents/{0}/versions/1/pages/0", "affidavit://documents/{0}/versions/1?as=admin",
        "affidavit://documents/{0}/../{0}/versions/1", "affidavit://documents/%7B{0}%7D/versions/1", "AFFIDAVIT://documents/{0}/versions/1",
        "affidavit://x@documents/{0}/versions/1", "http://documents/{0}/versions/1", "affidavit://documents/{0}/versions/-1", "affidavit://documents/{0}/versions/9999999999",
    ],
)  # fmt: skip
async def test_an_address_is_spelled_in_one_way(
    service: Service, tenant: Tenant, hidden: dict[str, str], uri: str
) -> None:
    """Its editor reads the document, so that a spelling that is taken would show it."""
    headers = await service.as_user(tenant, "editor")
    document = hidden["in a collection of others"]
    right = await ask(service, headers, message("resources/read", uri=f"affidavit://documents/{document}/versions/1"))
    assert SECRET in right.text
    answer = await ask(service, headers, message("resources/read", uri=uri.format(document)))
    assert (answer.json()["error"]["code"], SECRET in answer.text) == (-32602, False)


@pytest.mark.parametrize("version", [*VERSIONS, None])
async def test_no_version_and_no_header_gives_a_tool_that_the_caller_has_not(
    service: Service, tenant: Tenant, version: str | None
) -> None:
    """Before 2026 nothing compares the headers with the message: they may lie, and it is the message that counts."""
    headers = await service.as_user(tenant, "partner")
    chosen = {} if version is None else {"MCP-Protocol-Version": version}
    listed = await ask(service, headers, message("tools/list"), **chosen)
    assert {tool["name"] for tool in listed.json()["result"]["tools"]} == {
        "search",
        "search_documents",
        "why_not_found",
    }
    for lie in ({}, {"Mcp-Method": "tools/call", "Mcp-Name": "search"}, {"Mcp-Method": "tools/list"}):
        answer = await ask(service, headers, call("find_events"), **chosen, **lie)
        result = answer.json()["result"]
        assert (result["isError"], result["structuredContent"]["error"]) == (True, "forbidden"), lie
        assert result["_meta"] == {"affidavit/treat_as": "data"}
        (denied,) = await service.events(tenant, request_id=answer.headers["x-request-id"])
        assert (denied["action"], denied["reason"]) == ("access:denied", "permission:audit:read")
    batch = await ask(service, headers, [call("search", query="fees"), call("find_events")], **chosen)
    assert (batch.status_code, batch.json()["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH"])
async def test_nothing_is_streamed_and_no_session_is_ended_by_others(
    service: Service, tenant: Tenant, method: str
) -> None:
    headers = {**HEADERS, **await service.as_user(tenant, "analyst"), "Mcp-Session-Id": "1"}
    assert (await service.client.request(method, "/mcp", headers=headers)).status_code == 405


async def test_a_key_is_bound_here_as_it_is_at_every_door(service: Service, tenant: Tenant) -> None:
    """To its networks, its requests a minute and its end; and its purpose and that of the request are on record."""
    elsewhere = factories.bearer(await factories.create_key(service, tenant, allowed_networks=["203.0.113.0/24"]))
    assert (await ask(service, elsewhere, message("tools/list"))).status_code == 401
    assert (await service.events(tenant, action="auth:failed", limit=1))[0]["reason"] == "key:network"

    made = await factories.create_key(service, tenant, purpose="Screening of payments", requests_per_minute=3)
    key = factories.bearer(made)
    stated = await ask(service, key, call("search", query="fees"), **{"X-Purpose": "Case 7"})
    assert stated.json()["result"]["isError"] is False
    (event,) = await service.events(tenant, request_id=stated.headers["x-request-id"])
    assert (event["event"]["principal"]["purpose"], event["event"]["purpose"]) == ("Screening of payments", "Case 7")
    assert (await ask(service, key, call("search", query="fees"), **{"X-Purpose": " "})).status_code == 422
    answers = [(await ask(service, key, message("tools/list"))).status_code for _ in range(3)]
    assert answers[-1] == 429
    headers = await service.as_user(tenant, "admin")
    assert (await service.client.delete(f"/auth/keys/{made['id']}", headers=headers)).status_code == 204
    assert (await ask(service, key, message("tools/list"))).status_code == 401


async def test_who_lacks_the_second_factor_that_its_tenant_asks_for_has_no_tool(service: Service) -> None:
    tenant = await service.create_tenant()
    await factories.ingest(service, tenant, "fees", "The fee is nine dollars.")
    document = (await service.get("/documents", tenant, "editor", doc_id="fees")).json()["documents"][0]["id"]
    headers = await service.as_user(tenant, "analyst")
    rule = await service.client.put(
        "/auth/sign-in-rule", json={"second_factor_required": True}, headers=await service.as_user(tenant, "admin")
    )
    assert rule.is_success, rule.text
    assert (await ask(service, headers, message("tools/list"))).json()["result"]["tools"] == []
    for body in (*ways_to(document), call("search", query="fee"), call("list_collections")):
        answer = await ask(service, headers, body)
        assert "second" in answer.text
        assert "nine dollars" not in answer.text
