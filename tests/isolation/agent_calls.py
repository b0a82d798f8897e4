"""What agents can ask for at /mcp, as rows beside the routes: every tool that is served, the list of them, and the resources."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx

from backend.errors import ServiceError
from backend.gateways.mcp import tools
from backend.gateways.openai.ids import file_id
from backend.identity.callers.permissions import Permission
from tests.isolation.examples import example
from tests.isolation.routes import NOTHING, Given, Route
from tests.service import Service

_STATUS = {kind.code: kind.status for kind in ServiceError.__subclasses__()}
_HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
_VERSION = "affidavit://documents/{document_id}/versions/{number}"
_RESOURCES = {"resources/read a version": _VERSION, "resources/read a page": f"{_VERSION}/pages/{{page}}"}
LISTS = ("tools/list", "resources/list", "prompts/list", "ping")
_ANY = {"type": "string", "format": "uuid"}


@dataclass(frozen=True)
class AgentCall(Route):
    """A method of the protocol, and what it names; ids and body of what is given are its arguments."""

    protocol_method: str = "tools/call"

    @property
    def name(self) -> str:
        return f"MCP {self.path}"

    @property
    def parameters(self) -> list[str]:
        return list(self._ids)

    @property
    def names_something(self) -> bool:
        return bool(self._ids)

    @property
    def _ids(self) -> dict[str, Any]:
        """The arguments that name a thing of a tenant by its id; a file of the OpenAI door is named by one within a text."""
        known = {**self.document.get("properties", {}), **({"id": _ANY} if self.path == "fetch" else {})}
        return {name: schema for name, schema in known.items() if schema.get("format") == "uuid"}

    async def ask(self, service: Service, headers: dict[str, str], given: Given = NOTHING) -> httpx.Response:
        """Returns the answer as the same refusal would be one of HTTP, so that both are read alike."""
        nobodys = {"id": file_id(uuid4(), 1)} if self.path == "fetch" else {}
        smallest = example(self.document, self.document)
        arguments = {**smallest, **nobodys, **given.arguments.get("json", {}), **given.ids}
        message = {"jsonrpc": "2.0", "id": 1, "method": self.protocol_method, "params": self._params(arguments)}
        answer = await service.client.post("/mcp", json=message, headers={**_HEADERS, **headers})
        if not answer.is_success:
            return answer
        told = answer.json()
        if "error" in told:
            code = told["error"]["data"]["error"]
            # The address comes back, and is the client's own.
            return httpx.Response(_STATUS[code], json={"error": code, "detail": told["error"]["message"]})
        result = told["result"]
        if result.get("isError"):
            refused = result["structuredContent"]
            return httpx.Response(_STATUS[refused["error"]], json=refused)
        return httpx.Response(HTTPStatus.OK, json=result)

    def url(self, ids: dict[str, str]) -> str:  # noqa: ARG002 - of every call
        return "/mcp"

    def _params(self, arguments: dict[str, Any]) -> dict[str, Any]:
        match self.protocol_method:
            case "tools/call":
                return {"name": self.path, "arguments": arguments}
            case "resources/read":
                return {"uri": _RESOURCES[self.path].format(**{"number": 1, "page": 1, **arguments})}
        return {}


async def offered(service: Service) -> list[AgentCall]:
    """Returns every tool of the door with the schema that it serves, and what else the protocol lets agents ask for."""
    calls = [_call(tool.name, "tools/call", tool.permission, tool.takes.model_json_schema()) for tool in tools.TOOLS]
    named = {"type": "object", "properties": {"document_id": _ANY}, "required": ["document_id"]}
    calls += [_call(what, "resources/read", Permission.DOCUMENTS_READ, named) for what in _RESOURCES]
    return [*calls, *(_call(name, name, None, {"type": "object"}) for name in LISTS)]


def _call(path: str, method: str, permission: Permission | None, schema: dict[str, Any]) -> AgentCall:
    needed = {"x-required-permission": str(permission)} if permission else {}
    return AgentCall("post", path, {"security": [], "requestBody": {}, **needed}, schema, method)
