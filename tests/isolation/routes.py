"""The routes of the served OpenAPI document, and a request to each that is valid by it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from tests.isolation.examples import body_of, example, query_of
from tests.service import Service

METHODS = ("get", "post", "put", "patch", "delete")
# Ids of OpenAI's API, each one of ours in another spelling.
_SPELLED = {
    "store_id": "vs_{}", "upload_id": "file-{}", "batch_id": "vsfb_{}", "response_id": "resp_{}", "file": "file-{}_v1",
}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """What a request names that exists: ids of its path, and arguments for httpx in place of the smallest valid ones."""

    ids: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)


NOTHING = Given()


@dataclass(frozen=True)
class Route:
    """One operation of the served document."""

    method: str
    path: str
    operation: dict[str, Any]
    document: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def parameters(self) -> list[str]:
        return [p["name"] for p in self.operation.get("parameters", ()) if p["in"] == "path"]

    @property
    def names_something(self) -> bool:
        """Whether the path names a thing that belongs to a tenant by an id that the service gave it."""
        named = [p for p in self.operation.get("parameters", ()) if p["in"] == "path"]
        return any(p["schema"].get("format") == "uuid" or p["name"] in _SPELLED for p in named)

    async def ask(self, service: Service, headers: dict[str, str], given: Given = NOTHING) -> httpx.Response:
        """Asks for what is given; where nothing is, for an example that is nobody's."""
        smallest = {**body_of(self.operation, self.document), "params": query_of(self.operation, self.document)}
        return await service.client.request(
            self.method, self.url(given.ids), headers=headers, **{**smallest, **given.arguments}
        )

    def url(self, ids: dict[str, str]) -> str:
        wanted = [p for p in self.operation.get("parameters", ()) if p["in"] == "path"]
        return self.path.format(**{p["name"]: ids.get(p["name"]) or self._nobodys(p) for p in wanted})

    def _nobodys(self, parameter: dict[str, Any]) -> str:
        spelling = _SPELLED.get(parameter["name"])
        return spelling.format(uuid4().hex) if spelling else str(example(parameter["schema"], self.document))


async def served(service: Service) -> list[Route]:
    """Returns every route that the service describes, in its order."""
    document = (await service.client.get("/openapi.json")).json()
    return [
        Route(method, path, operation, document)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    ]
